//! Packages that lie are left out and named; all others are in the repository.

use std::fs;

use toji_repodata::Compression;
use toji_repodir::check::{self, Depth, check};
use toji_rpmgen::craft::Value;

use crate::support::{make, write};

#[test]
fn lies_are_refused_one_by_one() {
    let int = |count: usize| Value::Int32(vec![8; count]);
    let lies: Vec<(&str, Vec<(u32, Value)>)> = vec![
        ("name-up", vec![(1000, Value::str("../../etc/x"))]),
        ("name-dots", vec![(1000, Value::str(".."))]),
        ("version-path", vec![(1001, Value::str("1/2"))]),
        ("release-path", vec![(1002, Value::str("/1"))]),
        ("arch-path", vec![(1022, Value::str("../noarch"))]),
        ("base-path", vec![(1117, Value::strs(["a", "b/c"]))]),
        ("base-up", vec![(1117, Value::strs(["..", "b"]))]),
        ("dir-up", vec![(1118, Value::strs(["/usr/../../etc/"]))]),
        ("dir-outside", vec![(1116, Value::Int32(vec![0, 7]))]),
        ("few-dirs", vec![(1116, Value::Int32(vec![0]))]),
        ("many-modes", vec![(1030, Value::Int16(vec![0o100_755; 3]))]),
        ("few-flags", vec![(1037, int(1))]),
        ("many-sizes", vec![(1028, int(5))]),
        ("few-digests", vec![(1035, Value::strs(["x"]))]),
        ("many-senses", vec![(1112, int(2))]),
        (
            "few-versions",
            vec![(1049, Value::strs(["a", "b"])), (1048, int(2)), (1050, Value::strs([""]))],
        ),
        ("sense-of-nothing", vec![(1053, int(1))]),
        (
            "change-of-nobody",
            vec![(1080, int(2)), (1081, Value::strs(["a"])), (1082, Value::strs(["t", "u"]))],
        ),
    ];
    let dir = tempfile::tempdir().unwrap();
    for name in ["sound-1", "sound-2", "sound-3"] {
        write(dir.path(), name, &[]);
    }
    for (name, tags) in &lies {
        write(dir.path(), name, tags);
    }
    // offsets and counts of the index itself
    for (name, at, value) in [("offset", 200, 0xff_u8), ("count", 104, 0x7f), ("magic", 97, 0)] {
        write(dir.path(), name, &[]);
        let path = dir.path().join(format!("{name}.rpm"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] = value;
        fs::write(path, bytes).unwrap();
    }
    fs::write(dir.path().join("empty.rpm"), "").unwrap();
    fs::write(dir.path().join("text.rpm"), "no package".repeat(100)).unwrap();
    let kinds =
        [Compression::Gzip(6), Compression::Zstd(3), Compression::Xz(1), Compression::Bzip2(9)];
    for compression in kinds {
        let (report, warnings) = make(dir.path(), compression);
        assert_eq!((report.packages, report.broken.len()), (3, lies.len() + 5), "{warnings:#?}");
        assert_eq!(warnings.len(), lies.len() + 5);
        for (name, _) in &lies {
            assert!(
                warnings.iter().any(|text| text.contains(&format!("/{name}.rpm is left out"))),
                "{name}"
            );
        }
        let options = check::Options { depth: Depth::Checksums, signature: false, workers: 2 };
        let checked = check(dir.path(), &options, &()).unwrap();
        assert_eq!((checked.packages, checked.problems), (3, Vec::new()), "{compression:?}");
    }
}

#[test]
fn metadata_that_lead_out_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &[]);
    make(dir.path(), Compression::Gzip(6));
    let path = dir.path().join("repodata/repomd.xml");
    let text = fs::read_to_string(&path).unwrap();
    for place in ["../../etc/passwd", "/etc/passwd", "repodata/../../x", ""] {
        let start = text.find("repodata/").unwrap();
        let end = start + text[start..].find('"').unwrap();
        fs::write(&path, [&text[..start], place, &text[end..]].concat()).unwrap();
        let options = check::Options { depth: Depth::Metadata, signature: false, workers: 1 };
        let checked = check(dir.path(), &options, &()).unwrap();
        assert!(
            checked.problems.iter().any(|text| text.contains("outside")),
            "{place}: {checked:?}"
        );
    }
}
