//! Options of Koji's plugin `protonmsg`: where messages go, and whether the database keeps them.

use std::path::PathBuf;
use std::time::Duration;

use super::PluginOptions;

/// `protonmsg.conf`, as far as sending goes.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageOptions {
    /// `[broker] urls`: the brokers, of which one gets the messages.
    pub urls: Vec<String>,
    /// `[broker] cert`: the client's certificate and key, in one PEM file.
    pub certificate: Option<PathBuf>,
    /// `[broker] cacert`: the authorities that the broker's certificate may come from.
    pub authorities: Option<PathBuf>,
    /// `[broker] topic_prefix`, as addresses begin with it: `topic://koji`.
    pub prefix: String,
    /// `[broker] connect_timeout`.
    pub connect_timeout: Duration,
    /// `[broker] send_timeout`: for one batch.
    pub send_timeout: Duration,
    /// `[broker] test_mode`: nothing is sent; with `test_mode_fail`, so many of a hundred fail.
    pub test_mode: Option<u8>,
    /// `[message] ttl`: how long a broker keeps a message.
    pub ttl: Option<Duration>,
    /// `[queue]`, if it is enabled.
    pub queue: Option<QueueOptions>,
}

/// `protonmsg.conf`, section `queue`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueOptions {
    /// `batch_size`: messages that are sent at a time.
    pub batch_size: i64,
    /// `max_age`: seconds for which an unsent message is kept.
    pub max_age: f64,
}

const HOUR: f64 = 3_600.0;

impl MessageOptions {
    /// Reads the file; nothing if it names no broker.
    ///
    /// # Errors
    /// Section and name of an option that is wrong.
    pub fn read(file: &PluginOptions) -> Result<Option<MessageOptions>, String> {
        let text = |section: &str, name: &str| {
            let value = file.get(section)?.get(name)?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let wrong = |section: &str, name: &str| format!("[{section}] {name}");
        let number = |section: &str, name: &str, or: f64| match text(section, name) {
            None => Ok(or),
            Some(text) => match text.parse::<f64>() {
                Ok(n) if (0.0..=1e9).contains(&n) => Ok(n),
                _ => Err(wrong(section, name)),
            },
        };
        let switch = |section: &str, name: &str| match text(section, name) {
            None => Ok(false),
            Some(text) => super::plugins::truth(&text).ok_or_else(|| wrong(section, name)),
        };
        let urls: Vec<String> = text("broker", "urls")
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        if urls.is_empty() {
            return Ok(None);
        }
        let seconds = |section, name, or| number(section, name, or).map(Duration::from_secs_f64);
        let fail = number("broker", "test_mode_fail", 0.0)?.min(100.0);
        let ttl = seconds("message", "ttl", 0.0)?;
        // `age` is the older name; zero means that it is not set.
        let age = match number("queue", "max_age", 0.0)? {
            0.0 => number("queue", "age", 24.0)?,
            hours => hours,
        };
        let batch = number("queue", "batch_size", 100.0)?;
        let queue = QueueOptions { batch_size: (batch as i64).max(1), max_age: age * HOUR };
        Ok(Some(MessageOptions {
            urls,
            certificate: text("broker", "cert").map(PathBuf::from),
            authorities: text("broker", "cacert").map(PathBuf::from),
            prefix: prefix(text("broker", "topic_prefix").unwrap_or_else(|| "koji".to_owned())),
            connect_timeout: seconds("broker", "connect_timeout", 10.0)?,
            send_timeout: seconds("broker", "send_timeout", 60.0)?,
            test_mode: switch("broker", "test_mode")?.then_some(fail as u8),
            ttl: (!ttl.is_zero()).then_some(ttl),
            queue: switch("queue", "enabled")?.then_some(queue),
        }))
    }

    /// The address of a message at the broker.
    pub fn address(&self, topic: &str) -> String {
        format!("{}.{topic}", self.prefix)
    }
}

/// RabbitMQ wants topics to begin with `/topic/`, ActiveMQ with `topic://`; the second is Koji's default.
fn prefix(text: String) -> String {
    let known = text.starts_with("/topic/") || text.starts_with("topic://");
    if known { text } else { format!("topic://{text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str, &str)]) -> Result<Option<MessageOptions>, String> {
        let mut file = PluginOptions::new();
        for (section, name, value) in pairs {
            let section = file.entry((*section).to_owned()).or_default();
            section.insert((*name).to_owned(), (*value).to_owned());
        }
        MessageOptions::read(&file)
    }

    #[test]
    fn a_file_of_koji_is_read() {
        let found = read(&[
            ("broker", "urls", "amqps://one:5671 amqps://two:5671"),
            ("broker", "cert", "/etc/koji-hub/plugins/client.pem"),
            ("broker", "topic_prefix", "koji"),
            ("broker", "send_timeout", "7"),
            ("message", "ttl", "1.5"),
            ("queue", "enabled", "true"),
            ("queue", "age", "2"),
        ]);
        let found = found.unwrap().unwrap();
        assert_eq!(found.urls.len(), 2);
        assert_eq!(found.address("build.tag"), "topic://koji.build.tag");
        let timeouts = (found.connect_timeout.as_secs(), found.send_timeout.as_secs());
        assert_eq!(timeouts, (10, 7));
        assert_eq!(found.ttl, Some(Duration::from_millis(1500)));
        assert_eq!(found.queue, Some(QueueOptions { batch_size: 100, max_age: 7_200.0 }));
    }

    #[test]
    fn prefixes_of_brokers_stay() {
        for (given, wanted) in
            [("/topic/koji", "/topic/koji.a"), ("topic://k", "topic://k.a"), ("k", "topic://k.a")]
        {
            let found = read(&[("broker", "urls", "amqp://b"), ("broker", "topic_prefix", given)]);
            assert_eq!(found.unwrap().unwrap().address("a"), wanted);
        }
    }

    #[test]
    fn without_a_broker_there_is_nothing_to_send() {
        assert_eq!(read(&[("queue", "enabled", "true")]), Ok(None));
        let wrong = read(&[("broker", "urls", "amqp://b"), ("queue", "batch_size", "many")]);
        assert_eq!(wrong, Err("[queue] batch_size".to_owned()));
    }
}
