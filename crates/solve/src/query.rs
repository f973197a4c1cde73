//! Questions about packages without solving: what provides something, what depends on it.

use std::collections::{BTreeSet, HashMap};

use crate::package::{Dep, Kind};
use crate::rich::{EQUAL, Expr, GREATER, LESS};
use crate::{Pool, Result};

/// A package that depends on another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependant {
    /// `name-[epoch:]version-release.arch`
    pub package: String,
    /// Name of the source package that it was built from.
    pub source: String,
    /// Its repository.
    pub repository: String,
    /// What it needs, as written.
    pub needs: String,
    /// A package that provides it and was asked for, or that depends on one.
    pub on: String,
    /// 1 if it depends on what was asked for itself, 2 if on such a package, and so on.
    pub distance: usize,
}

impl Pool {
    /// The packages that a text means: by name, version, pattern, capability or path.
    pub fn whatprovides(&mut self, text: &str) -> Vec<String> {
        let found = self.find(text, &[]).packages;
        found.into_iter().map(|number| self.package(number).nevra()).collect()
    }

    /// The packages that require what a text means, up to this distance.
    ///
    /// # Errors
    /// When the pool is spoilt.
    pub fn whatrequires(&mut self, text: &str, distance: usize) -> Result<Vec<Dependant>> {
        if self.spoilt {
            return Err(crate::Error::Spoilt);
        }
        let mut targets: BTreeSet<u32> = self.find(text, &[]).packages.into_iter().collect();
        let mut seen = targets.clone();
        let mut answers = HashMap::new();
        let mut found = Vec::new();
        for distance in 1..=distance {
            let new = self.dependants(&targets, &seen, distance, &mut answers);
            targets = new.iter().map(|(number, _)| *number).collect();
            seen.extend(&targets);
            found.extend(new.into_iter().map(|(_, dependant)| dependant));
            if targets.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// Packages outside of `seen` that require one of the targets, with the first such requirement.
    fn dependants(
        &mut self,
        targets: &BTreeSet<u32>,
        seen: &BTreeSet<u32>,
        distance: usize,
        providers: &mut HashMap<String, Vec<u32>>,
    ) -> Vec<(u32, Dependant)> {
        let packages = self.packages.clone();
        let mut found = Vec::new();
        for (number, package) in (0..).zip(&packages) {
            if package.is_source() || seen.contains(&number) {
                continue;
            }
            for dep in package.deps_of(Kind::Requires) {
                let needs = text(&dep);
                let list = match providers.get(&needs) {
                    Some(list) => list,
                    None => {
                        let list = self.any_provider(&dep);
                        providers.entry(needs.clone()).or_insert(list)
                    }
                };
                let Some(on) = list.iter().find(|n| targets.contains(n)) else { continue };
                let dependant = Dependant {
                    package: package.nevra(),
                    source: package.source_name().to_owned(),
                    repository: self.repository(number).to_owned(),
                    needs,
                    on: packages[*on as usize].nevra(),
                    distance,
                };
                found.push((number, dependant));
                break;
            }
        }
        found
    }

    fn any_provider(&mut self, dep: &Dep<'_>) -> Vec<u32> {
        let rich =
            if dep.flags == 0 && dep.name.starts_with('(') { Expr::rich(dep.name) } else { None };
        let expr = rich.unwrap_or(Expr::Leaf(dep.name, dep.flags, dep.evr));
        let mut found: Vec<u32> =
            expr.leaves().into_iter().flat_map(|leaf| self.providers(leaf)).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A dependency as a packager writes it.
pub(crate) fn text(dep: &Dep<'_>) -> String {
    let operator = match dep.flags {
        GREATER => ">",
        LESS => "<",
        EQUAL => "=",
        flags if flags == GREATER | EQUAL => ">=",
        flags if flags == LESS | EQUAL => "<=",
        0 => return dep.name.to_owned(),
        _ => "<>",
    };
    format!("{} {operator} {}", dep.name, dep.evr)
}
