//! Names of users and tags by their numbers, kept on the disk: programs that show many objects ask for each name once.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use toji_api::Rpc;
use toji_value::Value;

use crate::profile::from_environment;
use crate::{Client, Error, unique};

/// How long a name is believed: users and tags can be renamed.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest name, in bytes; what is longer is not ours.
const LONGEST: u64 = 4096;

/// The cache of names of one hub. Several programs may use it at once.
#[derive(Clone, Debug)]
pub struct Names {
    client: Client,
    directory: PathBuf,
}

impl Client {
    /// The cache of names: [`crate::Options::cache`], `$XDG_CACHE_HOME/toji` or `~/.cache/toji`, below it a directory for
    /// each profile, or for each hub where there is no profile.
    pub fn names(&self) -> Names {
        let options = self.options();
        let usual = || {
            let home = || crate::Places::system().home.join(".cache");
            // A relative one is invalid, says the specification of base directories.
            let xdg = from_environment("XDG_CACHE_HOME").map(PathBuf::from);
            xdg.filter(|path| path.is_absolute()).unwrap_or_else(home).join("toji")
        };
        let base = options.cache.clone().unwrap_or_else(usual);
        let hub = options.profile.clone().unwrap_or_else(|| self.hub_url().to_owned());
        Names { client: self.clone(), directory: base.join(file_name(&hub)) }
    }
}

impl Names {
    /// The name of a user; nothing when there is no such user.
    pub async fn user(&self, id: i64) -> Result<Option<String>, Error> {
        self.name("user", id, user(id)).await
    }

    /// The name of a tag; nothing when there is no such tag.
    pub async fn tag(&self, id: i64) -> Result<Option<String>, Error> {
        self.name("tag", id, toji_api::tag::GetTag::new(id)).await
    }

    /// The cached name of a `user` or `tag`, without asking the hub.
    pub async fn cached(&self, kind: &str, id: i64) -> Option<String> {
        let path = self.path(kind, id);
        let read = move || read(&path);
        tokio::task::spawn_blocking(read).await.ok()?
    }

    async fn name<R: Rpc<Output = Value>>(
        &self,
        kind: &str,
        id: i64,
        query: R,
    ) -> Result<Option<String>, Error> {
        if let Some(name) = self.cached(kind, id).await {
            return Ok(Some(name));
        }
        let answer = self.client.call_rpc(query).await?;
        let Some(name) = answer.get("name").as_str() else { return Ok(None) };
        let (path, text) = (self.path(kind, id), name.to_owned());
        // A cache that cannot be written costs time and nothing else.
        let kept = tokio::task::spawn_blocking(move || write(&path, &text)).await;
        if let Ok(Err(error)) = kept {
            tracing::debug!(%error, "cannot keep a name");
        }
        Ok(Some(name.to_owned()))
    }

    fn path(&self, kind: &str, id: i64) -> PathBuf {
        self.directory.join(file_name(kind)).join(id.to_string())
    }
}

fn user(id: i64) -> toji_api::user::GetUser {
    toji_api::user::GetUser { user_info: id.into(), ..toji_api::user::GetUser::new() }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the age of a cached file is against the system's clock, which wrote it"
)]
fn read(path: &Path) -> Option<String> {
    let data = std::fs::metadata(path).ok()?;
    // From the future means that the clock was wrong once; it is as good as new.
    let age = SystemTime::now().duration_since(data.modified().ok()?).unwrap_or_default();
    if age > KEPT || data.len() > LONGEST {
        return None;
    }
    std::fs::read_to_string(path).ok().filter(|name| !name.is_empty())
}

/// Writes beside and renames, so that nobody reads half a name.
fn write(path: &Path, name: &str) -> std::io::Result<()> {
    let Some(directory) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(directory)?;
    let beside = directory.join(unique(".name"));
    std::fs::write(&beside, name)?;
    std::fs::rename(&beside, path).inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

/// A text as the name of a directory: what is no letter, digit, dot or dash becomes `_`, and it never begins with a dot.
fn file_name(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' };
    let name: String = text.chars().take(200).map(keep).collect();
    if name.is_empty() || name.starts_with('.') { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn no_name_leads_elsewhere() {
        assert_eq!(file_name("koji"), "koji");
        assert_eq!(file_name("../../etc"), "_.._.._etc");
        assert_eq!(file_name(".."), "_..");
        assert_eq!(file_name(""), "_");
    }
}
