//! The builder's own credential: got with a token, kept in the work directory, renewed in time.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use toji_client::{Client, Options, args};
use toji_value::Value;

use crate::config::Config;
use crate::error::Error;
use crate::failure::chain;

/// Its name in the work directory.
const FILE: &str = "credential.json";

/// How a new builder enrols.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The hub's URL.
    pub server: String,
    /// The certificate authorities to trust instead of the system's, as PEM text.
    pub serverca: Option<Vec<u8>>,
    /// The token that an administrator made.
    pub token: String,
    /// The name of the new host.
    pub name: String,
    /// Where the credential is kept.
    pub workdir: PathBuf,
}

/// Makes a host with a token and keeps its credential in the work directory, where a builder finds it.
///
/// # Errors
/// When the hub refuses the token or the name, or the file cannot be written.
pub async fn enrol(enrolment: &Enrolment) -> Result<(), Error> {
    let workdir = &enrolment.workdir;
    let failed = |source| Error::Work { path: workdir.clone(), source };
    std::fs::create_dir_all(workdir).map_err(failed)?;
    let options = Options { serverca: enrolment.serverca.clone(), ..Options::default() };
    let hub = Client::new(&enrolment.server, options)?;
    let call = (enrolment.token.as_str(), enrolment.name.as_str());
    let answer = hub.call("host.enrol", call).await?;
    let credential = Credential::from_answer(&enrolment.server, &enrolment.name, &answer)?;
    credential.store(workdir)?;
    tracing::info!(host = enrolment.name, "enrolled");
    Ok(())
}

/// Logs in: with the password of the configuration, else with the credential in the work directory.
pub(crate) async fn log_in(hub: &Client, config: &Config) -> Result<Option<Credential>, Error> {
    if !config.password.is_empty() {
        hub.login(&config.user, &config.password).await?;
        return Ok(None);
    }
    let credential = Credential::load(&config.workdir)?;
    hub.login(&credential.name, &credential.secret).await?;
    Ok(Some(credential))
}

/// What a builder logs in with.
#[derive(Clone, PartialEq)]
pub(crate) struct Credential {
    pub(crate) server: String,
    pub(crate) name: String,
    secret: String,
    /// Its end, in seconds since 1970 of the hub.
    expires: f64,
    /// From its making to its end, in seconds.
    lifetime: f64,
}

impl Credential {
    fn from_answer(server: &str, name: &str, answer: &Value) -> Result<Self, Error> {
        let number = |key: &str| answer.get(key).as_f64();
        let parts = (answer.get("credential").as_str(), number("expire_ts"), number("lifetime"));
        let (Some(secret), Some(expires), Some(lifetime)) = parts else {
            return Err(Error::Answer("host.enrol", "no credential".to_owned()));
        };
        let (server, name, secret) = (server.to_owned(), name.to_owned(), secret.to_owned());
        Ok(Credential { server, name, secret, expires, lifetime })
    }

    /// Whether there is one in a work directory.
    pub(crate) fn is_in(workdir: &Path) -> bool {
        workdir.join(FILE).exists()
    }

    /// The credential that is kept in a work directory.
    pub(crate) fn load(workdir: &Path) -> Result<Self, Error> {
        let path = workdir.join(FILE);
        let failed = |source| Error::Work { path: path.clone(), source };
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let json: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let value = Value::from_json(json);
        let word = |key: &str| value.get(key).as_str().unwrap_or_default().to_owned();
        Credential::from_answer(&word("server"), &word("name"), &value)
    }

    /// Writes the file anew, readable for its owner alone; a crash leaves the old or the new one.
    fn store(&self, workdir: &Path) -> Result<(), Error> {
        let path = workdir.join(FILE);
        let new = workdir.join(format!("{FILE}.new"));
        let text = serde_json::json!({
            "server": self.server, "name": self.name, "credential": self.secret,
            "expire_ts": self.expires, "lifetime": self.lifetime,
        });
        let write = || {
            let _ = std::fs::remove_file(&new);
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(format!("{text:#}\n").as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|source| Error::Work { path: path.clone(), source })
    }

    /// Gets a new credential once half of this one's time is over; a failure is tried again later.
    pub(crate) async fn keep_fresh(&mut self, hub: &Client, workdir: &Path) {
        if !self.is_old(now()) {
            return;
        }
        match self.renewed(hub).await.and_then(|new| new.store(workdir).map(|()| new)) {
            Ok(new) => {
                hub.replace_password(&new.secret).await;
                tracing::info!("the credential was renewed");
                *self = new;
            }
            Err(error) => tracing::warn!(error = chain(&error), "the credential was not renewed"),
        }
    }

    fn is_old(&self, now: f64) -> bool {
        self.expires - now < self.lifetime / 2.0
    }

    async fn renewed(&self, hub: &Client) -> Result<Credential, Error> {
        let answer = hub.call("host.renewCredential", args!()).await?;
        Credential::from_answer(&self.server, &self.name, &answer)
    }
}

#[expect(clippy::disallowed_methods, reason = "the daemon's own clock")]
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn credential() -> Credential {
        let (server, name) = ("http://hub/kojihub".to_owned(), "b1".to_owned());
        Credential { server, name, secret: "s".to_owned(), expires: 1000.0, lifetime: 100.0 }
    }

    #[test]
    fn only_the_owner_reads_the_file() {
        let dir = tempfile::tempdir().unwrap();
        credential().store(dir.path()).unwrap();
        credential().store(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Credential::load(dir.path()).unwrap() == credential());
    }

    #[test]
    fn it_is_renewed_at_half_time() {
        assert!(!credential().is_old(949.0));
        assert!(credential().is_old(951.0));
    }
}
