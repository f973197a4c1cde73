//! Package names: NVR and NVRA, split as Koji splits them.

use std::fmt;

/// A string that is not the expected package name form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Too few parts.
    #[error("invalid format: {0}")]
    Invalid(String),
    /// A version with a dash.
    #[error("The \"-\" character not allowed in version field")]
    DashInVersion,
    /// A release with a dash.
    #[error("The \"-\" character not allowed in release field")]
    DashInRelease,
    /// An arch with a dot.
    #[error("The \".\" character not allowed in arch field")]
    DotInArch,
    /// A release that does not end as a draft's does.
    #[error("draft release: {0} is not in valid format")]
    Draft(String),
}

/// Name, version, release and, where the text had one, epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nvr {
    /// Package name.
    pub name: String,
    /// Upstream's version.
    pub version: String,
    /// The packager's release.
    pub release: String,
    /// As written before the first colon of the name; empty if there was none.
    pub epoch: String,
}

impl Nvr {
    /// Splits `[epoch:]name-version-release` from the right (the rule of `koji.parse_NVR`).
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let invalid = || FormatError::Invalid(text.to_owned());
        let (rest, release) = text.rsplit_once('-').ok_or_else(invalid)?;
        let (name, version) = rest.rsplit_once('-').ok_or_else(invalid)?;
        if release.is_empty() || version.is_empty() {
            return Err(invalid());
        }
        let (epoch, name) = name.split_once(':').unwrap_or(("", name));
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            release: release.to_owned(),
            epoch: epoch.to_owned(),
        })
    }

    /// Refuses a dash in version or release.
    pub fn check(&self) -> Result<(), FormatError> {
        if self.version.contains('-') {
            return Err(FormatError::DashInVersion);
        }
        if self.release.contains('-') {
            return Err(FormatError::DashInRelease);
        }
        Ok(())
    }
}

impl fmt::Display for Nvr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.version, self.release)
    }
}

/// An NVR with an arch and, where the text had one, a location.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nevra {
    /// Name, version, release, epoch.
    pub nvr: Nvr,
    /// RPM arch; `src` or `nosrc` for a source package.
    pub arch: String,
    /// What followed the first `@`, the name of an external repository.
    pub location: Option<String>,
}

impl Nevra {
    /// Splits `[epoch:]name-version-release.arch[.rpm][@location]` (the rule of `koji.parse_NVRA`).
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let (text, location) = match text.split_once('@') {
            Some((text, location)) => (text, Some(location).filter(|l| !l.is_empty())),
            None => (text, None),
        };
        let text = text.strip_suffix(".rpm").unwrap_or(text);
        let (nvr, arch) = text
            .rsplit_once('.')
            .filter(|(_, arch)| !arch.is_empty())
            .ok_or_else(|| FormatError::Invalid(text.to_owned()))?;
        Ok(Self {
            nvr: Nvr::parse(nvr)?,
            arch: arch.to_owned(),
            location: location.map(str::to_owned),
        })
    }

    /// True for arch `src`; Koji does not count `nosrc` here.
    pub fn is_src(&self) -> bool {
        self.arch == "src"
    }

    /// Refuses a dash in version or release and a dot in the arch.
    pub fn check(&self) -> Result<(), FormatError> {
        self.nvr.check()?;
        if self.arch.contains('.') {
            return Err(FormatError::DotInArch);
        }
        Ok(())
    }
}

impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.nvr, self.arch)
    }
}

/// True if the name is that of a package of debugging information or its sources.
pub fn is_debuginfo(name: &str) -> bool {
    name.ends_with("-debuginfo") || name.ends_with("-debugsource") || name.contains("-debuginfo-")
}

/// The release that a draft build carries until it is promoted.
pub fn draft_release(target_release: &str, build_id: i64) -> String {
    format!("{target_release},draft_{build_id}")
}

/// The release that a draft build will have once it is promoted.
pub fn target_release(draft_release: &str) -> Result<&str, FormatError> {
    match draft_release.split_once(',') {
        Some((target, rest)) if rest.starts_with("draft_") => Ok(target),
        _ => Err(FormatError::Draft(draft_release.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_from_the_right() {
        let nvr = Nvr::parse("2:gcc-c++-4.8-1.fc20").unwrap();
        assert_eq!((nvr.name.as_str(), nvr.epoch.as_str()), ("gcc-c++", "2"));
        assert_eq!(nvr.to_string(), "gcc-c++-4.8-1.fc20");
        assert_eq!(Nvr::parse("-1-2").unwrap().name, "");
        for bad in ["", "a", "a-1", "a-1-", "a--1", "-", "--"] {
            let error = Nvr::parse(bad).unwrap_err();
            assert_eq!(error.to_string(), format!("invalid format: {bad}"));
        }
    }

    #[test]
    fn splits_arch_suffix_and_location() {
        let rpm = Nevra::parse("bash-5.1-2.el9.x86_64.rpm@base@x").unwrap();
        assert_eq!(rpm.location.as_deref(), Some("base@x"));
        assert_eq!(rpm.to_string(), "bash-5.1-2.el9.x86_64");
        assert!(Nevra::parse("a-1-1.src").unwrap().is_src());
        assert_eq!(Nevra::parse("a-1-1.src@").unwrap().location, None);
        assert_eq!(Nevra::parse("a-1-1").unwrap_err().to_string(), "invalid format: a-1-1");
        // the error names what was left to parse, as Koji's does
        assert_eq!(Nevra::parse("a-1.rpm").unwrap_err().to_string(), "invalid format: a-1");
    }

    #[test]
    fn drafts_go_both_ways() {
        assert_eq!(draft_release("1.el9", 7), "1.el9,draft_7");
        assert_eq!(target_release("1.el9,draft_7"), Ok("1.el9"));
        assert!(target_release("1.el9").is_err());
    }
}
