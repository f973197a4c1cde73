//! How pools are filled.

use std::collections::{HashMap, HashSet};

use crate::ffi::Raw;
use crate::limits::{DEPENDENCIES, PACKAGES, UNIQUE};
use crate::package::{Dep, Kind, Package, Repository, path_hash};
use crate::rich::Expr;
use crate::{Error, Pool, Result};

/// Marks of dependencies in the shim.
const PLAIN: i32 = 0;
const PRE_OR_FILE: i32 = 1;
const TAIL: i32 = 2;

pub(crate) fn pool(arch: &str, repositories: &[&Repository]) -> Result<Pool> {
    let packages: Vec<_> = repositories.iter().flat_map(|r| r.packages.iter().cloned()).collect();
    if packages.len() > PACKAGES {
        return Err(Error::Limit("packages"));
    }
    if packages.iter().map(|p| p.dep_count()).sum::<usize>() > DEPENDENCIES {
        return Err(Error::Limit("dependencies"));
    }
    let mut raw = Raw::new(arch)?;
    let needed = needed_paths(packages.iter().map(|p| &**p));
    let paths: HashMap<u64, i32> =
        needed.into_iter().map(|path| (path_hash(path), raw.string(path, true))).collect();
    let (mut first, mut ends) = (0, Vec::new());
    let mut obsoletes: HashMap<i32, Vec<(u32, i32)>> = HashMap::new();
    let mut number = 0;
    for repository in repositories {
        let repo = raw.repository(&repository.id, repository.priority, repository.cost);
        for package in &repository.packages {
            let id = add(&mut raw, repo, package, &paths);
            if number == 0 {
                first = id;
            }
            for dep in package.deps_of(Kind::Obsoletes) {
                let target = raw.string(dep.name, true);
                let dep = dependency(&mut raw, &dep);
                obsoletes.entry(target).or_default().push((number, dep));
            }
            number += 1;
        }
        ends.push((repository.id.clone(), number as usize));
    }
    raw.ready();
    let mut by_name: Vec<u32> = (0..number).collect();
    by_name.sort_by(|a, b| packages[*a as usize].name.cmp(&packages[*b as usize].name));
    let arch = arch.to_owned();
    Ok(Pool {
        raw,
        arch,
        packages,
        repositories: ends,
        first,
        by_name,
        obsoletes,
        made: 0,
        spoilt: false,
    })
}

/// The paths that packages depend on: only these are worth an id.
fn needed_paths<'p>(packages: impl Iterator<Item = &'p Package>) -> HashSet<&'p str> {
    let mut needed = HashSet::new();
    for dep in packages.flat_map(Package::deps).filter(|dep| dep.kind != Kind::Provides as u8) {
        if dep.name.starts_with('/') {
            needed.insert(dep.name);
        } else if dep.name.starts_with('(') && dep.flags == 0 && dep.name.contains('/') {
            let mut each = |name: &'p str| {
                if name.starts_with('/') {
                    needed.insert(name);
                }
            };
            Expr::rich(dep.name).inspect(|expr| expr.names(&mut each));
        }
    }
    needed
}

fn add(raw: &mut Raw, repo: i32, package: &Package, paths: &HashMap<u64, i32>) -> i32 {
    let name = raw.string(&package.name, true);
    let arch = raw.string(&package.arch, true);
    let evr = raw.string(&package.evr(), true);
    let id = raw.package(repo, name, arch, evr);
    let mut counts = [0; 8];
    for dep in package.deps() {
        let to = dependency(raw, &dep);
        let count = &mut counts[usize::from(dep.kind & 7)];
        *count += 1;
        let mark = match () {
            () if *count > UNIQUE => TAIL,
            () if dep.kind == Kind::Requires as u8 && dep.pre => PRE_OR_FILE,
            () => PLAIN,
        };
        raw.dependency(id, dep.kind, to, mark);
    }
    let provides = Kind::Provides as u8;
    if !package.is_source() {
        let own = raw.relation(name, evr, crate::rich::EQUAL.into(), true);
        raw.dependency(id, provides, own, PLAIN);
    }
    for path in package.paths().iter().filter_map(|hash| paths.get(hash)) {
        raw.dependency(id, provides, *path, PRE_OR_FILE);
    }
    id
}

fn dependency(raw: &mut Raw, dep: &Dep<'_>) -> i32 {
    if dep.flags == 0
        && dep.name.starts_with('(')
        && let Some(expr) = Expr::rich(dep.name)
    {
        return expression(raw, &expr);
    }
    leaf(raw, dep.name, dep.flags, dep.evr)
}

fn leaf(raw: &mut Raw, name: &str, flags: u8, evr: &str) -> i32 {
    let name = raw.string(name, true);
    if flags == 0 {
        return name;
    }
    let evr = raw.string(evr, true);
    raw.relation(name, evr, flags.into(), true)
}

/// libsolv's id of an expression.
pub(crate) fn expression(raw: &mut Raw, expr: &Expr<'_>) -> i32 {
    match expr {
        Expr::Leaf(name, flags, evr) => leaf(raw, name, *flags, evr),
        Expr::Pair(op, a, b) => {
            let (a, b) = (expression(raw, a), expression(raw, b));
            raw.relation(a, b, *op as i32, true)
        }
    }
}
