//! The same packages as dnf, or no for reasons that name the same packages.

use std::collections::BTreeSet;

use toji_solve::{Answer, Job, Pool, Repository, Want};

use crate::dnf::{Dnf, Said};
use crate::universe::{Dice, Written, universe};

/// A question about a universe of `names` names.
fn question(dice: &mut Dice, names: usize) -> Job {
    let kinds = ["lib", "app", "perl-", "font"];
    let name = |n: usize| format!("{}{n:04}", kinds[n % 4]);
    let mut wants = Vec::new();
    for _ in 0..1 + dice.roll(5) {
        let n = dice.roll(names);
        let optional = dice.one_in(8);
        let mut install = |spec: String| wants.push(Want::Install { spec, optional });
        match dice.roll(20) {
            0..=4 => install(name(n)),
            5 => install(format!("{}.{}", name(n), dice.pick(&["x86_64", "i686", "noarch"]))),
            6 => install(format!("{}-1.1", name(n))),
            // a few names: for many, dnf's own order depends on whether its cache is new
            7 => install(format!("{}*", &name(n)[..name(n).len() - 1])),
            8 => install(format!("cap({})", n / 3)),
            9 => install(format!("virtual({}) >= 1.1", n / 5)),
            10 => install(format!("/usr/bin/{}", name(n))),
            11 => install(format!("/usr/share/data/{}", n / 2)),
            12 => wants.push(Want::Require(name(n))),
            13 => wants.push(Want::Require(format!("{} >= 1.2", name(n)))),
            14 => wants.push(Want::Require(format!("/usr/bin/tool{}", n / 4))),
            15 => wants.push(Want::Require(format!("({} or cap({}))", name(n), n / 6))),
            16 => wants.push(Want::Require(format!("({} if {})", name(n), name(n / 2)))),
            17 | 18 => wants.push(Want::Group { name: name(n), with: None, optional }),
            _ => wants.push(Want::Group { name: name(n), with: Some(name(n / 2)), optional }),
        }
    }
    let mut exclude = Vec::new();
    while dice.one_in(4) {
        let n = dice.roll(names);
        exclude.push(match dice.roll(3) {
            0 => name(n),
            1 => format!("{}*", &name(n)[..5]),
            _ => format!("{}-2.0", name(n)),
        });
    }
    Job { wants, weak: dice.one_in(3), best: dice.one_in(5), exclude, seconds: None }
}

/// The universe's packages that a text names.
fn named<'a>(texts: impl Iterator<Item = &'a str>, all: &BTreeSet<String>) -> BTreeSet<String> {
    let words = texts.flat_map(|text| text.split([' ', ',', '(', ')']));
    words.filter(|word| all.contains(*word)).map(str::to_owned).collect()
}

fn same(ours: &Answer, said: &Said, all: &BTreeSet<String>) -> Result<(), String> {
    match (ours, said) {
        (Ok(plan), Said::Packages(theirs)) => {
            let mut ours: Vec<_> = plan.packages.iter().map(|p| p.nevra()).collect();
            ours.sort();
            let (a, b): (BTreeSet<_>, BTreeSet<_>) =
                (ours.iter().collect(), theirs.iter().collect());
            let more: Vec<_> = a.difference(&b).collect();
            let less: Vec<_> = b.difference(&a).collect();
            if ours == *theirs { Ok(()) } else { Err(format!("more {more:?} less {less:?}")) }
        }
        (Err(no), Said::Missing(theirs)) if no.problems.is_empty() => {
            if no.missing == *theirs {
                Ok(())
            } else {
                Err(format!("{:?} {theirs:?}", no.missing))
            }
        }
        (Err(no), Said::Problems(theirs)) if no.missing.is_empty() => {
            let texts = no.problems.iter().flat_map(|p| &p.reasons).map(|r| r.text.as_str());
            let ours = named(texts, all);
            let told: BTreeSet<String> = no.packages().into_iter().map(str::to_owned).collect();
            let dnfs = named(theirs.iter().flatten().map(String::as_str), all);
            if ours == dnfs && told == ours && no.problems.len() == theirs.len() {
                Ok(())
            } else {
                let more: Vec<_> = ours.difference(&dnfs).collect();
                let less: Vec<_> = dnfs.difference(&ours).collect();
                let silent: Vec<_> = ours.symmetric_difference(&told).collect();
                let (a, b) = (no.problems.len(), theirs.len());
                Err(format!("{a} and {b} problems; more {more:?} less {less:?} silent {silent:?}"))
            }
        }
        (ours, said) => Err(format!("{ours:?}\n---\n{said:?}")),
    }
}

/// Asks both `count` questions; returns how many were solved and how many not.
fn compare(seed: u64, packages: usize, count: usize) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let repos = universe(dir.path(), seed, packages);
    let read: Vec<Repository> = repos.iter().map(Written::read).collect();
    let size: usize = read.iter().map(|r| r.packages.len()).sum();
    assert!(size >= packages, "{size} packages");
    let mut pool = Pool::new("x86_64", &read).unwrap();
    let mut dnf = Dnf::start(dir.path(), &repos);
    let all: BTreeSet<String> = pool.whatprovides("*").into_iter().collect();
    let mut dice = Dice::new(seed + 1000);
    let (mut solved, mut unsolved, mut wrong) = (0, 0, Vec::new());
    for number in 0..count {
        let job = question(&mut dice, packages * 2 / 3);
        let ours = pool.solve(&job).unwrap();
        let said = dnf.solve(&job);
        if ours.is_ok() {
            solved += 1
        } else {
            unsolved += 1
        }
        if let Err(text) = same(&ours, &said, &all) {
            wrong.push(format!("question {number} of seed {seed}: {job:?}\n{text}"));
        }
    }
    let show = wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n");
    assert!(wrong.is_empty(), "{} of {count} differ\n{show}", wrong.len());
    (solved, unsolved)
}

/// More by hand: `TOJI_SOLVE_SETS=20000 cargo nextest run -p toji-solve dnf_chooses`.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long to look is for who starts it")]
fn dnf_chooses_the_same_packages() {
    let sets = std::env::var("TOJI_SOLVE_SETS").ok().and_then(|n| n.parse().ok()).unwrap_or(360);
    for seed in [2, 3] {
        let (solved, unsolved) = compare(seed, 5000, sets / 2);
        assert!(solved > sets / 8 && unsolved > sets / 20, "{solved} solved, {unsolved} not");
    }
}
