//! A large set of plausible packages in little time, the same for the same numbers.

use std::path::Path;
use std::{fs, io};

use anyhow::Result;

use crate::craft::{Value, rpm4};

const ARCHES: [&str; 3] = ["x86_64", "x86_64", "noarch"];
const WORDS: [&str; 16] = [
    "library", "for", "parsing", "network", "data", "fast", "and", "small", "tool", "with",
    "bindings", "of", "the", "graphics", "format", "support",
];

/// A sequence of numbers that looks random and never changes.
pub(crate) struct Sequence(pub(crate) u64);

impl Sequence {
    pub(crate) fn next(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below.max(1)
    }

    /// One of several.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.next(of.len())]
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<&str> = (0..words).map(|_| WORDS[self.next(WORDS.len())]).collect();
        words.join(" ")
    }
}

/// A package that was put together.
pub struct Synthetic {
    /// Name.
    pub name: String,
    /// Version, the same for all packages of a source; the release is [`RELEASE`].
    pub version: String,
    /// Arch.
    pub arch: &'static str,
    /// Name of the source.
    pub source: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// How many files packages have.
#[derive(Debug, Clone, Copy)]
pub enum Files {
    /// 3 to 122.
    Few,
    /// The same, and one in forty has up to 5,200, so that there are about 90 on average, as in a distribution.
    Distribution,
}

/// The release of all packages.
pub const RELEASE: &str = "1.fc40";

/// Writes `count` packages into `dir`, named as Koji names them, and returns their total size.
pub fn write(dir: &Path, count: usize) -> Result<u64> {
    let mut total = 0;
    for number in 0..count {
        let (path, bytes) = package(number)?;
        total += bytes.len() as u64;
        put(&dir.join(path), &bytes)?;
    }
    Ok(total)
}

/// Writes `count` packages below `top/packages` as a hub keeps them, and a line of JSON for each to `list`.
pub fn write_store(top: &Path, count: usize, list: &mut impl io::Write) -> Result<()> {
    for number in 0..count {
        let made = make(number, Files::Distribution)?;
        let Synthetic { name, version, arch, source, bytes } = &made;
        let build = format!("packages/{source}/{version}/{RELEASE}");
        put(&top.join(format!("{build}/{arch}/{}", file_name(&made))), bytes)?;
        let line = serde_json::json!({
            "name": name, "version": version, "release": RELEASE, "arch": arch, "source": source, "size": bytes.len(),
        });
        writeln!(list, "{line}")?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(path, bytes)?)
}

fn file_name(made: &Synthetic) -> String {
    format!("{}-{}-{RELEASE}.{}.rpm", made.name, made.version, made.arch)
}

/// Path and content of the package of this number.
pub fn package(number: usize) -> Result<(String, Vec<u8>)> {
    let made = make(number, Files::Few)?;
    Ok((format!("{}/{}", &made.name[..4], file_name(&made)), made.bytes))
}

/// The package of this number; four in a row have one source.
pub fn make(number: usize, files: Files) -> Result<Synthetic> {
    let mut seq = Sequence(number as u64 * 7919 + 17);
    let number_of_source = number / 4;
    let part = ["", "-libs", "-devel", "-doc"][number % 4];
    let source = format!("pkg{number_of_source:05}");
    let name = format!("{source}{part}");
    let arch = ARCHES[seq.next(ARCHES.len())];
    let mut of_source = Sequence(number_of_source as u64 * 104_729 + 5);
    let version = format!("{}.{}.{}", of_source.next(9), of_source.next(30), number_of_source % 17);
    let mut tags = identity(&mut seq, &name, &version, arch, &source);
    add_dependencies(&mut tags, &mut seq, &name, &version, number_of_source);
    let count = match (files, seq.next(40)) {
        (Files::Distribution, 0) => 200 + seq.next(5000),
        _ => 3 + seq.next(if part == "-devel" { 120 } else { 40 }),
    };
    add_files(&mut tags, &mut seq, &name, count);
    add_changelog(&mut tags, &mut seq, &version);
    let payload: Vec<u8> = (0..seq.next(60_000)).map(|_| seq.next(256) as u8).collect();
    let bytes = rpm4(&name, &tags, &payload)?;
    Ok(Synthetic { name, version, arch, source, bytes })
}

fn identity(
    seq: &mut Sequence,
    name: &str,
    version: &str,
    arch: &str,
    source: &str,
) -> Vec<(u32, Value)> {
    let built = 1_700_000_000 + seq.next(10_000_000) as u32;
    vec![
        (100, Value::strs(["C"])),
        (1000, Value::str(name)),
        (1001, Value::str(version)),
        (1002, Value::str(RELEASE)),
        (1004, Value::I18n(vec![seq.text(6).into()])),
        (1005, Value::I18n(vec![format!("{}.\n{}.", seq.text(40), seq.text(25)).into()])),
        (1006, Value::Int32(vec![built])),
        (1007, Value::str("builder-01.example.org")),
        (1009, Value::Int32(vec![seq.next(5_000_000) as u32])),
        (1011, Value::str("Example Project")),
        (1014, Value::str("GPL-2.0-or-later AND MIT")),
        (1015, Value::str("Example Project")),
        (1016, Value::I18n(vec!["Unspecified".into()])),
        (1020, Value::str(format!("https://example.org/{name}"))),
        (1021, Value::str("linux")),
        (1022, Value::str(arch)),
        (1044, Value::str(format!("{source}-{version}-{RELEASE}.src.rpm"))),
        (1124, Value::str("cpio")),
        (1125, Value::str("gzip")),
        (1126, Value::str("1")),
    ]
}

/// Name, flags and version of each dependency.
type Deps = Vec<(String, u32, String)>;

fn add_dependencies(
    tags: &mut Vec<(u32, Value)>,
    seq: &mut Sequence,
    name: &str,
    version: &str,
    source: usize,
) {
    let own = format!("{version}-{RELEASE}");
    let mut provides: Deps =
        vec![(name.to_owned(), 8, own.clone()), (format!("{name}(x86-64)"), 8, own)];
    for n in 0..seq.next(6) {
        provides.push((format!("lib{name}{n}.so.{}()(64bit)", seq.next(9)), 0, String::new()));
    }
    let mut requires: Deps = vec![
        ("libc.so.6(GLIBC_2.34)(64bit)".into(), 16384, String::new()),
        ("rpmlib(CompressedFileNames)".into(), 16_777_226, "3.0.4-1".into()),
        ("rpmlib(PayloadFilesHavePrefix)".into(), 16_777_226, "4.0-1".into()),
    ];
    for _ in 0..seq.next(14) {
        let other = format!("pkg{:05}", seq.next(source + 1));
        requires.push((other, 12, format!("{}.{}", seq.next(9), seq.next(30))));
    }
    for (deps, [names, flags, versions]) in
        [(provides, [1047, 1112, 1113]), (requires, [1049, 1048, 1050])]
    {
        tags.push((names, Value::strs(deps.iter().map(|d| d.0.as_str()))));
        tags.push((flags, Value::Int32(deps.iter().map(|d| d.1).collect())));
        tags.push((versions, Value::strs(deps.iter().map(|d| d.2.as_str()))));
    }
}

fn add_files(tags: &mut Vec<(u32, Value)>, seq: &mut Sequence, name: &str, count: usize) {
    let dirs = [
        "/usr/bin/".to_owned(),
        "/usr/lib64/".to_owned(),
        format!("/usr/share/doc/{name}/"),
        format!("/usr/include/{name}/"),
        "/etc/".to_owned(),
    ];
    // RPM refuses directories without files
    let used = dirs.len().min(count);
    let indexes: Vec<u32> = (0..count).map(|n| (n * used / count) as u32).collect();
    let bases = (0..count).map(|n| format!("{name}-{}-{n}", WORDS[n % WORDS.len()]));
    let digests = (0..count).map(|_| format!("{:064x}", seq.next(usize::MAX)));
    tags.push((1117, Value::strs(bases)));
    tags.push((1035, Value::strs(digests.collect::<Vec<_>>())));
    tags.push((1116, Value::Int32(indexes)));
    tags.push((1118, Value::strs(dirs.iter().take(used).map(String::as_str))));
    tags.push((1028, Value::Int32((0..count).map(|_| seq.next(90_000) as u32).collect())));
    tags.push((1030, Value::Int16(vec![0o100_644; count])));
    tags.push((1033, Value::Int16(vec![0; count])));
    tags.push((1034, Value::Int32(vec![1_700_000_000; count])));
    tags.push((1037, Value::Int32(vec![0; count])));
    tags.push((1036, Value::strs(vec![""; count])));
    tags.push((1039, Value::strs(vec!["root"; count])));
    tags.push((1040, Value::strs(vec!["root"; count])));
    tags.push((1045, Value::Int32(vec![u32::MAX; count])));
    tags.push((1095, Value::Int32(vec![1; count])));
    tags.push((1096, Value::Int32((1..=count as u32).collect())));
    tags.push((1097, Value::strs(vec![""; count])));
    tags.push((5011, Value::Int32(vec![8])));
}

fn add_changelog(tags: &mut Vec<(u32, Value)>, seq: &mut Sequence, version: &str) {
    let count = 4 + seq.next(20);
    let times = (0..count as u32).map(|n| 1_700_000_000 - n * 864_000).collect();
    let names =
        (0..count).map(|n| format!("Packager {} <p{n}@example.org> - {version}-{n}", n % 5));
    let texts: Vec<String> = (0..count).map(|_| format!("- {}", seq.text(14))).collect();
    tags.push((1080, Value::Int32(times)));
    tags.push((1081, Value::strs(names)));
    tags.push((1082, Value::strs(texts)));
}
