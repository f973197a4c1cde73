//! Links that come and go while a volume is read and changed: nothing outside is ever read, written or removed.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use toji_store::{Kind, Local, Volume as _};

/// How often each deed is done while the links come and go.
const TIMES: usize = 3_000;

/// Swaps a directory with a link that leads outside until it is told to stop; tells how often.
fn swap(one: &Path, other: &Path, stop: &AtomicBool) -> u64 {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
        count += 1;
    }
    count
}

#[test]
fn nothing_leads_out_while_links_come_and_go() {
    let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = top.path().join("volume");
    fs::create_dir_all(root.join("a/dir/deep")).unwrap();
    fs::write(root.join("a/dir/deep/file"), "inside").unwrap();
    fs::create_dir_all(outside.path().join("deep")).unwrap();
    fs::write(outside.path().join("deep/file"), "outside").unwrap();
    fs::write(outside.path().join("deep/precious"), "precious").unwrap();
    symlink(outside.path(), root.join("a/other")).unwrap();
    let volume = Local::new(&root).unwrap();
    let stop = AtomicBool::new(false);
    let (mut done, mut refused) = (0, 0);
    let (one, other) = (root.join("a/dir"), root.join("a/other"));
    let swaps = std::thread::scope(|scope| {
        let swapping = scope.spawn(|| swap(&one, &other, &stop));
        for number in 0..TIMES {
            let mut count = |ok: bool| if ok { done += 1 } else { refused += 1 };
            // Through both names: at any moment one of them is the link.
            for dir in ["a/dir", "a/other"] {
                let read = volume.open(&format!("{dir}/deep/file")).map(|mut file| {
                    let mut text = String::new();
                    file.read_to_string(&mut text).unwrap();
                    text
                });
                assert!(read.as_ref().map_or(true, |text| text != "outside"), "read outside");
                count(read.is_ok());
                let names = volume.list(&format!("{dir}/deep")).unwrap();
                assert!(names.iter().all(|item| item.name() != "precious"), "listed outside");
                let item = volume.item(&format!("{dir}/deep/precious")).unwrap();
                assert_eq!(item, None, "looked outside");
                count(volume.put(&format!("{dir}/deep/new{}", number % 7), b"new").is_ok());
                count(volume.link(&format!("{dir}/deep/link"), Path::new("file")).is_ok());
                count(volume.remove(&format!("{dir}/deep/new{}", number % 7)).is_ok());
                // This one must find nothing to remove there.
                count(volume.remove(&format!("{dir}/deep/precious")).is_ok());
            }
        }
        stop.store(true, Ordering::Relaxed);
        swapping.join().unwrap()
    });
    let left: Vec<_> = fs::read_dir(outside.path().join("deep"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fs::read_to_string(outside.path().join("deep/file")).unwrap(), "outside");
    assert_eq!(fs::read_to_string(outside.path().join("deep/precious")).unwrap(), "precious");
    // Otherwise nothing was tried.
    assert!(
        done > 0 && refused > 0 && swaps > 100,
        "{done} done, {refused} refused, {swaps} swaps"
    );
}

#[test]
fn a_tree_is_removed_without_following_links_that_come_into_it() {
    let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(outside.path().join("deep")).unwrap();
    fs::write(outside.path().join("deep/precious"), "precious").unwrap();
    let volume = Local::new(top.path()).unwrap();
    for _ in 0..TIMES / 10 {
        fs::create_dir_all(top.path().join("tree/dir/deep")).unwrap();
        fs::write(top.path().join("tree/dir/deep/precious"), "not so precious").unwrap();
        symlink(outside.path(), top.path().join("link")).unwrap();
        let (one, other) = (top.path().join("tree/dir"), top.path().join("link"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).is_ok() {}
            });
            volume.remove("tree").unwrap();
        });
        volume.remove("link").unwrap();
        assert!(!top.path().join("tree").exists());
    }
    assert_eq!(fs::read_to_string(outside.path().join("deep/precious")).unwrap(), "precious");
}

#[test]
fn places_are_as_they_were() {
    let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("file"), "x").unwrap();
    fs::create_dir_all(top.path().join("real/sub")).unwrap();
    fs::write(top.path().join("real/sub/file"), "content").unwrap();
    symlink("real", top.path().join("inner")).unwrap();
    symlink(outside.path(), top.path().join("outer")).unwrap();
    let volume = Local::new(top.path()).unwrap();
    assert_eq!(volume.item("").unwrap().unwrap().kind, Kind::Dir);
    assert_eq!(volume.item("inner/sub/file").unwrap().unwrap().size, 7);
    assert_eq!(volume.list("inner/sub").unwrap().len(), 1);
    assert!(matches!(volume.item("outer").unwrap().unwrap().kind, Kind::Link(_)));
    assert_eq!(volume.item("outer/file").unwrap(), None);
    assert!(volume.list("outer").unwrap().is_empty());
    for refused in [
        volume.put("inner/new", b""),
        volume.put("outer/new", b""),
        volume.put("real/sub/file/new", b""),
        volume.put("", b""),
        volume.link("outer/new", Path::new("x")),
        volume.link("real/sub/file", Path::new("x")),
        volume.remove("outer/file"),
        volume.remove("inner/sub/file"),
        volume.remove(""),
    ] {
        assert!(refused.is_err());
    }
    volume.put("fresh/way/file", b"new").unwrap();
    volume.put("fresh/way/file", b"newer").unwrap();
    assert_eq!(fs::read_to_string(top.path().join("fresh/way/file")).unwrap(), "newer");
    volume.link("fresh/link", Path::new("one")).unwrap();
    volume.link("fresh/link", Path::new("two")).unwrap();
    assert_eq!(fs::read_link(top.path().join("fresh/link")).unwrap(), Path::new("two"));
    assert_eq!(fs::read_dir(top.path().join("fresh")).unwrap().count(), 2);
    for path in ["fresh", "outer", "nothing/at/all"] {
        volume.remove(path).unwrap();
        assert_eq!(volume.item(path).unwrap(), None);
    }
    assert!(outside.path().join("file").exists());
}
