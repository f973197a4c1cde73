//! What differs between two builds of nearly the same spec file.

use std::path::{Path, PathBuf};
use std::process::Command;

use toji_rpmfile::compare::{Difference, compare};

use crate::support::{read, run};

/// A package by rpmbuild; the same words give the same bytes.
fn build(dir: &Path, summary: &str, install: &str) -> PathBuf {
    std::fs::create_dir_all(dir).unwrap();
    let spec = dir.join("p.spec");
    let text = format!(
        "Name: p\nVersion: 1\nRelease: 1\nSummary: {summary}\nLicense: MIT\nBuildArch: noarch\n%description\nd\n\
         %install\nmkdir -p %{{buildroot}}/d\ncd %{{buildroot}}/d\necho one >one\n{install}\n%files\n/d\n"
    );
    std::fs::write(&spec, text).unwrap();
    let mut command = Command::new("rpmbuild");
    command.env("SOURCE_DATE_EPOCH", "1000000000").arg("-bb").arg("--target").arg("noarch");
    let macros = [
        format!("_topdir {}", dir.display()),
        "_buildhost reproducible".to_owned(),
        "use_source_date_epoch_as_buildtime 1".to_owned(),
        "clamp_mtime_to_source_date_epoch 1".to_owned(),
        "_rpmfilename p.rpm".to_owned(),
    ];
    for text in &macros {
        command.args(["--define", text]);
    }
    run(command.arg(spec));
    dir.join("RPMS/p.rpm")
}

#[test]
fn files_and_tags_that_differ_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let first = build(&dir.path().join("1"), "same", "echo two >two; touch gone");
    let same = build(&dir.path().join("2"), "same", "echo two >two; touch gone");
    assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(same).unwrap());
    let other = build(&dir.path().join("3"), "other", "echo 2 >two; chmod 600 two one; touch new");
    let first = read(&first);
    assert_eq!(compare(&first, &first).unwrap(), []);
    let found = compare(&first, &read(&other)).unwrap();
    let has = |file: Option<&str>, what: &str| -> Option<[String; 2]> {
        let here = |d: &&Difference| d.file.as_deref() == file && d.what == what;
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        found.iter().find(here).map(|d| [text(&d.one), text(&d.other)])
    };
    assert_eq!(has(Some("/d/one"), "mode"), Some(["100644".into(), "100600".into()]));
    assert_eq!(has(Some("/d/one"), "contents"), None);
    assert_eq!(has(Some("/d/two"), "size"), Some(["4".into(), "2".into()]));
    assert!(has(Some("/d/two"), "contents").is_some());
    assert_eq!(has(Some("/d/gone"), "file"), Some(["there".into(), "none".into()]));
    assert_eq!(has(Some("/d/new"), "file"), Some(["none".into(), "there".into()]));
    assert_eq!(has(None, "SUMMARY"), Some(["same".into(), "other".into()]));
    assert_eq!(has(None, "BUILDTIME"), None);
    assert!(found.iter().all(|d| d.what != "time"), "{found:?}");
}
