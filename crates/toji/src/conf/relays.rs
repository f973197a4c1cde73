//! `Relays`: a file with a section for each broker that gets messages.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use toji_hub::config::relays::{Format, Relay};

use super::Ini;

/// Reads the file.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Relay>> {
    let mut ini = Ini::default();
    super::merge(&mut ini, file)?;
    let mut relays = Vec::new();
    for name in ini.sections() {
        let relay = relay(file, name, &ini).with_context(|| format!("relay [{name}]"))?;
        relays.push(relay);
    }
    let secret = |relay: &Relay| relay.url.contains('@');
    let meta =
        std::fs::metadata(file).with_context(|| format!("failed to read {}", file.display()))?;
    if meta.mode() & 0o007 != 0 && relays.iter().any(secret) {
        bail!("{} has passwords in it and may be read by everybody", file.display());
    }
    Ok(relays)
}

fn relay(file: &Path, name: &str, ini: &Ini) -> anyhow::Result<Relay> {
    let beside = |text: &str| file.parent().unwrap_or(Path::new("")).join(text);
    let mut relay = Relay {
        name: name.to_owned(),
        url: String::new(),
        format: Format::Toji,
        prefix: "toji".to_owned(),
        kinds: Vec::new(),
        exchange: "amq.topic".to_owned(),
        stream: "TOJI".to_owned(),
        certificate: None,
        authorities: None,
        credentials: None,
        timeout: Duration::from_secs(30),
    };
    let (mut prefix, mut certificate, mut key) = (None, None, None);
    for (option, value) in ini.section(name) {
        let value = value.trim();
        match option.to_lowercase().as_str() {
            "url" => value.clone_into(&mut relay.url),
            "format" => {
                relay.format = match value.to_lowercase().as_str() {
                    "toji" => Format::Toji,
                    "fedora" => Format::Fedora,
                    _ => bail!("Format must be toji or fedora"),
                }
            }
            "topicprefix" => prefix = Some(value.trim_end_matches('.').to_owned()),
            "kinds" => relay.kinds = super::options::words(value),
            "exchange" => value.clone_into(&mut relay.exchange),
            "stream" => value.clone_into(&mut relay.stream),
            "certificate" => certificate = Some(beside(value)),
            "key" => key = Some(beside(value)),
            "authorities" => relay.authorities = Some(beside(value)),
            "credentials" => relay.credentials = Some(beside(value)),
            "timeout" => {
                let seconds = value.parse().context("Timeout is a number of seconds")?;
                relay.timeout = Duration::from_secs(seconds);
            }
            _ => bail!("{option} is not an option of a relay"),
        }
    }
    if relay.format == Format::Fedora {
        relay.prefix = String::new();
    }
    relay.prefix = prefix.unwrap_or(relay.prefix);
    if relay.format == Format::Toji && relay.prefix.is_empty() {
        bail!("TopicPrefix may be empty for Format = fedora only");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !relay.prefix.chars().all(plain) {
        bail!("TopicPrefix consists of letters, digits, dots, dashes and underscores");
    }
    relay.certificate = match (certificate, key) {
        (None, None) => None,
        // Both may be in one file.
        (Some(certificate), key) => {
            let key = key.unwrap_or_else(|| certificate.clone());
            Some((certificate, key))
        }
        (None, Some(_)) => bail!("Key without Certificate"),
    };
    crate::carrier::broker(&relay).check()?;
    Ok(relay)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn taken(text: &str, mode: u32) -> anyhow::Result<Vec<Relay>> {
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("relays.conf");
        std::fs::write(&file, text)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))?;
        read(&file)
    }

    #[test]
    fn a_section_is_a_relay() {
        let text = "[fedora]\nUrl = amqps://u:p@b/%2f\nFormat = fedora\nTopicPrefix = org.fedoraproject.prod.\n\
                    Certificate = hub.pem\n[own]\nUrl = nats://b:4222\nKinds = task.* repo.done\nStream = KOJI\n";
        let relays = taken(text, 0o600).unwrap();
        assert_eq!(relays[0].prefix, "org.fedoraproject.prod");
        assert!(relays[0].certificate.as_ref().unwrap().1.ends_with("hub.pem"));
        assert_eq!((relays[1].format, relays[1].kinds.len()), (Format::Toji, 2));
        for (text, mode, wanted) in [
            (text, 0o644, "everybody"),
            ("[a]\nUrl = http://b\n", 0o600, "http"),
            ("[a]\nFormat = fedora\n", 0o600, "address"),
            ("[a]\nUrl = nats://b\nTopicPrefix =\n", 0o600, "TopicPrefix"),
            ("[a]\nUrl = nats://b\nTopicPrefix = a b\n", 0o600, "TopicPrefix"),
            ("[a]\nUrl = nats://b\nKey = k\n", 0o600, "Certificate"),
            ("[a]\nUrl = nats://b\nFormat = x\n", 0o600, "Format"),
            ("[a]\nUrll = nats://b\n", 0o600, "urll"),
        ] {
            let error = format!("{:#}", taken(text, mode).unwrap_err());
            assert!(error.to_lowercase().contains(&wanted.to_lowercase()), "{error}");
        }
    }
}
