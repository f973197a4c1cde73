//! The values of one package in two repositories.

use std::collections::BTreeSet;
use std::fmt::Debug;

use toji_repodata::Part;
use toji_repodata::reader::{
    Dependency, Filelists, FilelistsEntry, Other, OtherEntry, Primary, PrimaryEntry, ReadLimits,
};

use super::Options;
use crate::error::At as _;
use crate::store::Store;
use crate::{Error, Result};

/// A line for each value that differs.
pub(super) fn compare(
    (old, o): (&Store, usize),
    (new, n): (&Store, usize),
    options: Options,
) -> Result<Vec<String>> {
    let (a, b) =
        (old.texts(o).at("the first repository")?, new.texts(n).at("the second repository")?);
    let mut lines = Lines::default();
    if a[0] != b[0] {
        primary(&read_primary(&a[0])?, &read_primary(&b[0])?, options, &mut lines);
    }
    if a[1] != b[1] {
        let (a, b): (FilelistsEntry, FilelistsEntry) = (read_lists(&a[1])?, read_lists(&b[1])?);
        lines.set("file", &a.files, &b.files, |file| format!("{} {}", file.path, file.kind));
    }
    if a[2] != b[2] {
        let (a, b) = (read_other(&a[2])?, read_other(&b[2])?);
        let text =
            |c: &toji_repodata::reader::Change| format!("{} {} {:?}", c.date, c.author, c.text);
        lines.set("changelog", &a.changelogs, &b.changelogs, text);
    }
    Ok(lines.0)
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn value<T: PartialEq + Debug>(&mut self, name: &str, a: &T, b: &T) {
        if a != b {
            self.0.push(format!("{name}: {a:?} became {b:?}"));
        }
    }

    fn set<T: Ord>(&mut self, name: &str, a: &[T], b: &[T], text: impl Fn(&T) -> String) {
        let (olds, news): (BTreeSet<&T>, BTreeSet<&T>) = (a.iter().collect(), b.iter().collect());
        let before = self.0.len();
        self.0.extend(olds.difference(&news).map(|v| format!("{name}: - {}", text(v).trim())));
        self.0.extend(news.difference(&olds).map(|v| format!("{name}: + {}", text(v).trim())));
        if self.0.len() == before && a != b {
            self.0.push(format!("{name}: another order"));
        }
    }
}

fn primary(a: &PrimaryEntry, b: &PrimaryEntry, options: Options, lines: &mut Lines) {
    lines.value("checksum", &(&a.checksum_type, &a.checksum), &(&b.checksum_type, &b.checksum));
    lines.value("summary", &a.summary, &b.summary);
    lines.value("description", &a.description, &b.description);
    lines.value("packager", &a.packager, &b.packager);
    lines.value("url", &a.url, &b.url);
    lines.value("build time", &a.build_time, &b.build_time);
    lines.value("size", &a.package_size, &b.package_size);
    lines.value("installed size", &a.installed_size, &b.installed_size);
    lines.value("archive size", &a.archive_size, &b.archive_size);
    lines.value("license", &a.license, &b.license);
    lines.value("vendor", &a.vendor, &b.vendor);
    lines.value("group", &a.group, &b.group);
    lines.value("build host", &a.buildhost, &b.buildhost);
    lines.value("source package", &a.sourcerpm, &b.sourcerpm);
    lines.value("header range", &a.header_range, &b.header_range);
    if options.places {
        lines.value("file time", &a.file_time, &b.file_time);
        lines.value("place", &(&a.base, &a.href), &(&b.base, &b.href));
    }
    lines.set("provides", &a.provides, &b.provides, dependency);
    lines.set("requires", &a.requires, &b.requires, dependency);
    lines.set("conflicts", &a.conflicts, &b.conflicts, dependency);
    lines.set("obsoletes", &a.obsoletes, &b.obsoletes, dependency);
    lines.set("suggests", &a.suggests, &b.suggests, dependency);
    lines.set("enhances", &a.enhances, &b.enhances, dependency);
    lines.set("recommends", &a.recommends, &b.recommends, dependency);
    lines.set("supplements", &a.supplements, &b.supplements, dependency);
    lines.set("file in primary", &a.files, &b.files, |file| format!("{} {}", file.path, file.kind));
}

fn dependency(d: &Dependency) -> String {
    let pre = if d.pre { " (pre)" } else { "" };
    let v = &d.version;
    let release = if v.release.is_empty() { String::new() } else { format!("-{}", v.release) };
    match d.flags.as_str() {
        "" => format!("{}{pre}", d.name),
        flags => format!("{} {flags} {}:{}{release}{pre}", d.name, v.epoch, v.version),
    }
}

/// A document of one package.
fn alone(part: Part, text: &str) -> String {
    let root = match part {
        Part::Primary => "metadata",
        Part::Filelists => "filelists",
        Part::Other => "otherdata",
    };
    format!("<{root} packages=\"1\">{text}</{root}>")
}

fn one<T>(mut entries: impl Iterator<Item = toji_repodata::Result<T>>) -> Result<T> {
    let missing = || Error::Request("a package without values".to_owned());
    entries.next().ok_or_else(missing)?.at("the metadata of a package")
}

fn read_primary(text: &str) -> Result<PrimaryEntry> {
    one(Primary::new(alone(Part::Primary, text).as_bytes(), ReadLimits::default()))
}

fn read_lists(text: &str) -> Result<FilelistsEntry> {
    one(Filelists::new(alone(Part::Filelists, text).as_bytes(), ReadLimits::default()))
}

fn read_other(text: &str) -> Result<OtherEntry> {
    one(Other::new(alone(Part::Other, text).as_bytes(), ReadLimits::default()))
}
