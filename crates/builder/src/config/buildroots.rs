//! Settings of buildroots: their kind, the cache of their layers, and the limits that must hold.

use toji_sandbox::{Held, LimitReport, Limits};

/// The kinds of buildroots that a builder makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A root of packages alone where the tag's group brings `rpmbuild`, else the view of the host.
    #[default]
    Auto,
    /// A root of packages alone.
    Chroot,
    /// A root that mock makes of the tag's repository.
    Mock,
    /// The view of the host with packages laid over it.
    Host,
}

impl Kind {
    /// Reads a kind by its name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "chroot" => Some(Self::Chroot),
            "mock" => Some(Self::Mock),
            "host" => Some(Self::Host),
            _ => None,
        }
    }
}

/// How buildroots are made.
#[derive(Clone, Debug)]
pub struct Buildroots {
    /// Which kind; a tag may choose where this is [`Kind::Auto`].
    pub kind: Kind,
    /// Size of the cache of layers, in MiB.
    pub cache_size: u64,
    /// Limits, by name, without which no work is done here.
    pub required: Vec<String>,
}

impl Default for Buildroots {
    fn default() -> Self {
        Self { kind: Kind::Auto, cache_size: 20_480, required: Vec::new() }
    }
}

impl Buildroots {
    /// The first required limit that does not hold on this machine, with how it is.
    pub(crate) fn lacking(&self, limits: &Limits) -> Option<(&str, Held)> {
        if self.required.is_empty() {
            return None;
        }
        let entries = LimitReport::here(limits).entries();
        self.required.iter().find_map(|name| {
            let held = entries.iter().find(|(known, _)| known == name).map(|(_, held)| *held);
            match held {
                Some(Held::Unlimited | Held::Sampled) | None => {
                    Some((name.as_str(), held.unwrap_or(Held::Unlimited)))
                }
                Some(_) => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_are_only_watched_do_not_count() {
        let with = |names: &[&str]| Buildroots {
            required: names.iter().map(ToString::to_string).collect(),
            ..Buildroots::default()
        };
        let limits = Limits { disk: Some(1), ..Limits::for_build() };
        assert_eq!(with(&[]).lacking(&limits), None);
        assert_eq!(with(&["time", "output"]).lacking(&limits), None);
        assert_eq!(with(&["time", "disk"]).lacking(&limits), Some(("disk", Held::Sampled)));
        assert_eq!(with(&["sorcery"]).lacking(&limits), Some(("sorcery", Held::Unlimited)));
    }
}
