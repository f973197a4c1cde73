//! Packages and options for the tests.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use toji_repodata::{Compression, Sum};
use toji_repodir::create::{Choice, Options, Report, create};
use toji_repodir::{Format, Watch};
use toji_rpmgen::craft::{self, Value};

/// Remembers warnings.
#[derive(Default)]
pub(crate) struct Ear(pub(crate) Mutex<Vec<String>>);

impl Watch for Ear {
    fn progress(&self, done: u64, all: u64) {
        assert!(done <= all);
    }

    fn warn(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

pub(crate) fn options() -> Options {
    Options {
        output: None,
        choice: Choice::default(),
        update: false,
        skip_stat: false,
        update_from: Vec::new(),
        keep_additional: true,
        base_url: None,
        location_prefix: None,
        cut_dirs: 0,
        groups: None,
        sum: Sum::Sha256,
        changelogs: Some(10),
        cache: None,
        workers: 3,
        read_list: None,
    }
}

pub(crate) fn format(compression: Compression) -> Format {
    Format { compression, ..Format::new(1_700_000_000) }
}

/// Makes the repository of `dir`.
pub(crate) fn make(dir: &Path, compression: Compression) -> (Report, Vec<String>) {
    let ear = Ear::default();
    let report = create(dir, &options(), &format(compression), &ear).unwrap();
    (report, ear.0.into_inner().unwrap())
}

/// The tags of a small sound package.
pub(crate) fn sound(name: &str) -> Vec<(u32, Value)> {
    vec![
        (1000, Value::str(name)),
        (1001, Value::str("1")),
        (1002, Value::str("1")),
        (1022, Value::str("noarch")),
        (1044, Value::str(format!("{name}-1-1.src.rpm"))),
        (1047, Value::strs([name])),
        (1112, Value::Int32(vec![8])),
        (1113, Value::strs(["1-1"])),
        (1116, Value::Int32(vec![0, 0])),
        (1117, Value::strs(["a", "b"])),
        (1118, Value::strs(["/usr/bin/"])),
        (1030, Value::Int16(vec![0o100_755; 2])),
        (1037, Value::Int32(vec![0; 2])),
    ]
}

/// Writes a package with some tags in the place of its own.
pub(crate) fn write(dir: &Path, name: &str, changed: &[(u32, Value)]) {
    let mut tags = sound(name);
    tags.retain(|(tag, _)| changed.iter().all(|(other, _)| other != tag));
    tags.extend(changed.iter().cloned());
    fs::write(dir.join(format!("{name}.rpm")), craft::rpm4(name, &tags, b"x").unwrap()).unwrap();
}
