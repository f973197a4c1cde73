//! From a URL with libpq's parameters to what a connection needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls::{self, Trust};
use crate::{Error, Result};

/// Where a server is and how it is spoken to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) config: tokio_postgres::Config,
    pub(crate) tls: MakeRustlsConnect,
    /// The parameters that the driver does not know.
    own: Pairs,
}

/// Parameters of libpq that the driver does not know, and that are honoured here.
const OWN: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "passfile",
    "service",
    "servicefile",
    "fallback_application_name",
    "ssl_min_protocol_version",
];

/// Parameters with the only values that they may have: what would be done anyway.
const FIXED: [(&str, &[&str]); 5] = [
    ("gssencmode", &["disable", "prefer"]),
    ("sslcompression", &["0"]),
    ("sslsni", &["1"]),
    ("client_encoding", &["UTF8", "utf8", "UTF-8", "utf-8", "auto"]),
    ("sslcertmode", &["allow"]),
];

type Pairs = BTreeMap<String, String>;

/// Reads a URL, and the files that it names.
pub(crate) fn target(url: &str) -> Result<Target> {
    let (mut own, plain) = split(url)?;
    let mut config = parse(&plain)?;
    if let Some(service) = own.get("service") {
        let file = own.get("servicefile").ok_or_else(|| wrong("service needs a servicefile"))?;
        let (more, rest) = sort(service_of(&read(file)?, service)?)?;
        complete(&mut config, parse(&keywords(&rest))?);
        for (name, value) in more {
            own.entry(name).or_insert(value);
        }
    }
    if config.get_application_name().is_none() {
        config
            .application_name(own.get("fallback_application_name").map_or("toji", String::as_str));
    }
    if config.get_password().is_none()
        && let Some(file) = own.get("passfile")
        && let Some(password) = password_of(Path::new(file), &config)?
    {
        config.password(password);
    }
    let trust = trust(&own)?;
    // A socket in the file system is not encrypted, whatever is asked for: libpq's rule.
    let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    config.ssl_mode(match trust {
        _ if local => SslMode::Disable,
        Trust::Off => SslMode::Disable,
        Trust::IfOffered => SslMode::Prefer,
        _ => SslMode::Require,
    });
    let tls = tls::connector(&trust, &own)?;
    Ok(Target { config, tls, own })
}

/// What PostgreSQL's own programs need in their environment to reach the same database in the same way.
pub(crate) fn environment(url: &str) -> Result<Vec<(String, String)>> {
    let Target { config, own, .. } = target(url)?;
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    let numbers = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let addresses: Vec<String> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let password = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let from_own = |name: &str| own.get(name).cloned().unwrap_or_default();
    let all = [
        ("PGHOST", hosts.collect::<Vec<_>>().join(",")),
        ("PGHOSTADDR", addresses.join(",")),
        ("PGPORT", numbers(config.get_ports())),
        ("PGUSER", text(config.get_user())),
        ("PGDATABASE", text(config.get_dbname())),
        ("PGPASSWORD", password.unwrap_or_default()),
        ("PGOPTIONS", text(config.get_options())),
        ("PGSSLMODE", from_own("sslmode")),
        ("PGSSLROOTCERT", from_own("sslrootcert")),
        ("PGSSLCERT", from_own("sslcert")),
        ("PGSSLKEY", from_own("sslkey")),
        ("PGAPPNAME", "toji backup".to_owned()),
    ];
    let given = all.into_iter().filter(|(_, value)| !value.is_empty());
    Ok(given.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn wrong(what: impl Into<String>) -> Error {
    Error::Url(what.into())
}

fn parse(text: &str) -> Result<tokio_postgres::Config> {
    tokio_postgres::Config::from_str(text).map_err(|error| wrong(super::codec::with_cause(&error)))
}

fn read(file: &str) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| wrong(format!("failed to read {file}: {error}")))
}

/// The parameters that are for this module, and the URL without them.
fn split(url: &str) -> Result<(Pairs, String)> {
    let Some((base, query)) = url.split_once('?') else {
        return Ok((Pairs::new(), url.to_owned()));
    };
    let mut rest = Vec::new();
    let mut given = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| wrong(format!("{pair} has no value")))?;
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| wrong(format!("{name} is not UTF-8")))?.into_owned();
        if is_own(name) {
            given.push((name.to_owned(), value));
        } else {
            rest.push(pair);
        }
    }
    let (own, _) = sort(given)?;
    let rest = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((own, rest))
}

fn is_own(name: &str) -> bool {
    OWN.contains(&name) || FIXED.iter().any(|(fixed, _)| *fixed == name)
}

/// The parameters that are for this module, and the others; fixed ones are checked and left out.
fn sort(given: Vec<(String, String)>) -> Result<(Pairs, Pairs)> {
    let (mut own, mut rest) = (Pairs::new(), Pairs::new());
    for (name, value) in given {
        if let Some((_, values)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
            if !values.contains(&value.as_str()) {
                return Err(wrong(format!("{name}={value} cannot be honoured")));
            }
        } else if OWN.contains(&name.as_str()) {
            own.insert(name, value);
        } else {
            rest.insert(name, value);
        }
    }
    Ok((own, rest))
}

/// What to believe of a server, from `sslmode` and what goes with it.
fn trust(own: &Pairs) -> Result<Trust> {
    let root = own.get("sslrootcert").filter(|file| !file.is_empty());
    let system = root.is_some_and(|file| file == "system");
    let mode = own.get("sslmode").map(String::as_str);
    // libpq's rules: the system's authorities are for verify-full alone, and a file that is given is used.
    Ok(match (mode.unwrap_or(if system { "verify-full" } else { "prefer" }), root) {
        (mode, _) if system && mode != "verify-full" => {
            return Err(wrong(format!("sslrootcert=system needs sslmode=verify-full, not {mode}")));
        }
        ("disable", _) => Trust::Off,
        ("allow" | "prefer", _) => Trust::IfOffered,
        ("require", None) => Trust::Anybody,
        ("require" | "verify-ca", Some(file)) => Trust::Authority(file.clone()),
        ("verify-full", Some(_)) if system => Trust::System,
        ("verify-full", Some(file)) => Trust::Name(file.clone()),
        ("verify-ca" | "verify-full", None) => {
            return Err(wrong("sslmode=verify-ca and verify-full need sslrootcert"));
        }
        (other, _) => return Err(wrong(format!("sslmode={other} is unknown"))),
    })
}

/// A connection string of libpq's other form.
fn keywords(pairs: &Pairs) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    let pairs = pairs.iter().map(|(name, value)| format!("{name}='{}'", quoted(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The parameters of a service in the text of a service file.
fn service_of(text: &str, service: &str) -> Result<Vec<(String, String)>> {
    let (mut within, mut found, mut pairs) = (false, false, Vec::new());
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            within = name == service;
            found |= within;
        } else if within {
            let (name, value) =
                line.split_once('=').ok_or_else(|| wrong(format!("service {service}: {line}")))?;
            pairs.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    if found { Ok(pairs) } else { Err(wrong(format!("there is no service {service}"))) }
}

/// Takes from the service what the URL does not say.
fn complete(config: &mut tokio_postgres::Config, service: tokio_postgres::Config) {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        for host in service.get_hosts() {
            match host {
                Host::Tcp(name) => config.host(name),
                Host::Unix(path) => config.host_path(path),
            };
        }
        for address in service.get_hostaddrs() {
            config.hostaddr(*address);
        }
    }
    if config.get_ports().is_empty() {
        for port in service.get_ports() {
            config.port(*port);
        }
    }
    if let (None, Some(user)) = (config.get_user(), service.get_user()) {
        config.user(user);
    }
    if let (None, Some(password)) = (config.get_password(), service.get_password()) {
        config.password(password);
    }
    if let (None, Some(name)) = (config.get_dbname(), service.get_dbname()) {
        config.dbname(name);
    }
    if let (None, Some(options)) = (config.get_options(), service.get_options()) {
        config.options(options);
    }
    if let (None, Some(name)) = (config.get_application_name(), service.get_application_name()) {
        config.application_name(name);
    }
    if let (None, Some(wait)) = (config.get_connect_timeout(), service.get_connect_timeout()) {
        config.connect_timeout(*wait);
    }
}

/// The password for a server in a file of passwords; one that others may read does not count.
fn password_of(file: &Path, config: &tokio_postgres::Config) -> Result<Option<String>> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(about) = std::fs::metadata(file) else { return Ok(None) };
    if about.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "others may read the file of passwords: it is not used");
        return Ok(None);
    }
    let text = read(&file.to_string_lossy())?;
    let user = config.get_user().unwrap_or_default();
    let name = config.get_dbname().unwrap_or(user);
    for (number, host) in config.get_hosts().iter().enumerate() {
        let host = match host {
            Host::Tcp(host) => host.as_str(),
            Host::Unix(_) => "localhost",
        };
        let ports = config.get_ports();
        let port = ports.get(number).or(ports.first()).map_or(5432, |port| *port).to_string();
        let found = text.lines().find_map(|line| password_in(line, &[host, &port, name, user]));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The last field of a line if the ones before it fit; a backslash takes a colon's meaning away.
fn password_in(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(chars.next()),
            c => fields.last_mut()?.push(c),
        }
    }
    let fits =
        fields.len() == 5 && fields.iter().zip(wanted).all(|(f, want)| f == "*" || f == want);
    fits.then(|| fields.pop()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> tokio_postgres::Config {
        target(url).unwrap_or_else(|e| panic!("{url}: {e}")).config
    }

    fn refused(url: &str) -> String {
        target(url).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn modes_of_encryption() {
        assert_eq!(config("postgres://h/d").get_ssl_mode(), SslMode::Prefer);
        assert_eq!(config("postgres://h/d?sslmode=require").get_ssl_mode(), SslMode::Require);
        assert_eq!(config("postgres://h/d?sslmode=disable").get_ssl_mode(), SslMode::Disable);
        let local = config("postgres:///d?host=/run/pg&sslmode=require");
        assert_eq!(local.get_ssl_mode(), SslMode::Disable);
        for (query, text) in [
            ("sslmode=verify-full", "need sslrootcert"),
            ("sslmode=maybe", "maybe is unknown"),
            ("sslmode=require&sslrootcert=system", "needs sslmode=verify-full"),
            ("sslmode=verify-ca&sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("gssencmode=require", "gssencmode=require cannot be honoured"),
            ("service=x", "needs a servicefile"),
            ("nonsense=1", "nonsense"),
        ] {
            let said = refused(&format!("postgres://h/d?{query}"));
            assert!(said.contains(text), "{query}: {said}");
        }
    }

    #[test]
    fn several_servers_and_more() {
        let told = environment("postgres://u:p%40@a:1,b:2/d?sslmode=disable").unwrap();
        let told: Vec<String> =
            told.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            told,
            [
                "PGHOST=a,b",
                "PGPORT=1,2",
                "PGUSER=u",
                "PGDATABASE=d",
                "PGPASSWORD=p@",
                "PGSSLMODE=disable",
                "PGAPPNAME=toji backup"
            ]
        );
        let got = config(
            "postgres://u:p%40@a:1,b:2/d?connect_timeout=7&application_name=x&options=-c%20a%3D1&gssencmode=prefer\
             &target_session_attrs=read-write",
        );
        assert_eq!(got.get_hosts().len(), 2);
        assert_eq!(got.get_ports(), [1, 2]);
        assert_eq!(got.get_password(), Some(&b"p@"[..]));
        assert_eq!(got.get_connect_timeout().map(|t| t.as_secs()), Some(7));
        assert_eq!((got.get_application_name(), got.get_options()), (Some("x"), Some("-c a=1")));
        let plain = config("postgres://a/d?fallback_application_name=hub");
        assert_eq!(plain.get_application_name(), Some("hub"));
        assert_eq!(config("postgres://a/d").get_application_name(), Some("toji"));
    }

    #[test]
    fn services_and_passwords() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (service, passwords) = (dir.path().join("services"), dir.path().join("passwords"));
        std::fs::write(
            &service,
            "# all\n[other]\nhost=x\n[koji]\nhost=db\nport=77\ndbname=k\nuser=u\nsslmode=disable\n",
        )
        .unwrap();
        std::fs::write(&passwords, "#c\ndb:78:*:*:no\ndb:77:k\\:x:u:no\n*:77:k:u:it\\:s:me\n")
            .unwrap();
        let url = |more: &str| {
            let (service, passwords) = (service.display(), passwords.display());
            format!("postgres:///?service=koji&servicefile={service}&passfile={passwords}{more}")
        };
        std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(config(&url("")).get_password(), None);
        std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600)).unwrap();
        let got = config(&url(""));
        assert_eq!(
            (got.get_dbname(), got.get_user(), got.get_ports()),
            (Some("k"), Some("u"), &[77][..])
        );
        assert_eq!(got.get_ssl_mode(), SslMode::Disable);
        assert_eq!(got.get_password(), Some(&b"it:s:me"[..]));
        // what the URL says itself goes first
        let got = config(&url("&dbname=mine"));
        assert_eq!((got.get_dbname(), got.get_password()), (Some("mine"), None));
        assert!(refused(&url("").replace("=koji", "=none")).contains("no service none"));
    }
}
