//! The same packages as dnf, or no for reasons that name the same packages.

use std::collections::BTreeSet;

use toji_solve::{Answer, Pool, Repository};

use crate::ask::question;
use crate::dnf::{Dnf, Said};
use crate::universe::{Dice, Written, universe};

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
