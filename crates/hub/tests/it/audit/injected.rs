//! A thousand damages, one after the other: bit flips, truncations, swaps and deletions, each found and named rightly.

use std::collections::BTreeMap;
use std::fs;

use toji_db::Db;
use toji_hub::audit::{Finding, scan};
use toji_testkit::both_databases;

use super::{add_packages, all_files, checked, scanned, store};
use crate::it::fixture::top;
use crate::it::people::Stage;

/// How many damages are done in all, and how many in one round: each file is damaged once in a round.
const DAMAGES: usize = 1_000;
const ROUND: usize = 40;

/// Numbers that look random and are the same each time.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below as u64) as usize
    }
}

/// What each damaged file must be called, and whether names and sizes alone show it.
type Expected = BTreeMap<String, (&'static str, bool)>;

/// Damages files and says what must be found; what they were is kept in `whole`.
fn damage(
    stage: &Stage,
    files: &[String],
    seq: &mut Sequence,
    whole: &mut BTreeMap<String, Vec<u8>>,
) -> Expected {
    let mut expected = Expected::new();
    let take = |seq: &mut Sequence, whole: &BTreeMap<String, Vec<u8>>| loop {
        let file = &files[seq.next(files.len())];
        if !whole.contains_key(file) {
            return file.clone();
        }
    };
    let mut done = 0;
    while done < ROUND {
        let file = take(seq, whole);
        let bytes = fs::read(top(stage, &file)).unwrap();
        let path = top(stage, &file);
        match seq.next(4) {
            0 => {
                let mut bytes = bytes.clone();
                let at = seq.next(bytes.len());
                bytes[at] ^= 1 << seq.next(8);
                fs::write(path, bytes).unwrap();
                expected.insert(file.clone(), ("changed", false));
            }
            1 => {
                fs::write(path, &bytes[..seq.next(bytes.len())]).unwrap();
                expected.insert(file.clone(), ("truncated", true));
            }
            2 => {
                fs::remove_file(path).unwrap();
                expected.insert(file.clone(), ("missing", true));
            }
            _ => {
                let other = take(seq, whole);
                let content = fs::read(top(stage, &other)).unwrap();
                if other == file || content == bytes {
                    continue;
                }
                let seen = content.len() != bytes.len();
                fs::write(path, &content).unwrap();
                fs::write(top(stage, &other), &bytes).unwrap();
                expected.insert(file.clone(), ("swapped", seen));
                expected.insert(other.clone(), ("swapped", seen));
                whole.insert(other, content);
                done += 1;
            }
        }
        whole.insert(file, bytes);
        done += 1;
    }
    expected
}

fn names(found: &[Finding]) -> BTreeMap<String, &'static str> {
    let all: BTreeMap<String, &'static str> =
        found.iter().map(|finding| (finding.path.clone(), finding.kind.name())).collect();
    assert_eq!(all.len(), found.len(), "each file is named once");
    all
}

both_databases! {
    async fn every_damage_is_found_and_named(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        add_packages(&stage, 100).await;
        let options = scan::Options { jobs: 2, ..scan::Options::default() };
        assert_eq!(scanned(hub, &options).await.1, []);
        let files = all_files(&stage);
        assert!(files.len() >= 200, "{}", files.len());
        let mut seq = Sequence(20_261_123);
        let mut injected: BTreeMap<&str, usize> = BTreeMap::new();
        while injected.values().sum::<usize>() < DAMAGES {
            let mut whole = BTreeMap::new();
            let expected = damage(&stage, &files, &mut seq, &mut whole);
            expected.values().for_each(|(kind, _)| *injected.entry(*kind).or_default() += 1);
            let (_, found) = scanned(hub, &options).await;
            let wanted: BTreeMap<String, &str> =
                expected.iter().map(|(path, (kind, _))| (path.clone(), *kind)).collect();
            assert_eq!(names(&found), wanted, "what a scan finds");
            let (_, found) = checked(hub, false).await;
            let seen = expected.iter().filter(|(_, (_, seen))| *seen);
            let wanted: BTreeMap<String, &str> =
                seen.map(|(path, (kind, _))| (path.clone(), *kind)).collect();
            assert_eq!(names(&found), wanted, "what fsck finds");
            for (path, bytes) in whole {
                fs::write(top(&stage, &path), bytes).unwrap();
            }
        }
        assert_eq!(scanned(hub, &options).await.1, []);
        assert_eq!(checked(hub, false).await.1, []);
    }
}
