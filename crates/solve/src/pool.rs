//! Packages ready for questions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ffi::Raw;
use crate::package::{Package, Repository};
use crate::rich::Expr;
use crate::{Error, Result, build};

/// Packages of some repositories for one arch, as if nothing were installed.
///
/// A question needs it for itself (`&mut`); it may go from thread to thread.
pub struct Pool {
    pub(crate) raw: Raw,
    pub(crate) arch: String,
    /// In the order of their numbers.
    pub(crate) packages: Vec<Arc<Package>>,
    /// The repository of each package, and the end of its packages.
    pub(crate) repositories: Vec<(String, usize)>,
    /// The first package's number in libsolv.
    pub(crate) first: i32,
    /// Numbers of packages, sorted by name.
    pub(crate) by_name: Vec<u32>,
    /// Which packages obsolete a name: number of the package, libsolv's id of the dependency.
    pub(crate) obsoletes: HashMap<i32, Vec<(u32, i32)>>,
    /// How many ids questions have made.
    pub(crate) made: usize,
    pub(crate) spoilt: bool,
}

/// Questions may make so many ids before a pool should be made anew.
const WORN: usize = 1_000_000;

impl Pool {
    /// Makes a pool. Between equal packages the order decides, as it does for dnf: repositories by priority and cost, then
    /// as they are given, then their packages as they are given.
    ///
    /// # Errors
    /// When the library is not there, or more comes than a pool may have.
    pub fn new(arch: &str, repositories: &[Repository]) -> Result<Self> {
        let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        if arch.is_empty() || arch.len() > 30 || !arch.bytes().all(legal) {
            return Err(Error::Arch(arch.to_owned()));
        }
        let mut sorted: Vec<&Repository> = repositories.iter().collect();
        sorted.sort_by_key(|repository| (repository.priority, repository.cost));
        build::pool(arch, &sorted)
    }

    /// The arch whose packages it can install.
    pub fn arch(&self) -> &str {
        &self.arch
    }

    /// How many packages it has.
    pub fn len(&self) -> usize {
        self.packages.len()
    }

    /// True without packages.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Memory that it takes, roughly, in bytes, without what its packages take.
    pub fn memory(&self) -> usize {
        let deps: usize = self.packages.iter().map(|p| p.dep_count()).sum();
        (4 << 20) + self.packages.len() * 400 + deps * 40
    }

    /// True if it should be made anew: a question was given up, or very many have left their ids in it.
    pub fn is_worn(&self) -> bool {
        self.spoilt || self.made > WORN
    }

    pub(crate) fn package(&self, number: u32) -> &Package {
        &self.packages[number as usize]
    }

    /// libsolv's id of a package.
    pub(crate) fn id(&self, number: u32) -> i32 {
        self.first + number as i32
    }

    /// The number of libsolv's package; `None` for one that is not of the repositories.
    pub(crate) fn number(&self, id: i32) -> Option<u32> {
        let number = u32::try_from(id.checked_sub(self.first)?).ok()?;
        (number as usize).lt(&self.packages.len()).then_some(number)
    }

    /// The repository of a package.
    pub(crate) fn repository(&self, number: u32) -> &str {
        let at = self.repositories.partition_point(|(_, end)| *end <= number as usize);
        self.repositories.get(at).map_or("", |(id, _)| id)
    }

    /// The packages of a name, oldest number first.
    pub(crate) fn named(&self, name: &str) -> &[u32] {
        let start = self.by_name.partition_point(|n| &*self.package(*n).name < name);
        let rest = &self.by_name[start..];
        &rest[..rest.partition_point(|n| &*self.package(*n).name == name)]
    }

    /// libsolv's id of a dependency; 0 if no package has anything of that name.
    pub(crate) fn dependency(&mut self, expr: &Expr<'_>) -> i32 {
        match expr {
            Expr::Leaf(name, flags, evr) => {
                let name = self.raw.string(name, false);
                if *flags == 0 || name == 0 {
                    return name;
                }
                self.made += 1;
                let evr = self.raw.string(evr, true);
                self.raw.relation(name, evr, (*flags).into(), true)
            }
            Expr::Pair(..) => {
                self.made += 10;
                build::expression(&mut self.raw, expr)
            }
        }
    }

    /// Packages that provide a dependency or have the file, without sources.
    pub(crate) fn providers(&mut self, expr: &Expr<'_>) -> Vec<u32> {
        let id = self.dependency(expr);
        let ids = self.raw.providers(id);
        ids.into_iter()
            .filter_map(|id| self.number(id))
            .filter(|n| !self.package(*n).is_source())
            .collect()
    }
}
