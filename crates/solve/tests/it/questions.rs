//! Questions about one small world: plans, reasons, ways, dependants.

use std::collections::BTreeMap;

use toji_solve::{Answer, Job, Pool, Want};
use toji_types::lockfile::Source;

use crate::universe::{Made, Written};

fn world() -> Pool {
    let dir = tempfile::tempdir().unwrap();
    let packages = [
        Made::new("gcc", "14")
            .with("requires", &["binutils >= 2", "libc-devel"])
            .file("/usr/bin/gcc"),
        Made::new("binutils", "2.42")
            .with("requires", &["libc.so.6"])
            .with("recommends", &["manual"]),
        Made::new("glibc", "2.39").with("provides", &["libc.so.6"]).file("/usr/libexec/getconf"),
        Made::new("glibc-devel", "2.39")
            .with("provides", &["libc-devel"])
            .with("requires", &["glibc"]),
        Made::new("manual", "1"),
        Made::new("old", "1").with("conflicts", &["glibc"]),
        Made::new("script", "1").with("requires", &["/usr/libexec/getconf"]),
        Made::new("broken", "1").with("requires", &["nowhere >= 3"]),
        Made::new("langpack", "1").with("supplements", &["glibc"]),
    ];
    let written = Written::write(dir.path(), "world", &packages);
    Pool::new("x86_64", &[written.read()]).unwrap()
}

fn names(answer: &Answer) -> Vec<&str> {
    answer.as_ref().unwrap().packages.iter().map(|chosen| chosen.package.name()).collect()
}

#[test]
fn files_outside_of_primary_are_found() {
    let mut pool = world();
    let answer = pool.solve(&Job::new(vec![Want::install("script")])).unwrap();
    assert_eq!(names(&answer), ["glibc", "script"]);
    let answer = pool.solve(&Job::new(vec![Want::Require("/usr/libexec/getconf".into())])).unwrap();
    assert_eq!(names(&answer), ["glibc"]);
    let answer = pool.solve(&Job::new(vec![Want::Require("/usr/bin/gcc".into())])).unwrap();
    assert_eq!(names(&answer), ["binutils", "gcc", "glibc", "glibc-devel"]);
}

#[test]
fn reasons_name_the_packages() {
    let mut pool = world();
    let wants = vec![Want::install("old"), Want::install("gcc")];
    let no = pool.solve(&Job::new(wants)).unwrap().unwrap_err();
    assert!(
        no.packages().contains("old-1-1.x86_64") && no.packages().contains("glibc-2.39-1.x86_64")
    );
    assert!(no.to_string().contains("package old-1-1.x86_64 conflicts with glibc"), "{no}");
    let no = pool.solve(&Job::new(vec![Want::install("broken")])).unwrap().unwrap_err();
    assert_eq!(no.packages().into_iter().collect::<Vec<_>>(), ["broken-1-1.x86_64"]);
    assert!(
        no.to_string().contains("nothing provides nowhere >= 3 needed by broken-1-1.x86_64"),
        "{no}"
    );
    let wants =
        vec![Want::install("nosuch"), Want::install("gcc"), Want::Require("nor >= 1".into())];
    let no = pool.solve(&Job::new(wants)).unwrap().unwrap_err();
    assert_eq!(no.missing, ["nosuch", "nor >= 1"]);
}

#[test]
fn the_way_to_a_package_is_told() {
    let mut pool = world();
    let job = Job::new(vec![Want::install("gcc")]).with_weak();
    let plan = pool.solve(&job).unwrap().unwrap();
    let way = |pool: &mut Pool, name: &str| -> Vec<String> {
        let links = pool.why(&plan, name);
        let by = |by: &Option<String>| by.clone().unwrap_or_default();
        links
            .iter()
            .map(|l| format!("{} {} {} {}", by(&l.by), l.needs, l.hard, l.package))
            .collect()
    };
    assert_eq!(
        way(&mut pool, "glibc"),
        [
            " gcc true gcc-14-1.x86_64",
            "gcc-14-1.x86_64 binutils >= 2 true binutils-2.42-1.x86_64",
            "binutils-2.42-1.x86_64 libc.so.6 true glibc-2.39-1.x86_64",
        ]
    );
    assert_eq!(
        way(&mut pool, "manual").last().unwrap(),
        "binutils-2.42-1.x86_64 manual false manual-1-1.x86_64"
    );
    let last = way(&mut pool, "langpack").pop().unwrap();
    assert_eq!(last, "glibc-2.39-1.x86_64 glibc false langpack-1-1.x86_64");
    assert!(way(&mut pool, "old").is_empty());
}

#[test]
fn dependants_are_found_at_every_distance() {
    let mut pool = world();
    let found = pool.whatrequires("glibc", 2).unwrap();
    let found: Vec<_> =
        found.iter().map(|d| (d.source.as_str(), d.needs.as_str(), d.distance)).collect();
    assert_eq!(
        found,
        [
            ("binutils", "libc.so.6", 1),
            ("glibc-devel", "glibc", 1),
            ("script", "/usr/libexec/getconf", 1),
            ("gcc", "binutils >= 2", 2),
        ]
    );
    assert_eq!(pool.whatprovides("libc*"), ["glibc-2.39-1.x86_64", "glibc-devel-2.39-1.x86_64"]);
}

#[test]
fn a_plan_becomes_a_lockfile() {
    let mut pool = world();
    let plan = pool.solve(&Job::new(vec![Want::install("gcc")])).unwrap().unwrap();
    let url = "https://mirror.example/world".to_owned();
    let sources = BTreeMap::from([("world".to_owned(), Source::External { url })]);
    let lockfile = plan.lockfile(sources).unwrap();
    let names: Vec<_> = lockfile.packages().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "binutils-2.42-1.x86_64",
            "gcc-14-1.x86_64",
            "glibc-2.39-1.x86_64",
            "glibc-devel-2.39-1.x86_64"
        ]
    );
    let first = &lockfile.packages()[0];
    assert_eq!(
        lockfile.url(first, ""),
        "https://mirror.example/world/Packages/binutils-2.42-1.x86_64.rpm"
    );
    assert!(plan.lockfile(BTreeMap::new()).is_err());
}
