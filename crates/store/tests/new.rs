//! Placement of files that must not be there yet.

use std::fs;
use std::path::{Path, PathBuf};

use toji_store::*;

fn plan(from: &Path, to: &Path, link: &Path) -> Plan {
    Plan {
        steps: vec![Step { from: from.to_owned(), to: to.to_owned() }],
        written: vec![
            (to.with_extension("md5"), Content::Bytes(b"sum".to_vec())),
            (link.to_owned(), Content::Link(PathBuf::from("target"))),
        ],
    }
}

#[test]
fn the_first_of_two_keeps_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    fs::write(top.join("a"), "first").unwrap();
    fs::write(top.join("b"), "second").unwrap();
    let (to, link) = (top.join("deep/er/file"), top.join("links/l"));
    let first = plan(&top.join("a"), &to, &link);
    place_new(&first, top).unwrap();
    assert_eq!(fs::read_to_string(&to).unwrap(), "first");
    assert_eq!(fs::read_to_string(to.with_extension("md5")).unwrap(), "sum");
    assert_eq!(fs::read_link(&link).unwrap(), PathBuf::from("target"));
    let second = plan(&top.join("b"), &to, &link);
    let error = place_new(&second, top).unwrap_err();
    assert!(matches!(error, Error::Exists(_)), "{error}");
    // what fails late takes what came before back, and nothing of the other
    let late = Plan {
        steps: vec![Step { from: top.join("b"), to: top.join("deep/other") }],
        written: vec![(to.with_extension("md5"), Content::Bytes(b"x".to_vec()))],
    };
    assert!(place_new(&late, top).is_err());
    assert!(!top.join("deep/other").exists());
    undo(&second.steps[0], top).unwrap();
    assert_eq!(fs::read_to_string(&to).unwrap(), "first");
    assert_eq!(fs::read_to_string(to.with_extension("md5")).unwrap(), "sum");
    undo(&first.steps[0], top).unwrap();
    assert!(!to.exists());
}

#[test]
fn only_regular_files_are_placed() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    fs::write(top.join("a"), "a").unwrap();
    std::os::unix::fs::symlink("a", top.join("l")).unwrap();
    let plan = Plan {
        steps: vec![
            Step { from: top.join("a"), to: top.join("x/a") },
            Step { from: top.join("l"), to: top.join("x/l") },
        ],
        written: Vec::new(),
    };
    assert!(matches!(place_new(&plan, top), Err(Error::NotAFile(_))));
    assert!(!top.join("x").exists());
}

#[test]
fn broken_containers_are_told() {
    use toji_store::contents::{Container, members};
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    assert_eq!(members(&file, Container::Tar).unwrap(), []);
    for content in ["", "no zip", "\u{1f}\u{8b}broken"] {
        fs::write(&file, content).unwrap();
        assert!(members(&file, Container::Zip).is_err(), "zip {content:?}");
        assert!(members(&file, Container::Tar).is_err(), "tar {content:?}");
    }
}

#[test]
fn directories_made_for_what_cannot_be_placed_go_again() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    let from = top.join("from");
    fs::write(&from, "text").unwrap();
    // No file system takes such a name.
    let name = "x".repeat(300);
    let to = top.join("a/b").join(&name);
    let step = Plan { steps: vec![Step { from, to }], written: Vec::new() };
    let content = vec![(top.join("a/c").join(&name), Content::Bytes(b"text".to_vec()))];
    for plan in [step, Plan { steps: Vec::new(), written: content }] {
        assert!(place_new(&plan, top).is_err());
        assert!(!top.join("a").exists());
    }
}
