//! The database that `DBName`, its relatives and `DBConnectionString` mean, as a URL.

use std::path::Path;

use anyhow::{Context as _, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What may stand in a query without being escaped.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/');
/// Where PostgreSQL's own library looks for a local server.
const SOCKETS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];
/// Parameters of a connection string that the database library knows.
const KNOWN: [&str; 15] = [
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

fn url(mut given: Vec<(String, String)>) -> anyhow::Result<String> {
    if let Some((name, _)) = given.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        bail!("the database parameter {name} cannot be honoured");
    }
    let has = |name: &str| given.iter().any(|(given, _)| given == name);
    if !has("host") && !has("hostaddr") {
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
    fn mistakes_are_named() {
        for (connection, text) in [
            ("dbname", "a name without a value"),
            ("dbname='koji", "no closing quote"),
            ("dbname=koji sslrootcert=/ca", "sslrootcert"),
        ] {
            let database = Database { connection: own(connection), ..Database::default() };
            assert!(format!("{:#}", database.url().unwrap_err()).contains(text), "{connection}");
        }
    }
}
