//! Profiles: where a hub is and how to log in there, read from the files that the stock client reads.

mod ini;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Options};
use ini::Ini;
pub use ini::IniError;

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file has a section of this name.
    #[error("no configuration for profile name: {0}")]
    Missing(String),
    /// A file or directory that has to be there and is not.
    #[error("no configuration in {0}")]
    NoFile(PathBuf),
    /// A directory that cannot be listed.
    #[error("cannot list {path}")]
    Directory {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file that Python's parser would refuse.
    #[error("cannot read {path}")]
    Syntax {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: IniError,
    },
    /// A reference in a value.
    #[error("cannot fill in a value")]
    Reference(#[from] IniError),
    /// A value that is not of its option's type.
    #[error("value for {option} config option must be {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// Where configuration files are looked for.
#[derive(Clone, Debug)]
pub struct Places {
    /// The system's directory: `/etc`.
    pub etc: PathBuf,
    /// The user's home.
    pub home: PathBuf,
    /// A file or directory to read instead of those in the user's home; it must be there.
    pub user_config: Option<PathBuf>,
}

impl Places {
    /// The places of this system and user: `$HOME`, or what the list of users says.
    pub fn system() -> Places {
        let home = from_environment("HOME").map(PathBuf::from);
        let home = home.or_else(|| home_where(2, &own_uid()?)).unwrap_or_else(|| "/".into());
        Places { etc: "/etc".into(), home, user_config: None }
    }

    /// The directories and files, the later ones overriding the earlier.
    fn list(&self) -> Vec<(PathBuf, bool)> {
        let mut list =
            vec![(self.etc.join("koji.conf.d"), false), (self.etc.join("koji.conf"), false)];
        match &self.user_config {
            Some(path) => list.push((self.expand(&path.to_string_lossy()).into(), true)),
            None => {
                list.push((self.home.join(".koji/config.d"), false));
                list.push((self.home.join(".koji/config"), false));
            }
        }
        list
    }

    /// `~` and `~user` at the beginning of a path, as Python's `expanduser` fills them in.
    fn expand(&self, path: &str) -> String {
        let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
        let (user, rest) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let home = match user {
            "" => Some(self.home.clone()),
            user => home_where(0, user),
        };
        let Some(home) = home else { return path.to_owned() };
        let full = format!("{}{rest}", home.to_string_lossy().trim_end_matches('/'));
        if full.is_empty() { "/".to_owned() } else { full }
    }
}

/// The home of the first user whose field in the system's list of users is this.
fn home_where(field: usize, value: &str) -> Option<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.find(|fields| fields.get(field) == Some(&value))?;
    found.get(5).map(PathBuf::from)
}

fn own_uid() -> Option<String> {
    std::fs::metadata("/proc/self").ok().map(|data| data.uid().to_string())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the library's only look at the environment; callers can say all of it themselves"
)]
pub(crate) fn from_environment(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// A profile: the options of one section, and the stock client's defaults for the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The section's name.
    pub name: String,
    /// The hub's URL.
    pub server: String,
    /// The URL of the web UI.
    pub weburl: String,
    /// The URL of the published files.
    pub topurl: Option<String>,
    /// The URL of packages; only old configurations have it.
    pub pkgurl: Option<String>,
    /// Where the hub's store is mounted, if it is.
    pub topdir: String,
    /// How to log in: `kerberos`, `ssl`, `password`, `noauth`, `token`; none means whatever works.
    pub authtype: Option<String>,
    /// The file with certificate and key; empty if there is none.
    pub cert: String,
    /// The file with the certificate authorities to trust; empty for the system's.
    pub serverca: String,
    /// Whether to trust any server.
    pub no_ssl_verify: bool,
    /// The Kerberos principal to log in as.
    pub principal: Option<String>,
    /// The file with the principal's keys.
    pub keytab: Option<String>,
    /// How often a failed connection is tried again.
    pub max_retries: i64,
    /// Seconds between retries.
    pub retry_interval: i64,
    /// Whether calls without a login are retried; so by default since Koji 1.36.
    pub anon_retry: bool,
    /// Whether to wait while the hub is offline.
    pub offline_retry: bool,
    /// Seconds before an offline hub is asked again.
    pub offline_retry_interval: i64,
    /// Seconds that a call may take.
    pub timeout: i64,
    /// Seconds that a login may take.
    pub auth_timeout: i64,
    /// Seconds between looks at something that is waited for.
    pub poll_interval: i64,
    /// Bytes of each piece of an upload.
    pub upload_blocksize: i64,
    /// Whether uploads go by `rawUpload`; every hub of today can do that.
    pub use_fast_upload: bool,
    /// Whether to log in for calls that need no login.
    pub force_auth: bool,
    /// For the stock client's own messages.
    pub debug: bool,
    /// For the stock client's own messages.
    pub debug_xmlrpc: bool,
    /// Which Python the stock client runs with.
    pub pyver: Option<i64>,
    /// Where the stock client looks for plugins.
    pub plugin_paths: Option<String>,
    /// Every option of the section as it is written, those that the stock client ignores too.
    pub options: BTreeMap<String, String>,
}

impl Profile {
    /// Reads a profile of this system and user.
    ///
    /// # Errors
    /// When no file has the profile, or one of them cannot be understood.
    pub fn load(name: &str) -> Result<Profile, ProfileError> {
        Profile::read(name, &Places::system())
    }

    /// Reads a profile from given places.
    ///
    /// ```
    /// use toji_client::{Places, Profile};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let dir = tempfile::tempdir()?;
    /// std::fs::write(dir.path().join("koji.conf"), "[fedora]\nserver = https://%(host)s/kojihub\nhost = koji.example.com\n")?;
    /// let places = Places { etc: dir.path().into(), home: "/nonexistent".into(), user_config: None };
    /// let profile = Profile::read("fedora", &places)?;
    /// assert_eq!(profile.server, "https://koji.example.com/kojihub");
    /// assert_eq!(profile.max_retries, 30);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Profile::load`].
    pub fn read(name: &str, places: &Places) -> Result<Profile, ProfileError> {
        let ini = read_all(places)?;
        if !ini.has(name) {
            return Err(ProfileError::Missing(name.to_owned()));
        }
        Profile::from_options(name, ini.items(name)?, places)
    }

    /// The profile whose web UI has a page, for a URL that somebody pasted.
    ///
    /// # Errors
    /// When the files cannot be understood; what is wrong in another profile does not count.
    pub fn of_page(url: &str, places: &Places) -> Result<Option<Profile>, ProfileError> {
        let ini = read_all(places)?;
        let profiles = ini.names().filter_map(|name| {
            let options = ini.items(name).ok()?;
            Profile::from_options(name, options, places).ok()
        });
        let fits = |profile: &Profile| {
            let base = profile.weburl.trim_end_matches('/');
            profile.options.contains_key("weburl")
                && url
                    .strip_prefix(base)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // Of two that fit the longer one knows the page.
        Ok(profiles.filter(fits).max_by_key(|profile| profile.weburl.len()))
    }

    fn from_options(
        name: &str,
        options: BTreeMap<String, String>,
        places: &Places,
    ) -> Result<Profile, ProfileError> {
        let given = Given(&options);
        let file = |option: &str, usual: &str| match options.get(option) {
            Some(path) => places.expand(path),
            None => {
                let path = places.expand(usual);
                if Path::new(&path).exists() { path } else { String::new() }
            }
        };
        Ok(Profile {
            name: given.text("profile").unwrap_or_else(|| name.to_owned()),
            server: given.text("server").unwrap_or_else(|| "http://localhost/kojihub".into()),
            weburl: given.text("weburl").unwrap_or_else(|| "http://localhost/koji".into()),
            topurl: given.text("topurl"),
            pkgurl: given.text("pkgurl"),
            topdir: given.text("topdir").unwrap_or_else(|| "/mnt/koji".into()),
            authtype: given.text("authtype"),
            cert: file("cert", "~/.koji/client.crt"),
            serverca: file("serverca", "~/.koji/serverca.crt"),
            // The stock client takes any text for yes.
            no_ssl_verify: given.text("no_ssl_verify").is_some_and(|text| !text.is_empty()),
            principal: given.text("principal"),
            keytab: given.text("keytab"),
            max_retries: given.int("max_retries", 30)?,
            retry_interval: given.int("retry_interval", 20)?,
            anon_retry: given.bool("anon_retry", true)?,
            offline_retry: given.bool("offline_retry", false)?,
            offline_retry_interval: given.int("offline_retry_interval", 20)?,
            timeout: given.int("timeout", 12 * 3600)?,
            auth_timeout: given.int("auth_timeout", 60)?,
            poll_interval: given.int("poll_interval", 6)?,
            upload_blocksize: given.int("upload_blocksize", 1 << 20)?,
            use_fast_upload: given.bool("use_fast_upload", true)?,
            force_auth: given.bool("force_auth", false)?,
            debug: given.bool("debug", false)?,
            debug_xmlrpc: given.bool("debug_xmlrpc", false)?,
            pyver: given.optional_int("pyver")?,
            plugin_paths: given.text("plugin_paths"),
            options,
        })
    }

    /// The connection settings that the profile asks for.
    ///
    /// # Errors
    /// [`Error::File`] when a certificate that is named cannot be read.
    pub fn connection(&self) -> Result<Options, Error> {
        let seconds = |n: i64| Duration::from_secs(u64::try_from(n).unwrap_or(0));
        let count = |n: i64| u32::try_from(n.max(0)).unwrap_or(u32::MAX);
        let file = |path: &str| match path {
            "" => Ok(None),
            path => {
                let failed = |source| Error::File { path: path.into(), source };
                std::fs::read(path).map(Some).map_err(failed)
            }
        };
        let by_certificate = self.by_certificate();
        Ok(Options {
            topurl: self.topurl.clone(),
            weburl: Some(self.weburl.clone()),
            profile: Some(self.name.clone()),
            timeout: seconds(self.timeout),
            auth_timeout: seconds(self.auth_timeout),
            max_retries: count(self.max_retries),
            retry_interval: seconds(self.retry_interval),
            anon_retry: self.anon_retry,
            offline_retry: self.offline_retry,
            offline_retry_interval: seconds(self.offline_retry_interval),
            poll_interval: seconds(self.poll_interval.max(1)),
            serverca: file(&self.serverca)?,
            no_ssl_verify: self.no_ssl_verify,
            cert: if by_certificate { file(&self.cert)? } else { None },
            upload_blocksize: usize::try_from(self.upload_blocksize).unwrap_or(1 << 20).max(1),
            ..Options::default()
        })
    }

    /// Whether the stock client would log in with the certificate.
    pub(crate) fn by_certificate(&self) -> bool {
        match self.authtype.as_deref() {
            Some(authtype) => authtype == "ssl",
            None => Path::new(&self.cert).is_file(),
        }
    }
}

/// The options that a section has, typed.
struct Given<'a>(&'a BTreeMap<String, String>);

impl Given<'_> {
    fn text(&self, option: &str) -> Option<String> {
        self.0.get(option).cloned()
    }

    fn bool(&self, option: &'static str, default: bool) -> Result<bool, ProfileError> {
        let Some(text) = self.0.get(option) else { return Ok(default) };
        match text.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(ProfileError::Value { option, expected: "a boolean" }),
        }
    }

    fn int(&self, option: &'static str, default: i64) -> Result<i64, ProfileError> {
        Ok(self.optional_int(option)?.unwrap_or(default))
    }

    fn optional_int(&self, option: &'static str) -> Result<Option<i64>, ProfileError> {
        let Some(text) = self.0.get(option) else { return Ok(None) };
        let wrong = ProfileError::Value { option, expected: "a valid integer" };
        python_int(text).map(Some).ok_or(wrong)
    }
}

/// What Python's `int()` takes: a sign, digits, single underscores between them; what is too large for us is the largest.
fn python_int(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let groups = digits.split('_');
    if groups.clone().any(|g| g.is_empty() || !g.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let number: i64 = groups.collect::<String>().parse().unwrap_or(i64::MAX);
    Some(if negative { -number } else { number })
}

fn read_all(places: &Places) -> Result<Ini, ProfileError> {
    let mut ini = Ini::default();
    for (path, strict) in places.list() {
        for file in files(&path, strict)? {
            // As for the stock client: what cannot be opened is not there.
            let Ok(data) = std::fs::read(&file) else { continue };
            ini.read(&data).map_err(|source| ProfileError::Syntax { path: file, source })?;
        }
    }
    Ok(ini)
}

/// The file itself, or the files of a directory whose name ends in `.conf`, by name.
fn files(path: &Path, strict: bool) -> Result<Vec<PathBuf>, ProfileError> {
    if !path.is_dir() {
        return match path.is_file() {
            true => Ok(vec![path.to_owned()]),
            false if strict => Err(ProfileError::NoFile(path.to_owned())),
            false => Ok(Vec::new()),
        };
    }
    let failed = |source| ProfileError::Directory { path: path.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.retain(|name| name.as_encoded_bytes().ends_with(b".conf"));
    names.sort();
    let (there, missing): (Vec<_>, Vec<_>) =
        names.iter().map(|name| path.join(name)).partition(|file| file.is_file());
    match missing.into_iter().next() {
        Some(file) if strict => Err(ProfileError::NoFile(file)),
        _ if strict && there.is_empty() => Err(ProfileError::NoFile(path.to_owned())),
        _ => Ok(there),
    }
}

pub(crate) fn fuzz(data: &[u8]) {
    let mut ini = Ini::default();
    // What precedes an error counts, so that it is looked at too.
    let _ = ini.read(data);
    let names: Vec<String> = ini.names().map(str::to_owned).collect();
    for name in names {
        let _ = ini.items(&name);
    }
}
