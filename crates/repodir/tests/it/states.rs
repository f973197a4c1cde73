//! What readers and other writers see while a repository changes.

use std::fs::{self, File};
use std::sync::atomic::{AtomicBool, Ordering};

use toji_repodata::reader::{Primary, ReadLimits};
use toji_repodata::{Compression, decoder};
use toji_repodir::create::create;
use toji_repodir::modify::{Change, modify};
use toji_repodir::{Error, Format, Retain, Source};

use crate::support::{format, make, options, write};

/// Reads a state as a client does; returns its number of packages.
fn read(dir: &std::path::Path) -> usize {
    let source = Source::open(dir).unwrap();
    for record in &source.repomd.records {
        let bytes = fs::read(source.path(&record.href).unwrap()).unwrap();
        assert_eq!(record.sum.of(&bytes), record.checksum);
    }
    let record = source.record("primary").unwrap();
    let bytes = fs::read(source.path(&record.href).unwrap()).unwrap();
    let content = decoder(&record.href, bytes.as_slice()).unwrap();
    let packages = Primary::new(std::io::BufReader::new(content), ReadLimits::default());
    packages.map(Result::unwrap).count()
}

#[test]
fn readers_see_one_state_or_another() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &[]);
    make(dir.path(), Compression::Gzip(6));
    let stop = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                seen.insert(read(dir.path()));
            }
            seen
        });
        let keep = Format { retain: Retain::Newest(1000), ..format(Compression::Gzip(6)) };
        for number in 0..60 {
            let path = dir.path().join("b.rpm");
            if number % 2 == 0 {
                write(dir.path(), "b", &[]);
            } else {
                fs::remove_file(path).unwrap();
            }
            let how = toji_repodir::create::Options { update: number % 3 > 0, ..options() };
            create(dir.path(), &how, &Format { time: number, ..keep.clone() }, &()).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.is_subset(&[1, 2].into()), "{seen:?}");
    assert_eq!(read(dir.path()), 1);
}

#[test]
fn two_writers_are_refused_and_leftovers_removed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &[]);
    let left = dir.path().join(".repodata-1");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("x"), "x").unwrap();
    let lock = File::open(dir.path()).unwrap();
    lock.lock().unwrap();
    let made = create(dir.path(), &options(), &format(Compression::Gzip(6)), &());
    assert!(matches!(made, Err(Error::Busy(_))));
    assert!(left.exists() && !dir.path().join("repodata").exists());
    drop(lock);
    make(dir.path(), Compression::Gzip(6));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_failed_change_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", &[]);
    make(dir.path(), Compression::Zstd(3));
    fs::write(dir.path().join("repodata/mine.txt"), "kept").unwrap();
    let before = fs::read(dir.path().join("repodata/repomd.xml")).unwrap();
    let file = dir.path().join("productid");
    fs::write(&file, "id").unwrap();
    let add = Change::Add { file, kind: None, name: None, compression: None };
    let format = format(Compression::Gzip(6));
    let changes = [add.clone(), Change::Remove("nosuch".into())];
    assert!(matches!(modify(dir.path(), &changes, &format), Err(Error::NoRecord { .. })));
    assert_eq!(fs::read(dir.path().join("repodata/repomd.xml")).unwrap(), before);
    modify(dir.path(), &[add], &format).unwrap();
    let source = Source::open(dir.path()).unwrap();
    let record = source.record("productid").unwrap();
    assert_eq!((record.size, record.open_size), (2, None));
    assert_eq!(fs::read(dir.path().join("repodata/mine.txt")).unwrap(), b"kept");
    assert_eq!(read(dir.path()), 1);
}
