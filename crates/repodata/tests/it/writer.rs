//! Repositories from packed members, extra files, limits of the writer.

use std::io::Read;

use toji_repodata::reader::{Primary, ReadLimits};
use toji_repodata::{
    ChunkKey, ChunkStore, ChunkedWriter, Compression, Error, Fragments, Memory, MemoryChunks,
    MetadataWriter, Part, Piece, Pieces, Repomd, RepositoryWriter, decoder, pack,
};
use toji_rpmfile::{Limits, Package};

use crate::support::{fragments_of, hrefs};

const BOTH: [Compression; 2] = [Compression::Gzip(6), Compression::Zstd(3)];

fn open(memory: &Memory, href: &str) -> Vec<u8> {
    let mut out = Vec::new();
    decoder(href, memory.files[href].as_slice()).unwrap().read_to_end(&mut out).unwrap();
    out
}

#[test]
fn packed_members_and_plain_fragments_give_the_same_content() {
    let dir = tempfile::tempdir().unwrap();
    toji_rpmgen::synthetic::write(dir.path(), 12).unwrap();
    let hrefs = hrefs(dir.path());
    let fragments: Vec<_> = hrefs.iter().map(|href| fragments_of(dir.path(), href)).collect();
    for compression in BOTH {
        let mut plain = Memory::default();
        let mut writer = RepositoryWriter::new(&mut plain, 12, compression, 7).unwrap();
        for fragment in &fragments {
            writer.add(Pieces::from(fragment)).unwrap();
        }
        let plain_md = writer.finish("r").unwrap();

        // every second group of three is packed, so members and streams alternate
        let mut mixed = Memory::default();
        let mut writer = RepositoryWriter::new(&mut mixed, 12, compression, 7).unwrap();
        for (number, group) in fragments.chunks(3).enumerate() {
            let join = |part: fn(&toji_repodata::Fragments) -> &str| {
                group.iter().map(part).collect::<String>()
            };
            let parts = [join(|f| &f.primary), join(|f| &f.filelists), join(|f| &f.other)];
            let packed = parts.each_ref().map(|p| pack(p.as_bytes(), compression).unwrap());
            let piece = |n: usize| Piece {
                open: parts[n].as_bytes(),
                packed: (number % 2 == 0).then_some(packed[n].as_slice()),
            };
            let (primary, filelists, other) = (piece(0), piece(1), piece(2));
            writer.add(Pieces { packages: 3, primary, filelists, other }).unwrap();
        }
        let mixed_md = writer.finish("r").unwrap();

        for part in Part::ALL {
            let (a, b) =
                (plain_md.record(part.name()).unwrap(), mixed_md.record(part.name()).unwrap());
            assert_eq!((&a.open_checksum, a.open_size), (&b.open_checksum, b.open_size));
            assert_eq!(open(&plain, &a.href), open(&mixed, &b.href));
            assert_eq!(b.size, mixed.files[&b.href].len() as u64);
            assert!(b.href.starts_with(&format!("repodata/{}-{}.xml", b.checksum, part.name())));
        }
        let primary = open(&mixed, &mixed_md.record("primary").unwrap().href);
        assert_eq!(Primary::new(primary.as_slice(), ReadLimits::default()).count(), 12);
    }
}

#[test]
fn the_same_input_gives_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    toji_rpmgen::synthetic::write(dir.path(), 5).unwrap();
    let write = || {
        let mut memory = Memory::default();
        let mut writer = RepositoryWriter::new(&mut memory, 5, BOTH[0], 7).unwrap();
        for href in hrefs(dir.path()) {
            writer.add(Pieces::from(&fragments_of(dir.path(), &href))).unwrap();
        }
        writer.add_comps(b"<comps/>").unwrap();
        writer.finish("r").unwrap();
        memory.files
    };
    assert_eq!(write(), write());
}

#[test]
fn comps_and_other_files_are_passed_through() {
    let mut memory = Memory::default();
    let mut writer = RepositoryWriter::new(&mut memory, 0, BOTH[1], 7).unwrap();
    writer.add_comps(b"<comps>\n</comps>\n").unwrap();
    writer.add_extra("modules", "modules.yaml", b"--- {}\n").unwrap();
    writer.finish("42").unwrap();
    let repomd = memory.files["repodata/repomd.xml"].as_slice();
    let repomd = Repomd::parse(repomd, 1 << 20).unwrap();
    let kinds: Vec<_> = repomd.records.iter().map(|r| r.kind.as_str()).collect();
    assert_eq!(kinds, ["primary", "filelists", "other", "group", "group_zst", "modules"]);
    assert_eq!(repomd.revision, "42");
    let group = repomd.record("group").unwrap();
    assert_eq!((group.open_checksum.as_ref(), group.size), (None, 17));
    assert_eq!(open(&memory, &group.href), b"<comps>\n</comps>\n");
    let modules = repomd.record("modules").unwrap();
    assert_eq!(open(&memory, &modules.href), b"--- {}\n");
    assert_eq!((modules.timestamp, modules.open_size), (7, Some(7)));
    assert_eq!(memory.files.len(), 7);
}

#[test]
fn a_wrong_number_of_packages_publishes_nothing() {
    let mut memory = Memory::default();
    let writer = RepositoryWriter::new(&mut memory, 1, BOTH[0], 7).unwrap();
    assert!(matches!(writer.finish("r"), Err(Error::Count { expected: 1, found: 0 })));
    assert!(memory.files.is_empty());
}

#[test]
fn a_failing_target_is_an_error_for_good() {
    /// A disk with little space left.
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(data.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(data.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let noise: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
    let packed = pack(&noise, BOTH[0]).unwrap();
    let mut writer = MetadataWriter::new(Part::Other, 1, BOTH[0], Full(1000)).unwrap();
    assert!(writer.add_packed(1, &noise, &packed).is_err());
    assert!(writer.add_packed(0, b"more", b"more").is_err());
    assert!(writer.finish().is_err());
}

#[test]
fn a_package_of_any_bytes_gives_well_formed_metadata() {
    use toji_rpmgen::craft::{self, Value};
    let any = |seed: u8| (1..=255_u8).map(move |b| b.wrapping_mul(seed).max(1));
    // a slash in a name is refused
    let odd = |seed: u8| any(seed).filter(|b| *b != b'/').collect::<Vec<u8>>();
    let tags = [
        (1000, Value::Str(odd(1))),
        (1001, Value::Str(odd(3))),
        (1002, Value::Str(odd(5))),
        (1004, Value::Str("\u{1}\u{fffe}]]>&\r\n".into())),
        (1022, Value::Str(odd(7))),
        (1044, Value::str("a.src.rpm")),
        (1047, Value::Strs(vec![odd(1), odd(9)])),
        (1112, Value::Int32(vec![8, 8])),
        (1113, Value::Strs(vec![odd(11), odd(13)])),
        (1030, Value::Int16(vec![0o100_644])),
        (1037, Value::Int32(vec![0])),
        (1116, Value::Int32(vec![0])),
        (1117, Value::Strs(vec![odd(1)])),
        (1118, Value::Strs(vec![b"/etc/".to_vec()])),
        (1080, Value::Int32(vec![1])),
        (1081, Value::Strs(vec![odd(1)])),
        (1082, Value::Strs(vec![odd(1)])),
    ];
    let bytes = craft::rpm4("odd", &tags, b"").unwrap();
    let package = Package::parse(&bytes, &Limits::default()).unwrap();
    let file = toji_repodata::PackageFile {
        href: "a b&\"c\".rpm".into(),
        base: None,
        size: 1,
        mtime: 1,
        sha256: "0".repeat(64),
    };
    let fragments = toji_repodata::fragment(&package, &file, &Default::default()).unwrap();
    let mut memory = Memory::default();
    let mut writer = RepositoryWriter::new(&mut memory, 1, BOTH[0], 7).unwrap();
    writer.add(Pieces::from(&fragments)).unwrap();
    let repomd = writer.finish("r").unwrap();
    let primary = open(&memory, &repomd.record("primary").unwrap().href);
    let read: Vec<_> = Primary::new(primary.as_slice(), ReadLimits::default()).collect();
    let read = read[0].as_ref().unwrap();
    assert_eq!(read.href, file.href);
    assert_eq!(read.summary, "]]>&\r\n");
    assert_eq!(read.files.len(), 1);
}

#[test]
fn chunks_are_packed_once_and_give_the_same_content() {
    struct Counting(MemoryChunks, usize);
    impl ChunkStore for Counting {
        fn get(&mut self, key: &ChunkKey) -> Option<Vec<u8>> {
            self.0.get(key)
        }
        fn put(&mut self, key: ChunkKey, packed: &[u8]) {
            self.1 += 1;
            self.0.put(key, packed);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    toji_rpmgen::synthetic::write(dir.path(), 300).unwrap();
    let mut packages: Vec<_> =
        hrefs(dir.path()).iter().map(|href| fragments_of(dir.path(), href)).collect();
    let mut store = Counting(MemoryChunks::new(64 << 20), 0);
    let mut write = |packages: &[Fragments], compression| {
        let mut memory = Memory::default();
        let count = packages.len() as u64;
        let mut writer =
            ChunkedWriter::new(&mut memory, &mut store, count, compression, 7).unwrap();
        for package in packages {
            let checksum = package.other.split('"').nth(1).unwrap();
            let parts = [&package.primary, &package.filelists, &package.other];
            writer.add(checksum, parts.map(|part| part.as_bytes())).unwrap();
        }
        let repomd = writer.finish("r").unwrap();
        let primary = open(&memory, &repomd.record("primary").unwrap().href);
        (String::from_utf8(primary).unwrap(), std::mem::take(&mut store.1))
    };
    let (first, packed) = write(&packages, BOTH[0]);
    assert!((3..=60).contains(&packed), "{packed}");
    assert_eq!(write(&packages, BOTH[0]), (first.clone(), 0));
    for package in &packages {
        assert!(first.contains(&package.primary));
    }
    packages.remove(150);
    let (_, packed) = write(&packages, BOTH[0]);
    assert!((3..=6).contains(&packed), "{packed}");
    let (_, packed) = write(&packages, BOTH[1]);
    assert!(packed >= 3, "another compression has chunks of its own");
}
