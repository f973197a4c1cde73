//! What builder, tag and source say about the commands in a room: macros, variables, limits, the time.

use toji_rpmfile::{Header, tag};
use toji_sandbox::{Command, Limits};
use toji_value::Value;

use super::{Room, TOPDIR};
use crate::config::Config;

/// The option of a tag that wants the same packages from the same source, whenever and wherever it is built.
const OPTION: &str = "toji.reproducible";
/// The time of the source for the build and, at the latest, for its files; a host of no name.
const REPRODUCIBLE: &str = "%source_date_epoch_from_changelog 1\n%use_source_date_epoch_as_buildtime 1\n\
    %clamp_mtime_to_source_date_epoch 1\n%_buildhost reproducible\n";

/// What is mounted in an image while it is made belongs to packages, too, which cannot change it.
const IMAGE: &str = "%_netsharedpath /proc:/sys:/dev\n";

/// Who is said to have made the packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Makers {
    pub(crate) packager: String,
    pub(crate) vendor: String,
    pub(crate) distribution: String,
}

impl Makers {
    /// Those of a builder.
    pub(super) fn of(config: &Config) -> Self {
        let [packager, vendor, distribution] =
            [&config.packager, &config.vendor, &config.distribution].map(Clone::clone);
        Makers { packager, vendor, distribution }
    }
}

impl Room<'_> {
    /// The macros of the builder and of the tag, which come last and win.
    pub(super) fn macros(&self, hostname: &str) -> String {
        let Makers { packager, vendor, distribution } = &self.makers;
        let mut macros = format!(
            "%_topdir {TOPDIR}\n%_rpmfilename %%{{NAME}}-%%{{VERSION}}-%%{{RELEASE}}.%%{{ARCH}}.rpm\n\
             %_buildhost {hostname}\n%packager {packager}\n%vendor {vendor}\n%distribution {distribution}\n",
        );
        if self.extras.image.is_some() {
            macros.push_str(IMAGE);
        }
        if self.is_reproducible() {
            macros.push_str(REPRODUCIBLE);
        }
        for (key, value) in self.extra() {
            if let Some(name) = key.strip_prefix("rpm.macro.") {
                macros.push_str(&format!("%{name} {}\n", value.display().replace('\n', "\\\n")));
            }
        }
        macros
    }

    /// Adds limits and variables; those of the tag win.
    pub(super) fn equip(&self, command: Command) -> Command {
        let mut command = command.limits(self.limits());
        if let Some(epoch) = self.epoch {
            command = command.env("SOURCE_DATE_EPOCH", epoch.to_string());
        }
        for (key, value) in self.extra() {
            if let Some(name) = key.strip_prefix("rpm.env.") {
                command = command.env(name, value.display());
            }
        }
        command
    }

    fn limits(&self) -> Limits {
        self.task.config().limits.clone()
    }

    /// Takes the time of the build from its source, if the tag wants that.
    pub(super) fn date_by(&mut self, source: &Header) {
        self.epoch = if self.is_reproducible() { date(source) } else { None };
    }

    fn is_reproducible(&self) -> bool {
        self.extra().any(|(key, value)| key == OPTION && value.truthy())
    }

    fn extra(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.config.get("extra").as_struct().into_iter().flat_map(|extra| extra.iter())
    }
}

/// The time of a source: that of its newest change, or of the source package itself, if that is earlier or all there is.
///
/// A time that has not come yet would leave the files of a build their own times.
fn date(source: &Header) -> Option<u64> {
    source.int(tag::CHANGELOGTIME).into_iter().chain(source.build_time()).min()
}

#[cfg(test)]
mod tests {
    use toji_rpmfile::{HeaderKind, Limits};

    use super::*;

    /// A header with these numbers.
    fn header(entries: &[(u32, u32)]) -> Header {
        let mut raw = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
        let (count, length) = (entries.len() as u32, entries.len() as u32 * 4);
        raw.extend([count, length].into_iter().flat_map(u32::to_be_bytes));
        for (at, (tag, _)) in entries.iter().enumerate() {
            // one number of 32 bits
            raw.extend([*tag, 4, at as u32 * 4, 1].into_iter().flat_map(u32::to_be_bytes));
        }
        raw.extend(entries.iter().flat_map(|(_, value)| value.to_be_bytes()));
        Header::parse(raw, HeaderKind::Main, &Limits::default()).unwrap()
    }

    #[test]
    fn a_source_dates_its_builds() {
        assert_eq!(date(&header(&[(tag::BUILDTIME, 500)])), Some(500));
        let of =
            |made, changed| date(&header(&[(tag::BUILDTIME, made), (tag::CHANGELOGTIME, changed)]));
        assert_eq!(of(500, 300), Some(300));
        assert_eq!(of(500, 900), Some(500), "a change that has not happened yet");
    }
}
