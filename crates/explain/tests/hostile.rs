//! Logs that were written to confuse.

use proptest::prelude::*;
use toji_explain::{Scanner, exercise, explain};

/// Pieces of real logs, so that odd bytes fall into the middle of what is looked for.
const PIECES: [&str; 14] = [
    "Executing(%build): ",
    "error: Bad exit status from /var/tmp/rpm-tmp.x (%",
    "a.c:1:2: error: ",
    "error: Installed (but unpackaged) file(s) found:\n   ",
    "No matching package to install: '",
    "\n",
    "\r",
    "\x1b[",
    "\x1b]0;",
    "; see build.log for",
    "$ rpmbuild -b",
    "Hunk #1 FAILED at ",
    "\u{202e}",
    "undefined reference to `",
];

proptest! {
    #[test]
    fn odd_logs_do_no_harm(parts in proptest::collection::vec((0usize..16, proptest::collection::vec(any::<u8>(), 0..12)), 0..60)) {
        let mut data = Vec::new();
        for (at, bytes) in parts {
            data.extend_from_slice(PIECES.get(at).copied().unwrap_or_default().as_bytes());
            data.extend_from_slice(&bytes);
        }
        exercise(&data);
    }

    #[test]
    fn chunks_change_nothing(data in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
        let mut log = b"Executing(%build): x\na.c:1:2: error: no\n".to_vec();
        log.extend_from_slice(&data);
        let cut = cut.min(log.len());
        let read = |chunks: &[&[u8]]| {
            let mut scanner = Scanner::new();
            chunks.iter().for_each(|chunk| scanner.feed(chunk));
            explain("failed; see build.log for more", vec![("build.log".to_owned(), scanner.finish())])
        };
        prop_assert_eq!(read(&[&log]), read(&[&log[..cut], &log[cut..]]));
    }
}

#[test]
fn a_line_without_end_costs_nothing() {
    let mut scanner = Scanner::new();
    let piece = vec![b'e'; 1 << 20];
    for _ in 0..64 {
        scanner.feed(&piece);
    }
    let made =
        explain("failed; see build.log for more", vec![("build.log".to_owned(), scanner.finish())]);
    assert!(made.text().len() < 2000);
}
