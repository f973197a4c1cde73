//! The text of a lockfile: JSON, with the digest of the list in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FORMAT, Locked, Lockfile, LockfileError, Source};

/// Longest text that is read, in bytes; 10,000 packages take about 4 MB.
const LIMIT: usize = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// The version of the format.
    lockfile: u32,
    arch: String,
    digest: String,
    repositories: BTreeMap<String, Source>,
    packages: Vec<Locked>,
}

/// Only the version, so that a text of another one is refused for that reason.
#[derive(Deserialize)]
struct Version {
    lockfile: u32,
}

impl Lockfile {
    /// The text that is stored; the same for the same lockfile.
    pub fn to_json(&self) -> Result<String, LockfileError> {
        let text = Text {
            lockfile: FORMAT,
            arch: self.arch.clone(),
            digest: self.digest(),
            repositories: self.repositories.clone(),
            packages: self.packages.clone(),
        };
        let mut text = serde_json::to_string_pretty(&text)?;
        text.push('\n');
        Ok(text)
    }

    /// Reads a stored text and checks all of it, the digest too.
    pub fn from_json(text: &str) -> Result<Self, LockfileError> {
        if text.len() > LIMIT {
            return Err(LockfileError::Limit);
        }
        let Version { lockfile } = serde_json::from_str(text)?;
        if lockfile != FORMAT {
            return Err(LockfileError::Version(lockfile));
        }
        let text: Text = serde_json::from_str(text)?;
        let lockfile = Self::new(text.arch, text.repositories, text.packages)?;
        if lockfile.digest() != text.digest {
            return Err(LockfileError::Digest);
        }
        Ok(lockfile)
    }
}
