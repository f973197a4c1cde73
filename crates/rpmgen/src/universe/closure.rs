//! Which Debian packages are needed: the named ones and what they depend on, in turn.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::{Control, run};

/// A package that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) arch: String,
}

impl Chosen {
    /// The name that apt gives the downloaded file.
    pub(super) fn file(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version.replace(':', "%3a"), self.arch)
    }
}

/// What apt knows.
pub(super) struct Archive {
    packages: HashMap<String, Control>,
    /// Who provides a name beside a package of that name, sorted.
    providers: BTreeMap<String, Vec<String>>,
}

impl Archive {
    /// Reads apt's lists.
    pub(super) fn read() -> Result<Self> {
        let list = run(Command::new("apt-cache").arg("dumpavail"))?;
        Ok(Self::parse(&String::from_utf8_lossy(&list.stdout)))
    }

    fn parse(text: &str) -> Self {
        let mut packages = HashMap::new();
        let mut providers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for paragraph in text.split("\n\n") {
            let control = Control::parse(paragraph);
            let name = control.field("Package");
            if name.is_empty() {
                continue;
            }
            for provided in clauses(&control.field("Provides")) {
                providers.entry(bare(provided).to_owned()).or_default().push(name.clone());
            }
            packages.entry(name).or_insert(control);
        }
        for names in providers.values_mut() {
            names.sort();
            names.dedup();
        }
        Self { packages, providers }
    }

    /// The named packages and everything that they need; where there is a choice, what was chosen already or
    /// what the package names first.
    pub(super) fn closure(&self, names: &[String]) -> Result<Vec<Chosen>> {
        let mut chosen = BTreeMap::new();
        let mut queue: VecDeque<String> = names.iter().cloned().collect();
        while let Some(name) = queue.pop_front() {
            if chosen.contains_key(&name) {
                continue;
            }
            let control = self.packages.get(&name).with_context(|| {
                format!("apt knows no package {name}; run apt-get update on a Debian system")
            })?;
            let package = Chosen {
                name: name.clone(),
                version: control.field("Version"),
                arch: control.field("Architecture"),
            };
            chosen.insert(name.clone(), package);
            for field in ["Pre-Depends", "Depends"] {
                for clause in clauses(&control.field(field)) {
                    let next = self.choose(clause, &chosen);
                    queue.extend(
                        next.with_context(|| {
                            format!("nothing provides {clause}, needed by {name}")
                        })?,
                    );
                }
            }
        }
        Ok(chosen.into_values().collect())
    }

    /// A package that meets one clause; the inner `None` when it is met already.
    fn choose(&self, clause: &str, chosen: &BTreeMap<String, Chosen>) -> Option<Option<String>> {
        let names: Vec<&str> = clause.split('|').map(|name| bare(name.trim())).collect();
        let providers = || names.iter().filter_map(|name| self.providers.get(*name)).flatten();
        if names.iter().any(|name| chosen.contains_key(*name)) {
            return Some(None);
        }
        if let Some(real) = names.iter().find(|name| self.packages.contains_key(**name)) {
            return Some(Some((*real).to_owned()));
        }
        if providers().any(|name| chosen.contains_key(name)) {
            return Some(None);
        }
        providers().next().map(|name| Some(name.clone()))
    }
}

fn clauses(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim).filter(|clause| !clause.is_empty())
}

/// The name alone, without version, architecture and profile.
fn bare(clause: &str) -> &str {
    clause.split([' ', ':', '(', '[', '<']).next().unwrap_or(clause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Package: a\nVersion: 1:2-3\nArchitecture: amd64\nDepends: b (>= 1), v | c\n\n\
        Package: b\nVersion: 1\nArchitecture: all\nPre-Depends: e:any\n\n\
        Package: c\nVersion: 1\nArchitecture: all\n\n\
        Package: d\nVersion: 1\nArchitecture: all\nProvides: w (= 1)\nDepends: a\n\n\
        Package: e\nVersion: 1\nArchitecture: all\nDepends: w\n";

    #[test]
    fn everything_needed_is_chosen() {
        let archive = Archive::parse(LIST);
        let chosen = archive.closure(&["a".to_owned()]).unwrap();
        let names: Vec<_> = chosen.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
        assert_eq!(chosen[0].file(), "a_1%3a2-3_amd64.deb");
        assert!(archive.closure(&["none".to_owned()]).is_err());
    }
}
