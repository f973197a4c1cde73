//! The database that `DBName`, its relatives and `DBConnectionString` mean, as a URL.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a query without being escaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');
/// Where PostgreSQL's own library looks for a local server.
const SOCKETS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];
/// Parameters of a connection string that the database library knows.
const KNOWN: [&str; 32] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslmode",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "target_session_attrs",
    "load_balance_hosts",
    "keepalives_interval",
    "keepalives_retries",
    "channel_binding",
    "sslnegotiation",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslcertmode",
    "sslcompression",
    "sslsni",
    "ssl_min_protocol_version",
    "gssencmode",
    "client_encoding",
    "passfile",
    "service",
    "servicefile",
    "fallback_application_name",
];
/// Parameters that may be in the environment: libpq's variables, and its files in the home directory.
const ENVIRONMENT: [(&str, &str, Option<&str>); 10] = [
    ("passfile", "PGPASSFILE", Some(".pgpass")),
    ("servicefile", "PGSERVICEFILE", Some(".pg_service.conf")),
    ("service", "PGSERVICE", None),
    ("sslmode", "PGSSLMODE", None),
    ("sslrootcert", "PGSSLROOTCERT", Some(".postgresql/root.crt")),
    ("sslcert", "PGSSLCERT", Some(".postgresql/postgresql.crt")),
    ("sslkey", "PGSSLKEY", Some(".postgresql/postgresql.key")),
    ("connect_timeout", "PGCONNECT_TIMEOUT", None),
    ("options", "PGOPTIONS", None),
    ("application_name", "PGAPPNAME", None),
];

/// The options of `hub.conf`; those not given are left to the server's defaults.
#[derive(Debug, Default)]
pub(crate) struct Database {
    pub(crate) connection: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<i64>,
    pub(crate) password: Option<String>,
}

impl Database {
    /// The URL; nothing when the file names no database.
    pub(crate) fn url(&self) -> anyhow::Result<Option<String>> {
        let text = |value: &Option<String>| value.clone().filter(|text| !text.is_empty());
        let given = match text(&self.connection) {
            Some(connection) if connection.contains("://") => return Ok(Some(connection)),
            Some(connection) => parse(&connection).context("failed to read DBConnectionString")?,
            None if text(&self.name).is_none() => return Ok(None),
            None => {
                let port = self.port.map(|port| port.to_string());
                let all = [
                    ("dbname", text(&self.name)),
                    ("user", text(&self.user)),
                    ("host", text(&self.host)),
                    ("port", port),
                    ("password", text(&self.password)),
                ];
                all.into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                    .collect()
            }
        };
        url(given).map(Some)
    }
}

/// The URL with what the environment says and it does not, as libpq does it; other databases' URLs stay as they are.
///
/// Files in the home directory count if they are there.
pub(crate) fn complete(url: String, variable: impl Fn(&str) -> Option<String>) -> String {
    if !url.starts_with("postgres") {
        return url;
    }
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let given: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let home = variable("HOME").map(PathBuf::from);
    let mut more = Vec::new();
    for (name, variable_name, file) in ENVIRONMENT.iter().filter(|(name, ..)| !given.contains(name))
    {
        let usual = || home.as_ref().zip(file.as_ref()).map(|(home, file)| home.join(file));
        let usual =
            || usual().filter(|file| file.is_file()).map(|f| f.to_string_lossy().into_owned());
        if let Some(value) =
            variable(variable_name).or_else(usual).filter(|value| !value.is_empty())
        {
            more.push(format!("{name}={}", utf8_percent_encode(&value, PLAIN)));
        }
    }
    let mark = if query.is_empty() { "?" } else { "&" };
    if more.is_empty() {
        url
    } else {
        format!("{}{mark}{}", url.trim_end_matches('?'), more.join("&"))
    }
}

fn url(mut given: Vec<(String, String)>) -> anyhow::Result<String> {
    if let Some((name, _)) = given.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        bail!("the database parameter {name} cannot be honoured");
    }
    let has = |name: &str| given.iter().any(|(given, _)| given == name);
    if !has("host") && !has("hostaddr") && !has("service") {
        let port = given.iter().find(|(name, _)| name == "port").map_or("5432", |(_, port)| port);
        let socket = |dir: &&str| Path::new(dir).join(format!(".s.PGSQL.{port}")).exists();
        let dir = SOCKETS.iter().find(|dir| socket(dir)).unwrap_or(&SOCKETS[0]);
        given.push(("host".to_owned(), (*dir).to_owned()));
    }
    let escaped = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let query: Vec<String> =
        given.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    Ok(format!("postgres:///?{}", query.join("&")))
}

/// The pairs of a libpq connection string: `name = value`, values in single quotes with
/// backslashes where they need it.
fn parse(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').context("a name without a value")?;
        let mut chars = after.trim_start().chars();
        let mut value = String::new();
        let quoted = chars.as_str().starts_with('\'');
        if quoted {
            chars.next();
        }
        let mut closed = !quoted;
        while let Some(c) = chars.next() {
            match c {
                '\\' => value.extend(chars.next()),
                '\'' if quoted => {
                    closed = true;
                    break;
                }
                c if !quoted && c.is_whitespace() => break,
                c => value.push(c),
            }
        }
        if !closed {
            bail!("the value of {} has no closing quote", name.trim());
        }
        pairs.push((name.trim().to_owned(), value));
        rest = chars.as_str().trim_start();
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn parts_become_a_url() {
        let mut database = Database::default();
        assert_eq!(database.url().unwrap(), None);
        database.name = own("koji");
        database.user = own("koji");
        database.host = own("db.example.com");
        database.port = Some(5433);
        database.password = own("s p@c&e");
        let url = "postgres:///?dbname=koji&user=koji&host=db.example.com&port=5433&password=s%20p%40c%26e";
        assert_eq!(database.url().unwrap(), own(url));
    }

    #[test]
    fn a_connection_string_comes_first() {
        let connection = r"dbname=koji user = 'ko ji' password='it\'s' host=/run/pg  port=1";
        let database =
            Database { connection: own(connection), name: own("x"), ..Database::default() };
        let url = "postgres:///?dbname=koji&user=ko%20ji&password=it%27s&host=/run/pg&port=1";
        assert_eq!(database.url().unwrap(), own(url));
        let whole = Database { connection: own("postgres://h/d"), ..Database::default() };
        assert_eq!(whole.url().unwrap(), own("postgres://h/d"));
    }

    #[test]
    fn without_a_host_it_is_the_local_server() {
        let database = Database { name: own("koji"), ..Database::default() };
        let url = database.url().unwrap().unwrap();
        assert!(url.contains("&host=/") && url.starts_with("postgres:///?dbname=koji"), "{url}");
    }

    #[test]
    fn the_environment_completes() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".pgpass"), "").unwrap();
        let variable = |name: &str| match name {
            "HOME" => Some(home.path().to_string_lossy().into_owned()),
            "PGSSLMODE" => Some("require".to_owned()),
            "PGOPTIONS" => Some("-c a=1".to_owned()),
            _ => None,
        };
        let passfile =
            utf8_percent_encode(&home.path().join(".pgpass").to_string_lossy(), PLAIN).to_string();
        let got = complete("postgres://h/d?sslmode=disable".to_owned(), variable);
        assert_eq!(
            got,
            format!("postgres://h/d?sslmode=disable&passfile={passfile}&options=-c%20a%3D1")
        );
        let got = complete("postgres://h/d".to_owned(), variable);
        assert_eq!(
            got,
            format!("postgres://h/d?passfile={passfile}&sslmode=require&options=-c%20a%3D1")
        );
        assert_eq!(complete("sqlite:/x".to_owned(), variable), "sqlite:/x");
    }

    #[test]
    fn mistakes_are_named() {
        for (connection, text) in [
            ("dbname", "a name without a value"),
            ("dbname='koji", "no closing quote"),
            ("dbname=koji krbsrvname=pg", "krbsrvname"),
        ] {
            let database = Database { connection: own(connection), ..Database::default() };
            assert!(format!("{:#}", database.url().unwrap_err()).contains(text), "{connection}");
        }
    }
}
