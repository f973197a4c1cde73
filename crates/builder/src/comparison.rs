//! Packages of a build beside those of another build of the same source.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use toji_rpmfile::compare::{Difference, compare};
use toji_rpmfile::{Limits, Package};
use toji_value::{Value, map};

use crate::failure::{Failure, Result};

/// Differences of a package that a result names; the report has all of them.
const MOST: usize = 50;

/// A package that was built twice.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    /// Its file's name.
    pub(crate) name: String,
    /// Whether the two files are the same, bit for bit.
    pub(crate) equal: bool,
    /// What differs; `one` is of the first build.
    pub(crate) differences: Vec<Difference>,
}

impl Compared {
    /// Compares two files of packages; the second build may not have made the package, or the first.
    pub(crate) fn new(name: &str, first: Option<&Path>, again: Option<&Path>) -> Result<Self> {
        let name = name.to_owned();
        let (Some(first), Some(again)) = (first, again) else {
            let there = |path: Option<&Path>| path.map(|_| "there".to_owned());
            let (what, one, other) = ("package".to_owned(), there(first), there(again));
            let differences = vec![Difference { file: None, what, one, other }];
            return Ok(Compared { name, equal: false, differences });
        };
        let same = std::fs::read(first).and_then(|one| Ok(one == std::fs::read(again)?));
        if same.map_err(Failure::local("read the packages"))? {
            return Ok(Compared { name, equal: true, differences: Vec::new() });
        }
        let read = |path: &Path| -> Result<Package> {
            let file = File::open(path).map_err(Failure::local("open a package"))?;
            Package::read(&mut BufReader::new(file), &Limits::default())
                .map_err(Failure::local("read a package"))
        };
        let differences = compare(&read(first)?, &read(again)?)
            .map_err(Failure::local("compare the packages"))?;
        Ok(Compared { name, equal: false, differences })
    }

    /// The comparison as a part of a task's result.
    pub(crate) fn value(&self) -> Value {
        let shown = |difference: &Difference| -> Value {
            let Difference { file, what, one, other } = difference;
            let (file, one, other) = (file.clone(), one.clone(), other.clone());
            map! { "file" => file, "what" => what.as_str(), "first" => one, "again" => other }
                .into()
        };
        let shown: Vec<Value> = self.differences.iter().take(MOST).map(shown).collect();
        let count = i64::try_from(self.differences.len()).unwrap_or(i64::MAX);
        map! { "name" => self.name.as_str(), "equal" => self.equal, "count" => count, "differences" => shown }
            .into()
    }
}

/// A line for each package, and one for each difference.
pub(crate) fn table(all: &[Compared]) -> String {
    let mut text = String::new();
    for Compared { name, equal, differences } in all {
        text += &format!("{} {name}\n", if *equal { "equal    " } else { "different" });
        for Difference { file, what, one, other } in differences {
            let place = file.as_ref().map(|file| format!("{file} ")).unwrap_or_default();
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
            text += &format!("    {place}{what}: {} / {}\n", value(one), value(other));
        }
    }
    text
}
