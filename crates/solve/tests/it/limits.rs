//! What metadata and questions from outside may not do.

use std::sync::Arc;

use toji_repodata::reader::{Dependency, PrimaryEntry, Version};
use toji_solve::{Error, Job, Package, Pool, Repository, Want, limits};

fn entry(name: &str) -> PrimaryEntry {
    let version = Version { epoch: "0".into(), version: "1".into(), release: "1".into() };
    PrimaryEntry {
        name: name.into(),
        arch: "noarch".into(),
        version,
        checksum_type: "sha256".into(),
        checksum: "a".repeat(64),
        href: format!("{name}.rpm"),
        ..PrimaryEntry::default()
    }
}

fn dep(name: impl Into<String>) -> Dependency {
    Dependency { name: name.into(), ..Dependency::default() }
}

fn pool(entries: &[PrimaryEntry]) -> Pool {
    let packages = entries.iter().map(|e| Arc::new(Package::new(e).unwrap())).collect();
    Pool::new("x86_64", &[Repository::new("r", packages)]).unwrap()
}

fn install(name: &str) -> Job {
    Job::new(vec![Want::install(name)])
}

#[test]
fn dependencies_that_explode_are_names_that_nothing_provides() {
    let mut a = entry("a");
    let pairs: Vec<_> = (0..40).map(|n| format!("(x{n} and y{n})")).collect();
    a.requires = vec![dep(format!("({})", pairs.join(" or ")))];
    let no = pool(&[a]).solve(&install("a")).unwrap().unwrap_err();
    assert!(no.to_string().contains("nothing provides"), "{no}");
}

#[test]
fn requirements_out_of_bounds_are_not_forgotten() {
    let mut a = entry("a");
    a.requires = vec![dep("x".repeat(limits::TEXT + 1))];
    assert!(pool(&[a]).solve(&install("a")).unwrap().is_err());
    let mut b = entry("b");
    b.provides = vec![dep("x".repeat(limits::TEXT + 1)); 10];
    assert!(pool(&[b]).solve(&install("b")).unwrap().is_ok());
}

#[test]
fn long_lists_take_no_quadratic_time() {
    let mut a = entry("a");
    a.provides = (0..limits::OF_A_PACKAGE - 1).map(|n| dep(format!("p{n}"))).collect();
    let mut pool = pool(&[a.clone()]);
    assert!(pool.solve(&install("p199998")).unwrap().is_ok());
    a.provides.extend([dep("x"), dep("y")]);
    assert!(matches!(Package::new(&a), Err(Error::Limit(_))));
}

#[test]
fn questions_have_bounds() {
    let mut pool = pool(&[entry("a")]);
    let many = vec![Want::install("a"); limits::WANTS + 1];
    assert!(matches!(pool.solve(&Job::new(many)), Err(Error::Limit(_))));
    assert!(matches!(pool.solve(&install(&"a".repeat(limits::TEXT + 1))), Err(Error::Limit(_))));
    assert!(matches!(pool.solve(&install("a\0b")), Err(Error::Limit(_))));
    assert!(matches!(Pool::new("../x", &[]), Err(Error::Arch(_))));
    assert_eq!(pool.solve(&install("a")).unwrap().unwrap().packages.len(), 1);
}

/// Pigeons in one hole less: a solver has to try every order.
fn pigeons(count: usize) -> Vec<PrimaryEntry> {
    let mut entries = Vec::new();
    let mut all = entry("all");
    for pigeon in 0..count {
        all.requires.push(dep(format!("pigeon{pigeon}")));
        for hole in 0..count - 1 {
            let mut sits = entry(&format!("p{pigeon}h{hole}"));
            sits.provides = vec![dep(format!("pigeon{pigeon}")), dep(format!("hole{hole}"))];
            sits.conflicts = vec![dep(format!("hole{hole}"))];
            entries.push(sits);
        }
    }
    entries.push(all);
    entries
}

#[test]
fn a_question_that_takes_too_long_is_given_up() {
    let mut small = pool(&pigeons(4));
    assert!(small.solve(&install("all")).unwrap().is_err());
    let mut large = pool(&pigeons(24));
    let job = Job { seconds: Some(0.3), ..install("all") };
    assert!(matches!(large.solve(&job), Err(Error::Time(_))));
    assert!(large.is_worn());
    assert!(matches!(large.solve(&install("all")), Err(Error::Spoilt)));
}
