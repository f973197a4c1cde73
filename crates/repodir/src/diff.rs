//! What two repositories say differently, in words.

mod fields;

use std::collections::BTreeMap;
use std::path::Path;

use toji_repodata::Brief;

use crate::store::Store;
use crate::{Result, Source};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Something about the repository: a record, a tag.
    Repository(String),
    /// A package that only the first one has.
    Removed(String),
    /// A package that only the second one has.
    Added(String),
    /// A package of another version: its name and arch, the versions of both.
    Version(String, String, String),
    /// A package of the same version with other values, a line for each.
    Changed(String, Vec<String>),
}

/// What is compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Also what depends on where and when metadata were made: times of files, places.
    pub places: bool,
}

/// Compares two repositories.
pub fn diff(a: &Path, b: &Path, options: Options) -> Result<Vec<Difference>> {
    let (first, second) = (Source::open(a)?, Source::open(b)?);
    let room = std::env::temp_dir();
    let (old, new) = (Store::read(&first, &room)?, Store::read(&second, &room)?);
    let mut found = records(&first, &second)?;
    let (olds, news) = (by_name(&old), by_name(&new));
    for (name, numbers) in &olds {
        let others = news.get(name).map(Vec::as_slice).unwrap_or_default();
        pairs((&old, numbers), (&new, others), options, &mut found)?;
    }
    for (name, numbers) in news.iter().filter(|(name, _)| !olds.contains_key(*name)) {
        let versions = numbers.iter().map(|n| version(new.brief(*n)));
        found.extend(
            versions.map(|version| Difference::Added(format!("{}-{version}.{}", name.0, name.1))),
        );
    }
    found.sort();
    Ok(found)
}

type Names<'a> = BTreeMap<(&'a str, &'a str), Vec<usize>>;

fn by_name(store: &Store) -> Names<'_> {
    let mut names = Names::new();
    for (number, brief) in store.briefs().enumerate() {
        names.entry((&brief.name, &brief.arch)).or_default().push(number);
    }
    names
}

fn version(brief: &Brief) -> String {
    match brief.epoch.as_str() {
        "" | "0" => format!("{}-{}", brief.version, brief.release),
        epoch => format!("{epoch}:{}-{}", brief.version, brief.release),
    }
}

/// Compares the packages of one name and arch.
fn pairs(
    (old, olds): (&Store, &[usize]),
    (new, news): (&Store, &[usize]),
    options: Options,
    found: &mut Vec<Difference>,
) -> Result<()> {
    let (mut olds, mut news) = (olds.to_vec(), news.to_vec());
    let mut same = Vec::new();
    // equal packages first, then equal versions
    let checksum = |a: &Brief, b: &Brief| a.checksum == b.checksum;
    let by_version = |a: &Brief, b: &Brief| version(a) == version(b);
    for equal in [&checksum as &dyn Fn(&Brief, &Brief) -> bool, &by_version] {
        olds.retain(|o| {
            let place = news.iter().position(|n| equal(old.brief(*o), new.brief(*n)));
            let Some(place) = place else { return true };
            same.push((*o, news.remove(place)));
            false
        });
    }
    for (o, n) in same {
        let lines = fields::compare((old, o), (new, n), options)?;
        if !lines.is_empty() {
            let brief = old.brief(o);
            let name = format!("{}-{}.{}", brief.name, version(brief), brief.arch);
            found.push(Difference::Changed(name, lines));
        }
    }
    let name = |brief: &Brief| format!("{}-{}.{}", brief.name, version(brief), brief.arch);
    if let ([o], [n]) = (olds.as_slice(), news.as_slice()) {
        let (o, n) = (old.brief(*o), new.brief(*n));
        let both = format!("{}.{}", o.name, o.arch);
        found.push(Difference::Version(both, version(o), version(n)));
        return Ok(());
    }
    found.extend(olds.iter().map(|o| Difference::Removed(name(old.brief(*o)))));
    found.extend(news.iter().map(|n| Difference::Added(name(new.brief(*n)))));
    Ok(())
}

/// Compares what the repositories have beside packages.
fn records(a: &Source, b: &Source) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    let mut tell = |text: String| found.push(Difference::Repository(text));
    if a.repomd.tags != b.repomd.tags {
        tell(format!("tags: {:?} became {:?}", a.repomd.tags, b.repomd.tags));
    }
    let kinds = |source: &Source| -> Vec<String> {
        source.repomd.records.iter().map(|record| record.kind.clone()).collect()
    };
    let (olds, news) = (kinds(a), kinds(b));
    for kind in olds.iter().filter(|kind| !news.contains(kind)) {
        tell(format!("{kind} is only in the first"));
    }
    for kind in news.iter().filter(|kind| !olds.contains(kind)) {
        tell(format!("{kind} is only in the second"));
    }
    for kind in olds.iter().filter(|kind| news.contains(kind)) {
        if crate::create::extras::comes_from_packages(kind) || kind.ends_with("_zck") {
            continue;
        }
        let (old, new) = (a.text(a.record(kind)?, 512 << 20)?, b.text(b.record(kind)?, 512 << 20)?);
        if old != new {
            tell(format!("{kind} differs{}", first_line(&old, &new)));
        }
    }
    Ok(found)
}

/// The first line that differs.
fn first_line(a: &[u8], b: &[u8]) -> String {
    let (a, b) = (String::from_utf8_lossy(a), String::from_utf8_lossy(b));
    let (mut a, mut b) = (a.lines(), b.lines());
    for number in 1.. {
        match (a.next(), b.next()) {
            (None, None) => break,
            (x, y) if x == y => {}
            (x, y) => {
                let (x, y) = (x.unwrap_or_default().trim(), y.unwrap_or_default().trim());
                return format!(", first in line {number}: {x:?} became {y:?}");
            }
        }
    }
    String::new()
}
