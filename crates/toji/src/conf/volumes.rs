//! Volumes in object stores: a file of their own, whose secrets are in further files or in the environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use toji_store::s3::{Credentials, Options, S3};

use super::Ini;

/// Reads the file that `ObjectVolumes` names: a section for each volume.
pub(super) fn read(
    file: &Path,
    environment: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Vec<S3>> {
    let mut ini = Ini::default();
    super::merge(&mut ini, file)?;
    let mut volumes = Vec::new();
    for name in ini.sections() {
        let options = options(&ini, name, file, &environment);
        let failed = || format!("volume {name} in {}", file.display());
        let volume = options.and_then(|options| Ok(S3::new(options)?));
        volumes.push(volume.with_context(failed)?);
    }
    let takers: Vec<&str> = volumes.iter().filter(|v| v.takes_uploads()).map(S3::name).collect();
    if takers.len() > 1 {
        bail!(
            "only one volume can take uploads, not {} in {}",
            takers.join(" and "),
            file.display()
        );
    }
    Ok(volumes)
}

fn options(
    ini: &Ini,
    name: &str,
    file: &Path,
    environment: &impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Options> {
    if name == "DEFAULT" || name.contains('/') || name.starts_with('.') {
        bail!("a volume cannot have this name");
    }
    let mut options = Options::new(name, "");
    let mut secrets: Option<PathBuf> = None;
    for (key, value) in ini.section(name) {
        let value = value.trim().to_owned();
        let seconds = || value.parse().map(Duration::from_secs).context("not a number of seconds");
        let switch = || match value.to_lowercase().as_str() {
            "yes" | "on" | "true" | "1" => Ok(true),
            "no" | "off" | "false" | "0" => Ok(false),
            _ => bail!("neither yes nor no: {value}"),
        };
        let known = (|| -> anyhow::Result<()> {
            match key.to_lowercase().as_str() {
                "endpoint" => options.endpoint = Some(value.clone()),
                "publicendpoint" => options.public_endpoint = Some(value.clone()),
                "region" => options.region.clone_from(&value),
                "bucket" => options.bucket.clone_from(&value),
                "prefix" => options.prefix.clone_from(&value),
                "virtualhost" => options.virtual_host = switch()?,
                "redirect" => options.redirect = switch()?,
                "uploads" => options.uploads = switch()?,
                "linklifetime" => options.link_lifetime = seconds()?,
                "timeout" => options.timeout = seconds()?,
                "retries" => options.retries = value.parse().context("not a number")?,
                "partsize" => {
                    options.part_size = value.parse().context("not a number of bytes")?;
                }
                "credentials" => secrets = Some(value.clone().into()),
                _ => bail!("it is not an option of a volume"),
            }
            Ok(())
        })();
        known.with_context(|| format!("option {key}"))?;
    }
    if options.bucket.is_empty() {
        bail!("it has no Bucket");
    }
    options.credentials = match secrets {
        Some(path) => from_file(&file.parent().unwrap_or(Path::new("")).join(path))?,
        None => from_environment(environment)?,
    };
    Ok(options)
}

/// A file with the same words as Amazon's own: `aws_access_key_id`, `aws_secret_access_key`, `aws_session_token`.
fn from_file(path: &Path) -> anyhow::Result<Credentials> {
    use std::os::unix::fs::MetadataExt as _;
    let shown = path.display();
    let meta = std::fs::metadata(path).with_context(|| format!("failed to read {shown}"))?;
    if meta.mode() & 0o007 != 0 {
        bail!("{shown} may be read by everybody");
    }
    let mut ini = Ini::default();
    super::merge(&mut ini, path)?;
    let section = ini.section("default");
    let word = |name: &str| section.get(name).map(|text| text.trim().to_owned());
    let wanted =
        |name: &str| word(name).with_context(|| format!("{shown} has no {name} in [default]"));
    Ok(Credentials {
        key_id: wanted("aws_access_key_id")?,
        secret: wanted("aws_secret_access_key")?,
        token: word("aws_session_token"),
    })
}

fn from_environment(environment: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Credentials> {
    let wanted = |name: &str| {
        environment(name)
            .filter(|text| !text.is_empty())
            .with_context(|| format!("it has no Credentials, and the environment has no {name}"))
    };
    Ok(Credentials {
        key_id: wanted("AWS_ACCESS_KEY_ID")?,
        secret: wanted("AWS_SECRET_ACCESS_KEY")?,
        token: environment("AWS_SESSION_TOKEN").filter(|text| !text.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn taken(text: &str, mode: u32) -> anyhow::Result<Vec<S3>> {
        let dir = tempfile::tempdir()?;
        let secrets = dir.path().join("secrets");
        std::fs::write(
            &secrets,
            "[default]\naws_access_key_id = id\naws_secret_access_key = hush\n",
        )?;
        std::fs::set_permissions(&secrets, std::fs::Permissions::from_mode(mode))?;
        let file = dir.path().join("volumes.conf");
        std::fs::write(&file, text)?;
        read(&file, |_| None)
    }

    #[test]
    fn a_section_is_a_volume() {
        let text = "[archive]\nEndpoint = http://127.0.0.1:9000\nBucket = koji\nPrefix = a/b\n\
                    Redirect = no\nTimeout = 5\nUploads = yes\nCredentials = secrets\n";
        let volumes = taken(text, 0o600).unwrap();
        assert_eq!((volumes[0].name(), volumes[0].redirects()), ("archive", false));
        assert!(volumes[0].takes_uploads());
        let twice = format!("{text}{}", text.replace("[archive]", "[other]"));
        assert!(!format!("{volumes:?}").contains("hush"));
        for (text, mode, wanted) in [
            (text, 0o644, "everybody"),
            ("[archive]\nBucket = koji\n", 0o600, "AWS_ACCESS_KEY_ID"),
            ("[archive]\nCredentials = secrets\n", 0o600, "Bucket"),
            ("[archive]\nBucket = b\nCredentials = none\n", 0o600, "none"),
            ("[archive]\nBucket = b\nRedirect = perhaps\n", 0o600, "Redirect"),
            ("[archive]\nBukcet = b\n", 0o600, "bukcet"),
            (&twice, 0o600, "archive and other"),
            ("[../x]\nBucket = b\n", 0o600, "name"),
        ] {
            let error = format!("{:#}", taken(text, mode).unwrap_err());
            assert!(error.to_lowercase().contains(&wanted.to_lowercase()), "{error}");
        }
    }
}
