//! The order of versions, compared with the one that RPM itself computes.

use std::cmp::Ordering;
use std::fmt::Write;
use std::process::Command;

use toji_types::evr::compare_segments;

/// Pieces that versions are made of, with the odd ones often.
const PIECES: [&str; 20] = [
    "1", "2", "9", "10", "0", "00", "01", "a", "b", "rc", "Z", "git", ".", ".", "_", "+", "~", "^",
    "p1", "20240101",
];

fn versions() -> Vec<String> {
    let mut state: u64 = 42;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..1200).map(|_| (0..=next(5)).map(|_| PIECES[next(PIECES.len())]).collect()).collect()
}

#[test]
fn versions_are_ordered_as_rpm_orders_them() {
    let versions = versions();
    let pairs: Vec<_> = versions.iter().zip(versions.iter().skip(1)).collect();
    let mut lua = String::from("%{lua:\n");
    for (a, b) in &pairs {
        writeln!(lua, "print(rpm.vercmp(\"{a}\", \"{b}\") .. \"\\n\")").unwrap();
    }
    lua.push('}');
    let output = Command::new("rpm").args(["--eval", &lua]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<i32> = text.split_whitespace().map(|line| line.parse().unwrap()).collect();
    assert_eq!(theirs.len(), pairs.len());
    for ((a, b), theirs) in pairs.iter().zip(&theirs) {
        assert_eq!(compare_segments(a, b), theirs.cmp(&0), "{a} {b}");
    }
    for order in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
        assert!(theirs.iter().any(|t| t.cmp(&0) == order), "{order:?} never comes up");
    }
}
