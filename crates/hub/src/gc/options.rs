//! What is garbage: the options of Koji's `koji-gc.conf`, with its names, meanings and defaults.

use std::collections::BTreeMap;

use toji_policy::{RuleSet, glob_match};

use super::{Action, rules};

/// A mistake in the options.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A time that cannot be read.
    #[error("{0}: invalid time interval: {1}")]
    Interval(String, String),
    /// A switch that is neither on nor off.
    #[error("{0}: neither yes nor no: {1}")]
    Switch(String, String),
    /// The policy cannot be read.
    #[error("policy: {0}")]
    Policy(#[from] toji_policy::ParseError),
    /// The policy answers something that is no action.
    #[error("policy: invalid action: {0}")]
    Action(String),
}

/// The options; times in seconds.
#[derive(Clone, Debug)]
pub struct Options {
    /// `trashcan_tag`: the tag that holds builds until they are deleted.
    pub trashcan: String,
    /// `delay`: how long a build must have been unused before it goes to the trash.
    pub delay: f64,
    /// `grace_period`: how long it stays there.
    pub grace: f64,
    /// `unprotected_keys`: patterns of keys whose signatures protect nothing.
    pub unprotected_keys: Vec<String>,
    /// `key_aliases`: names of keys, by the key in capital letters.
    pub key_aliases: BTreeMap<String, String>,
    /// `tag_filter`: only tags like these are pruned.
    pub tag_filter: Vec<String>,
    /// `ignore_tags`: tags like these are not.
    pub ignore_tags: Vec<String>,
    /// `pkg_filter`: only packages like these are looked at.
    pub pkg_filter: Vec<String>,
    /// `bypass_locks`: tags like these are pruned although they are locked.
    pub bypass_locks: Vec<String>,
    /// `purge`: what was untagged is deleted at once.
    pub purge: bool,
    /// `[prune] policy`.
    pub policy: Option<RuleSet>,
    /// `mail`: owners are told of what goes to the trash.
    pub mail: bool,
    /// `email_domain`; the hub's if not given.
    pub email_domain: Option<String>,
    /// `from_addr`.
    pub from_addr: String,
    /// `cc_addr`.
    pub cc: Vec<String>,
    /// `bcc_addr`.
    pub bcc: Vec<String>,
    /// `weburl`; the hub's if not given.
    pub web_url: Option<String>,
    /// The text of the file `email_template`, in which `${builds}` and `${owner}` are filled in.
    pub template: Option<String>,
    /// The user in whose name the work is done; it is made at the first use.
    pub user: String,
    /// What koji-sweep-db takes.
    pub sweep: Sweep,
    /// What koji-sidetag-cleanup takes.
    pub side_tags: SideTags,
    /// What `koji prune-signed-copies` takes, if anything.
    pub signed: Option<Signed>,
    /// `compress_logs`: the age in seconds from which on logs are compressed; not without it.
    pub compress_logs: Option<f64>,
    /// `archive_volume`: where builds go that nothing has used for long; nowhere without it.
    pub archive_volume: Option<String>,
    /// `archive_age`: for how many seconds no tag must have held them, and no buildroot had them; a year if not given.
    pub archive_age: Option<f64>,
    /// Whether nothing else is done.
    pub only_logs: bool,
}

/// Which signed copies stay, `[signed-copies]` of the file.
#[derive(Clone, Debug)]
pub struct Signed {
    /// `delay`: seconds for which the copies of a build stay that is latest nowhere any more.
    pub delay: f64,
    /// `ignore_tags`: tags like these do not count.
    pub ignore_tags: Vec<String>,
    /// `protect_tags`: what is in tags like these keeps its copies.
    pub protect_tags: Vec<String>,
    /// `keys`: only copies with these keys, or their aliases, go.
    pub keys: Vec<String>,
}

impl Default for Signed {
    fn default() -> Self {
        let none = Vec::new;
        Signed { delay: 5.0 * DAY, ignore_tags: none(), protect_tags: none(), keys: none() }
    }
}

/// Ages of rows that are swept, in seconds; without an age they stay.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Sessions that nobody has used for so long.
    pub sessions: f64,
    /// Sessions that began so long ago.
    pub sessions_absolute: Option<f64>,
    /// Reservations of content generators.
    pub reservations: f64,
    /// The scheduler's log.
    pub logs: f64,
    /// Tasks that told of taggings.
    pub tag_notifications: Option<f64>,
    /// Tasks of scratch builds.
    pub scratch: Option<f64>,
    /// Buildroots that nothing names any more.
    pub buildroots: bool,
}

/// Ages of side tags that are removed, in seconds; without an age the reason is none.
#[derive(Clone, Debug)]
pub struct SideTags {
    /// Without builds, and so old.
    pub empty: Option<f64>,
    /// So old.
    pub old: Option<f64>,
    /// Without a new build for so long.
    pub inactive: Option<f64>,
    /// Tags like these stay.
    pub ignore: Vec<String>,
}

const DAY: f64 = 86_400.0;
/// The age of logs that are compressed if none is given.
pub(super) const LOG_AGE: f64 = 30.0 * DAY;

impl Default for Options {
    fn default() -> Self {
        Options {
            trashcan: "trashcan".into(),
            delay: 5.0 * DAY,
            grace: 28.0 * DAY,
            unprotected_keys: Vec::new(),
            key_aliases: BTreeMap::new(),
            tag_filter: Vec::new(),
            ignore_tags: Vec::new(),
            pkg_filter: Vec::new(),
            bypass_locks: Vec::new(),
            purge: false,
            policy: None,
            mail: true,
            email_domain: None,
            from_addr: "Koji Build System <buildsys@example.com>".into(),
            cc: Vec::new(),
            bcc: Vec::new(),
            web_url: None,
            template: None,
            user: "koji-gc".into(),
            sweep: Sweep {
                sessions: DAY,
                sessions_absolute: None,
                reservations: DAY,
                logs: 7.0 * DAY,
                tag_notifications: None,
                scratch: None,
                buildroots: false,
            },
            side_tags: SideTags {
                empty: Some(DAY),
                old: Some(30.0 * DAY),
                inactive: Some(10.0 * DAY),
                ignore: Vec::new(),
            },
            signed: None,
            compress_logs: None,
            archive_volume: None,
            archive_age: None,
            only_logs: false,
        }
    }
}

/// The options of one section by name.
pub type Section = BTreeMap<String, String>;

impl Options {
    /// Reads the sections `[main]` and `[prune]`; what is not there keeps its default, what is unknown is passed over.
    ///
    /// # Errors
    /// For times, switches and policies that cannot be read.
    pub fn read(main: &Section, prune: &Section) -> Result<Options, Error> {
        let mut options = Options::default();
        for (name, value) in main {
            options.set(name, value)?;
        }
        if let Some(text) = prune.get("policy") {
            options.policy = Some(rules::parse(text)?);
        }
        Ok(options)
    }

    /// Options of a hub that collects nothing but compresses logs of this age in seconds.
    pub fn logs_alone(age: f64) -> Options {
        Options { compress_logs: Some(age), only_logs: true, ..Options::default() }
    }

    /// Reads the section `[signed-copies]`, which switches that pruning on.
    ///
    /// # Errors
    /// For a time that cannot be read.
    pub fn read_signed(&mut self, section: &Section) -> Result<(), Error> {
        let mut signed = Signed::default();
        for (name, value) in section {
            match name.as_str() {
                "delay" => signed.delay = interval(name, value)?,
                "ignore_tags" => signed.ignore_tags = list(value),
                "protect_tags" => signed.protect_tags = list(value),
                "keys" => signed.keys = words(value),
                _ => {}
            }
        }
        self.signed = Some(signed);
        Ok(())
    }

    /// What a run does that is not told otherwise, in this order.
    pub fn actions(&self) -> Vec<Action> {
        let logs = self.compress_logs.map(|_| Action::CompressLogs);
        if self.only_logs {
            return logs.into_iter().collect();
        }
        let signed = self.signed.as_ref().map(|_| Action::SignedCopies);
        let archive = self.archive_volume.as_ref().map(|_| Action::ArchiveBuilds);
        let more = signed.into_iter().chain(logs).chain(archive).chain([Action::Uploads]);
        Action::ALL.into_iter().chain(more).collect()
    }

    /// Sets one option of `[main]`.
    ///
    /// # Errors
    /// For a value that cannot be read.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let text = || value.trim().to_owned();
        match name {
            "trashcan_tag" => self.trashcan = text(),
            "delay" => self.delay = interval(name, value)?,
            "grace_period" => self.grace = interval(name, value)?,
            "unprotected_keys" => self.unprotected_keys = words(value),
            "key_aliases" => self.key_aliases = aliases(value),
            "tag_filter" => self.tag_filter = list(value),
            "ignore_tags" => self.ignore_tags = list(value),
            "pkg_filter" => self.pkg_filter = list(value),
            "bypass_locks" => self.bypass_locks = list(value),
            "purge" => self.purge = switch(name, value)?,
            "mail" => self.mail = switch(name, value)?,
            "email_domain" => self.email_domain = Some(text()),
            "from_addr" => self.from_addr = text(),
            "cc_addr" => self.cc = list(value),
            "bcc_addr" => self.bcc = list(value),
            "weburl" => self.web_url = Some(text()),
            "user" => self.user = text(),
            "archive_volume" => self.archive_volume = Some(text()).filter(|name| !name.is_empty()),
            "archive_age" => self.archive_age = Some(interval(name, value)?),
            "compress_logs" => self.compress_logs = Some(interval(name, value)?),
            _ => {}
        }
        Ok(())
    }

    /// Whether a tag is to be pruned.
    pub fn takes_tag(&self, name: &str) -> bool {
        !any(&self.ignore_tags, name) && (self.tag_filter.is_empty() || any(&self.tag_filter, name))
    }

    /// Whether builds of a package are looked at.
    pub fn takes_package(&self, name: &str) -> bool {
        self.pkg_filter.is_empty() || any(&self.pkg_filter, name)
    }

    /// Whether a tag's lock is passed over.
    pub fn bypasses(&self, tag: &str) -> bool {
        any(&self.bypass_locks, tag)
    }

    /// Whether a key, or its alias, fits one of the patterns.
    pub fn key_fits(&self, key: &str, patterns: &[String]) -> bool {
        let alias = self.key_aliases.get(&key.to_uppercase());
        any(patterns, key) || alias.is_some_and(|alias| any(patterns, alias))
    }

    /// The first of these keys that protects what it signed.
    pub fn protecting<'k>(&self, keys: &'k [String]) -> Option<&'k str> {
        let protects = |key: &&String| !self.key_fits(key, &self.unprotected_keys);
        keys.iter().find(protects).map(String::as_str)
    }
}

fn any(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| glob_match(text, pattern))
}

fn words(value: &str) -> Vec<String> {
    let parts = value.split([',', ' ', '\n', '\t']).filter(|word| !word.is_empty());
    parts.map(str::to_owned).collect()
}

fn list(value: &str) -> Vec<String> {
    let parts = value.split(',').map(str::trim).filter(|word| !word.is_empty());
    parts.map(str::to_owned).collect()
}

fn aliases(value: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_uppercase(), words.next()?.to_owned()))
    };
    value.lines().filter_map(pair).collect()
}

fn switch(name: &str, value: &str) -> Result<bool, Error> {
    match value.trim().to_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(Error::Switch(name.to_owned(), value.to_owned())),
    }
}

fn interval(name: &str, value: &str) -> Result<f64, Error> {
    let wrong = || Error::Interval(name.to_owned(), value.to_owned());
    seconds(value).ok_or_else(wrong)
}

/// Seconds of a time such as `5 days`, `12weeks` or `1 hour 30 min`; nothing for what is none.
pub fn seconds(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    let mut number = None;
    for word in text.split_whitespace() {
        let (amount, unit) = match number.take() {
            Some(amount) => (amount, word),
            None => {
                let end = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
                let amount = word[..end].parse::<f64>().ok()?;
                if end == word.len() {
                    number = Some(amount);
                    continue;
                }
                (amount, &word[end..])
            }
        };
        sum += amount * unit_seconds(unit)?;
    }
    number.is_none().then_some(sum)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit.to_lowercase().as_str() {
        "week" | "weeks" | "wk" | "wks" => 604_800.0,
        "day" | "days" => DAY,
        "hour" | "hours" | "hr" | "hrs" => 3_600.0,
        "minute" | "minutes" | "min" | "mins" => 60.0,
        "second" | "seconds" | "sec" | "secs" | "s" => 1.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, wanted) in [
            ("5 days", Some(5.0 * DAY)),
            ("12weeks", Some(84.0 * DAY)),
            ("1 hour 30 min", Some(5_400.0)),
            ("0 seconds", Some(0.0)),
            ("1.5 Days", Some(1.5 * DAY)),
            ("", Some(0.0)),
            ("5", None),
            ("5 fortnights", None),
            ("days", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_file_of_koji_is_taken() {
        let section = |pairs: &[(&str, &str)]| -> Section {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let main = section(&[
            ("key_aliases", "\n30C9ECF8    fedora-test\n4f2a6fd2 fedora-gold"),
            ("unprotected_keys", "\nfedora-test\nfedora-extras"),
            ("server", "https://koji.example.org/kojihub"),
            ("ignore_tags", "*-old, dist-*"),
            ("delay", "3 days"),
            ("mail", "off"),
        ]);
        let prune = section(&[("policy", "sig fedora-gold :: keep\norder > 2 :: untag")]);
        let options = Options::read(&main, &prune).expect("options");
        assert_eq!(options.delay, 3.0 * DAY);
        assert!(!options.mail && options.policy.is_some());
        assert!(!options.takes_tag("f1-old") && options.takes_tag("f40"));
        assert_eq!(options.protecting(&["30c9ecf8".into()]), None);
        let keys = ["30c9ecf8".to_owned(), "4f2a6fd2".to_owned()];
        assert_eq!(options.protecting(&keys), Some("4f2a6fd2"));
    }

    #[test]
    fn mistakes_are_named() {
        let mut options = Options::default();
        assert!(matches!(options.set("delay", "soon"), Err(Error::Interval(..))));
        assert!(matches!(options.set("purge", "maybe"), Err(Error::Switch(..))));
    }
}
