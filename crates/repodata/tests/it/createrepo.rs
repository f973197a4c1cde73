//! Byte for byte what createrepo_c writes, for every feature and for hundreds of real packages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toji_repodata::Compression;
use toji_repodata::reader::{Filelists, Other, Primary, ReadLimits};
use toji_rpmgen::craft::{self, Value};
use toji_rpmgen::{debian, variants};

use crate::support::{content, createrepo, hrefs, repomd, write_repository};

/// Real packages that are converted from those of the Debian mirror.
const REAL: usize = 200;

#[test]
fn every_feature_of_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    variants::build(&dir.path().join("work"), &root).unwrap();
    write_legacy(&root);
    let count = compare(&root);
    assert!(count >= 30, "{count} packages");
}

#[test]
fn two_hundred_real_packages() {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debs");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    // a few more, for those that left the mirror since its lists were fetched
    let names = debian::sample(REAL + 10).unwrap();
    let debs = debian::download(&names, &cache).unwrap();
    let failures = debian::convert_all(&debs, &dir.path().join("work"), &root).unwrap();
    let count = compare(&root);
    assert!(count >= REAL, "{count} packages; not converted: {failures:#?}");
}

#[test]
fn synthetic_packages() {
    let dir = tempfile::tempdir().unwrap();
    toji_rpmgen::synthetic::write(dir.path(), 100).unwrap();
    assert_eq!(compare(dir.path()), 100);
}

/// Dependencies as old distributions' RPM wrote them.
fn write_legacy(root: &Path) {
    let int = |values: &[u32]| Value::Int32(values.to_vec());
    let tags = [
        (1000, Value::str("legacy")),
        (1001, Value::str("1")),
        (1002, Value::str("1")),
        (1006, int(&[1_000_000_000])),
        (1022, Value::str("i586")),
        (1044, Value::str("legacy-1-1.src.rpm")),
        (1049, Value::strs(["strong", "weak", "bad-epoch", "doubled", "doubled"])),
        (1048, int(&[0, 1 << 19, 8, 1 << 9, 1 << 10])),
        (1050, Value::strs(["", "", "x:1-1", "", ""])),
        (1156, Value::strs(["suggested", "recommended"])),
        (1158, int(&[0, 1 << 27])),
        (1157, Value::strs(["", ""])),
        (1159, Value::strs(["enhanced", "supplemented"])),
        (1161, int(&[8, 8 | 1 << 27])),
        (1160, Value::strs(["1:2-3", "2"])),
    ];
    let bytes = craft::rpm4("legacy", &tags, b"payload").unwrap();
    fs::write(root.join("legacy-1-1.i586.rpm"), bytes).unwrap();
}

/// Compares our metadata of the packages below `root` with createrepo_c's; returns their number.
fn compare(root: &Path) -> usize {
    let peer = createrepo(root, &[]);
    let theirs = repomd(&peer);
    let kinds: Vec<_> = theirs.records.iter().map(|r| r.kind.as_str()).collect();
    assert_eq!(kinds, ["primary", "filelists", "other"]);
    // the order of packages is free, theirs depends on their threads
    let order = hrefs_of(&content(&peer, &theirs, "primary"));
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(sorted, hrefs(root));
    write_repository(root, &order, Compression::Gzip(6));
    let ours = repomd(root);
    for kind in kinds {
        let (ours, theirs) = (content(root, &ours, kind), content(&peer, &theirs, kind));
        compare_packages(kind, &ours, &theirs);
        compare_entries(kind, &ours, &theirs);
        assert!(ours == theirs, "{kind}: the files differ outside of packages");
    }
    order.len()
}

/// Each package's element must be the same text.
fn compare_packages(kind: &str, ours: &[u8], theirs: &[u8]) {
    let split = |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.split_inclusive("</package>\n").map(str::to_owned).collect::<Vec<_>>()
    };
    let (ours, theirs) = (split(ours), split(theirs));
    assert_eq!(ours.len(), theirs.len(), "{kind}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let difference = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
        assert_eq!(ours, theirs, "{kind}, first difference: {difference:#?}");
    }
}

/// The readers see the same in both, and something in each field.
fn compare_entries(kind: &str, ours: &[u8], theirs: &[u8]) {
    let limits = ReadLimits::default();
    match kind {
        "primary" => {
            let read = |text| Primary::new(text, limits).map(Result::unwrap).collect::<Vec<_>>();
            let (ours, theirs) = (read(ours), read(theirs));
            assert_eq!(ours, theirs);
            for package in &ours {
                assert!(!package.name.is_empty() && !package.arch.is_empty());
                assert_eq!(
                    (package.checksum_type.as_str(), package.checksum.len()),
                    ("sha256", 64)
                );
                assert!(package.header_range.0 < package.header_range.1);
            }
            assert!(ours.iter().any(|p| !p.provides.is_empty() && !p.requires.is_empty()));
            assert!(ours.iter().any(|p| !p.files.is_empty()));
        }
        "filelists" => {
            let read = |text| Filelists::new(text, limits).map(Result::unwrap).collect::<Vec<_>>();
            let (ours, theirs) = (read(ours), read(theirs));
            assert_eq!(ours, theirs);
            assert!(ours.iter().any(|p| !p.files.is_empty()));
        }
        _ => {
            let read = |text| Other::new(text, limits).map(Result::unwrap).collect::<Vec<_>>();
            let (ours, theirs) = (read(ours), read(theirs));
            assert_eq!(ours, theirs);
            assert!(ours.iter().any(|p| !p.changelogs.is_empty()));
        }
    }
}

fn hrefs_of(primary: &[u8]) -> Vec<String> {
    let packages = Primary::new(primary, ReadLimits::default());
    let hrefs: Vec<String> = packages.map(|package| package.unwrap().href).collect();
    let distinct: BTreeMap<&str, ()> = hrefs.iter().map(|h| (h.as_str(), ())).collect();
    assert_eq!(distinct.len(), hrefs.len());
    hrefs
}
