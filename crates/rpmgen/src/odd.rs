//! Packages with everything that a header may hold and few headers do, the same for the same numbers.

mod parts;

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::craft::{self, Value};
use crate::synthetic::Sequence;

pub(crate) type Tags = Vec<(u32, Value)>;

/// Files of the package with the longest list.
const HUGE: usize = 30_000;

/// Writes `count` packages into `dir`; every tenth is in the format of RPM 6.
pub fn write(dir: &Path, count: usize) -> Result<()> {
    for number in 0..count {
        let (place, bytes) = package(number)?;
        let path = dir.join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(())
}

/// Place and content of the package of this number.
pub fn package(number: usize) -> Result<(String, Vec<u8>)> {
    let mut seq = Sequence(number as u64 * 104_729 + 5);
    let seq = &mut seq;
    let v6 = number % 10 == 9;
    let name =
        format!("{}{number}", seq.pick(&["odd", "Odd-name_", "lib+odd", "odd.x-", "python3-odd"]));
    let version = seq.pick(&["1", "0~rc1", "1.0^git5", "2024.01+dfsg", "1.0~beta2^post", "00012"]);
    let release = seq.pick(&["1", "1.fc40", "0.1.rc1%", "3~bpo", "1^1.el9", "alt0.1"]);
    let source = seq.next(12) == 0;
    let arch = seq.pick(&["noarch", "x86_64", "i686", "aarch64", "s390x", "ppc64le", "riscv64"]);
    let mut tags: Tags = vec![
        (100, Value::strs(["C"])),
        (1000, Value::str(name.as_str())),
        (1001, Value::str(version)),
        (1002, Value::str(release)),
        (1022, Value::str(arch)),
        (1021, Value::str("linux")),
        (1124, Value::str("cpio")),
        (1125, Value::str("gzip")),
        (1126, Value::str("9")),
    ];
    parts::about(&mut tags, seq, (&name, version, release), source);
    parts::dependencies(&mut tags, seq, &name);
    let files = if number == 7 { HUGE } else { seq.next(30) };
    parts::files(&mut tags, seq, files, source);
    parts::scripts(&mut tags, seq);
    parts::changes(&mut tags, seq, number == 11);
    let payload: Vec<u8> = (0..seq.next(4000)).map(|_| seq.next(256) as u8).collect();
    let bytes = if v6 {
        craft::rpm6(&name, &tags, &payload)?
    } else {
        craft::rpm4(&name, &tags, &payload)?
    };
    let arch = if source { "src" } else { arch };
    let dir = seq.pick(&["", "Packages/o/", "a dir/", "ü/", "<&>/"]);
    Ok((format!("{dir}{name}-{version}-{release}.{arch}.rpm"), bytes))
}
