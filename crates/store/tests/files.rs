//! Areas, uploads and placement on a real file system.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use toji_store::*;

fn read(area: &Area, path: &str) -> Result<String> {
    let mut text = String::new();
    area.open(path)?.read_to_string(&mut text).unwrap();
    Ok(text)
}

#[test]
fn links_cannot_lead_out() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("in")).unwrap();
    fs::write(dir.path().join("secret"), "s").unwrap();
    fs::write(root.join("in/file"), "f").unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink("/etc/passwd", root.join("abs")).unwrap();
    symlink("in/file", root.join("ok")).unwrap();
    symlink("..", root.join("up")).unwrap();
    let area = Area::new(&root);
    assert_eq!(read(&area, "ok").unwrap(), "f");
    assert_eq!(read(&area, "in/../in/file").unwrap(), "f");
    for bad in ["out", "abs", "../secret", "up/secret", "in"] {
        assert!(area.open(bad).is_err(), "{bad}");
    }
    assert!(matches!(area.open_for_write("ok"), Err(Error::NotAFile(_))));
    assert!(area.open_for_write("up/new").is_err());
    assert!(!dir.path().join("new").exists());
    let found: Vec<String> = area.walk("").unwrap().into_iter().map(|e| e.path).collect();
    assert!(found.contains(&"ok".to_owned()) && found.contains(&"in/file".to_owned()));
}

fn begin(offset: i64, overwrite: bool) -> Begin {
    let verify = Some(Algorithm::Adler32);
    Begin { path: "a/b/file".into(), offset, overwrite, verify }
}

#[test]
fn uploads_are_written_in_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let area = Area::new(dir.path().join("work"));
    let put = |begin: &Begin, data: &[u8]| -> Result<(u64, u64, Option<String>)> {
        let mut upload = Upload::begin(&area, begin)?;
        upload.write(data)?;
        upload.finish()
    };
    let (size, offset, sum) = put(&begin(0, false), b"Wiki").unwrap();
    assert_eq!((size, offset, sum.as_deref()), (4, 0, Some("03da0195")));
    assert!(matches!(put(&begin(0, false), b"x"), Err(Error::Exists(_))));
    put(&begin(4, false), b"pedia").unwrap();
    assert_eq!(put(&begin(-1, false), b"!").unwrap().1, 9);
    assert_eq!(read(&area, "a/b/file").unwrap(), "Wikipedia!");
    assert!(matches!(put(&begin(1, false), b"i"), Err(Error::Length { .. })));
    put(&begin(0, true), b"new").unwrap();
    assert_eq!(read(&area, "a/b/file").unwrap(), "new");
    let held = Upload::begin(&area, &begin(3, false)).unwrap();
    assert!(matches!(put(&begin(3, false), b"x"), Err(Error::Locked(_))));
    drop(held);
}

#[test]
fn a_placement_is_finished_or_undone() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    fs::create_dir_all(top.join("work/tasks")).unwrap();
    fs::write(top.join("work/tasks/a.rpm"), "rpm").unwrap();
    let step =
        Step { from: top.join("work/tasks/a.rpm"), to: top.join("packages/a/1/1/src/a.rpm") };
    place(&step).unwrap();
    assert_eq!(fs::read_to_string(&step.to).unwrap(), "rpm");
    undo(&step, &top.join("packages")).unwrap();
    assert!(!top.join("packages/a").exists() && step.from.exists());
    place(&step).unwrap();
    place(&step).unwrap();
    link_back(&step).unwrap();
    link_back(&step).unwrap();
    let link = fs::read_link(&step.from).unwrap();
    assert_eq!(link.to_str(), Some("../../packages/a/1/1/src/a.rpm"));
    undo(&step, &top.join("packages")).unwrap();
    assert_eq!(fs::read_to_string(&step.from).unwrap(), "rpm");
}

#[test]
fn links_are_followed_while_files_are_renamed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("file"), "here").unwrap();
    symlink("../../../file", root.join("a/b/c/link")).unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    fs::write(&one, "").unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                fs::rename(&one, &two).unwrap();
                fs::rename(&two, &one).unwrap();
            }
        });
        let area = Area::new(&root);
        let wrong = (0..20_000).filter(|_| area.open("a/b/c/link").is_err()).count();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(wrong, 0, "of 20,000 files were not opened");
    });
}

#[test]
fn directories_that_were_made_for_nothing_go() {
    let top = tempfile::tempdir().unwrap();
    let from = top.path().join("work/file");
    fs::create_dir_all(from.parent().unwrap()).unwrap();
    fs::write(&from, "x").unwrap();
    // as a crash leaves it that came before the last directory was made
    fs::create_dir_all(top.path().join("packages/a/1.0")).unwrap();
    let to = top.path().join("packages/a/1.0/1/src/file");
    toji_store::undo(&toji_store::Step { from: from.clone(), to }, top.path()).unwrap();
    assert!(!top.path().join("packages").exists());
    assert!(from.exists());
}
