//! The parsers of everything that comes in at the doors, on kept inputs and on damaged ones.
//!
//! `tests/corpus/NAME/` has the inputs of a parser: sound ones, and all that have broken it once. Each is read as it is, and damaged for a bounded
//! number of rounds (`TOJI_FUZZ_ROUNDS`) from a place in the dice that differs each time (`TOJI_FUZZ_SEED`). What breaks a parser is printed in
//! hexadecimal digits, and belongs into the corpus.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::catch_unwind;
use std::path::Path;

/// Rounds for each parser.
const ROUNDS: u64 = 6000;
/// Damaged inputs stay below this size.
const LARGEST: usize = 64 << 10;

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides.max(1)
    }
}

fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "long runs are asked for by the environment")]
    let said = std::env::var(name).ok();
    said.map(|text| text.parse().expect("a number"))
}

/// Changes an input in a few places; sometimes a part of another one comes in.
fn damage(data: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.roll(5) {
        let at = dice.roll(data.len() + 1);
        let rest = data.len() - at;
        match dice.roll(8) {
            0 if rest > 0 => data[at] = dice.roll(256) as u8,
            1 if rest > 0 => data[at] ^= 1 << dice.roll(8),
            2 => data.truncate(at),
            3 => data.insert(at, dice.roll(256) as u8),
            4 => data.insert(at, b"<>&;\"'{}[]:,.-+eE0\\\n\r"[dice.roll(20)]),
            5 => {
                let piece = data[at..at + dice.roll(rest.min(200) + 1)].to_vec();
                for _ in 0..=dice.roll(20) {
                    data.splice(at..at, piece.iter().copied());
                }
            }
            6 => drop(data.drain(at..at + dice.roll(rest.min(50) + 1))),
            _ => {
                let other = &others[dice.roll(others.len())];
                let from = dice.roll(other.len() + 1);
                let piece = &other[from..from + dice.roll(other.len() - from + 1)];
                data.splice(at..at, piece.iter().copied());
            }
        }
        data.truncate(LARGEST);
    }
}

/// Reads the corpus of this name with the parser, and damages it.
fn survives(name: &str, parser: fn(&[u8])) {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let files = std::fs::read_dir(&place).expect("a corpus");
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(!corpus.is_empty(), "{} has nothing", place.display());
    let read = |data: &[u8], what: &str| {
        if catch_unwind(|| parser(data)).is_err() {
            panic!("{name}: {what} breaks it: {}", hex::encode(data));
        }
    };
    for (data, path) in corpus.iter().zip(&paths) {
        read(data, &path.display().to_string());
    }
    let seed = setting("TOJI_FUZZ_SEED").unwrap_or_else(|| RandomState::new().hash_one(name));
    let mut dice = Dice(seed | 1);
    for round in 0..setting("TOJI_FUZZ_ROUNDS").unwrap_or(ROUNDS) {
        let mut data = corpus[dice.roll(corpus.len())].clone();
        damage(&mut data, &corpus, &mut dice);
        read(&data, &format!("round {round} of TOJI_FUZZ_SEED={seed}"));
    }
}

#[test]
fn xml() {
    survives("xml", toji_xmlrpc::fuzz);
}

#[test]
fn json() {
    survives("json", toji_value::json::fuzz);
}

#[test]
fn protocol_buffers() {
    survives("protocol_buffers", |data| {
        toji_proto::hub::wire::fuzz(data);
        toji_proto::hub::message::fuzz(data);
    });
}

#[test]
fn frames_and_headers() {
    survives("frames_and_headers", toji_server::fuzz);
}

#[test]
fn what_clients_read() {
    survives("client", toji_client::fuzz);
}
