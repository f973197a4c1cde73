//! Measures warm questions on a universe of packages, and dnf on the same ones: a JSON object on standard output.

#[path = "../tests/it/ask.rs"]
mod ask;
#[path = "../tests/it/dnf.rs"]
mod dnf;
#[path = "../tests/it/universe.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod universe;

use std::time::{Duration, Instant};

use toji_solve::{Pool, Repository};

use dnf::{Dnf, Said};
use universe::{Dice, Written, universe};

/// The time below which this part of the questions was answered, in seconds.
fn percentile(times: &mut [Duration], part: f64) -> f64 {
    times.sort();
    let at = (times.len() as f64 * part) as usize;
    times.get(at.min(times.len() - 1)).map_or(0.0, Duration::as_secs_f64)
}

/// Arguments: packages of the universe, questions.
fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|n| n.parse().ok()).collect();
    let [packages, questions] = numbers[..] else { panic!("bench_solve PACKAGES QUESTIONS") };
    let dir = tempfile::tempdir().unwrap();
    let repos = universe(dir.path(), 2, packages);
    let start = Instant::now();
    let read: Vec<Repository> = repos.iter().map(Written::read).collect();
    let loaded = start.elapsed();
    let start = Instant::now();
    let mut pool = Pool::new("x86_64", &read).unwrap();
    let made = start.elapsed();
    let mut dnf = Dnf::start(dir.path(), &repos);
    let mut dice = Dice::new(1002);
    let (mut ours, mut theirs, mut solved, mut equal) = (Vec::new(), Vec::new(), 0, 0);
    for _ in 0..questions {
        let job = ask::question(&mut dice, packages * 2 / 3);
        let start = Instant::now();
        let answer = pool.solve(&job).unwrap();
        ours.push(start.elapsed());
        let start = Instant::now();
        let said = dnf.solve(&job);
        theirs.push(start.elapsed());
        if let Ok(plan) = &answer {
            solved += 1;
            let mut names: Vec<_> = plan.packages.iter().map(|p| p.nevra()).collect();
            names.sort();
            equal += usize::from(said == Said::Packages(names));
        }
    }
    let figures = serde_json::json!({
        "packages": pool.len(), "questions": questions, "solved": solved, "equal": equal,
        "read_s": loaded.as_secs_f64(), "pool_s": made.as_secs_f64(),
        "p50_s": percentile(&mut ours, 0.5), "p99_s": percentile(&mut ours, 0.99),
        "dnf_p50_s": percentile(&mut theirs, 0.5), "dnf_p99_s": percentile(&mut theirs, 0.99),
    });
    println!("{figures}");
}
