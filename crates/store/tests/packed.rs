//! Packed files: the same content for every way of reading, and a valid zstd file.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

use toji_store::packed::{Content, content_length, pack, unpack};

/// Lines as a build writes them, more than two blocks of them.
fn log() -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0..60_000u64 {
        writeln!(text, "gcc -O2 -c file{n}.c -o {:x}.o", n.wrapping_mul(0x9e37_79b9)).unwrap();
    }
    text
}

fn read(path: &std::path::Path, from: SeekFrom, most: u64) -> Vec<u8> {
    let mut content = Content::new(File::open(path).unwrap()).unwrap();
    content.seek(from).unwrap();
    let mut data = Vec::new();
    content.take(most).read_to_end(&mut data).unwrap();
    data
}

#[test]
fn a_packed_file_reads_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("build.log");
    let text = log();
    assert!(text.len() > 2 << 20, "{} bytes are too few", text.len());
    std::fs::write(&path, &text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_000);
    File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    let change = pack(&path).unwrap().expect("a log gets smaller");
    let meta = std::fs::metadata(&path).unwrap();
    assert_eq!((change.before, change.after), (text.len() as u64, meta.len()));
    assert!(change.after * 4 < change.before, "{change:?}");
    assert_eq!((meta.modified().unwrap(), meta.permissions().mode() & 0o777), (old, 0o640));
    let length = |name| content_length(name, meta.len(), || File::open(&path));
    assert_eq!((length("build.log"), length("build.rpm")), (change.before, change.after));
    assert_eq!(pack(&path).unwrap(), None, "once is enough");
    assert_eq!(read(&path, SeekFrom::Start(0), u64::MAX), text);
    let block = 1 << 20;
    for (from, most) in [
        (0, 10),
        (block - 5, 10),
        (block, 1),
        (2 * block - 1, 70_000),
        (text.len() - 3, 100),
        (text.len() + 9, 5),
    ] {
        let end = (from + most).min(text.len());
        let wanted = text.get(from..end).unwrap_or_default();
        assert_eq!(read(&path, SeekFrom::Start(from as u64), most as u64), wanted, "{from} {most}");
    }
    assert_eq!(read(&path, SeekFrom::End(-7), 100), text[text.len() - 7..]);
    let zstd =
        Command::new("zstd").args(["-dc", "--"]).arg(&path).output().expect("zstd is installed");
    assert!(zstd.status.success() && zstd.stdout == text, "zstd reads something else");
    unpack(&path).unwrap().expect("it was packed");
    assert_eq!(std::fs::read(&path).unwrap(), text);
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), old);
    assert_eq!(unpack(&path).unwrap(), None);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn what_is_short_or_linked_or_dense_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, data: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, data).unwrap();
        path
    };
    let short = file("short.log", b"two\nlines\n");
    let twice = file("twice.log", &log());
    std::fs::hard_link(&twice, dir.path().join("other.log")).unwrap();
    let link = dir.path().join("link.log");
    std::os::unix::fs::symlink("short.log", &link).unwrap();
    let mut noise = vec![0; 100_000];
    let mut state = 1u64;
    for byte in &mut noise {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = (state >> 33) as u8;
    }
    let dense = file("dense.log", &noise);
    for path in [&short, &twice, &link, &dense] {
        assert_eq!(pack(path).unwrap(), None, "{}", path.display());
    }
    assert_eq!(read(&dense, SeekFrom::Start(0), u64::MAX), noise);
    assert!(pack(&dir.path().join("missing.log")).unwrap_err().is_missing());
}

#[test]
fn what_only_begins_like_one_is_plain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.log");
    std::fs::write(&path, log()).unwrap();
    pack(&path).unwrap().unwrap();
    let packed = std::fs::read(&path).unwrap();
    // Cut off, longer, with an index that goes backwards, with a length of another file.
    let mut backwards = packed.clone();
    backwards[39] = 0xff;
    let mut longer = packed.clone();
    longer.push(0);
    let mut huge = packed.clone();
    huge[24..32].fill(0xff);
    for wrong in
        [packed[..packed.len() - 1].to_vec(), longer, backwards, huge, packed[..20].to_vec()]
    {
        std::fs::write(&path, &wrong).unwrap();
        assert_eq!(read(&path, SeekFrom::Start(0), u64::MAX), wrong);
        assert_eq!(unpack(&path).unwrap(), None);
    }
    // A frame that is broken is an error, not a wrong text.
    let mut broken = packed.clone();
    let middle = broken.len() - 1000;
    broken[middle..middle + 20].fill(0);
    std::fs::write(&path, &broken).unwrap();
    let mut content = Content::new(File::open(&path).unwrap()).unwrap();
    assert!(content.read_to_end(&mut Vec::new()).is_err());
    assert!(unpack(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), broken);
}
