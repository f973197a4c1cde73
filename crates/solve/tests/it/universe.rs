//! Repositories put together from numbers: everything that packages do to each other, the same for the same seed.

use std::fmt::Write as _;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toji_repodata::reader::ReadLimits;
use toji_repodata::{Record, Repomd};
use toji_solve::Repository;

/// Numbers that look random.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len())]
    }
}

/// A dependency as metadata have it: name, flags, version.
type Dep = (String, &'static str, String);

#[derive(Default, Clone)]
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) arch: String,
    pub(crate) epoch: u32,
    pub(crate) version: String,
    pub(crate) release: String,
    deps: [Vec<Dep>; 8],
    files: Vec<String>,
}

const LISTS: [&str; 8] = [
    "provides",
    "requires",
    "conflicts",
    "obsoletes",
    "suggests",
    "enhances",
    "recommends",
    "supplements",
];

impl Made {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            arch: "x86_64".into(),
            version: version.into(),
            release: "1".into(),
            ..Self::default()
        }
    }

    /// Adds dependencies, written as packagers write them.
    pub(crate) fn with(mut self, list: &str, deps: &[&str]) -> Self {
        deps.iter().for_each(|dep| self.add(list, dep));
        self
    }

    pub(crate) fn file(mut self, path: &str) -> Self {
        self.files.push(path.into());
        self
    }

    fn add(&mut self, list: &str, dep: &str) {
        let at = LISTS.iter().position(|name| *name == list).unwrap();
        let words: Vec<&str> = dep.split(' ').collect();
        let parsed = match words[..] {
            [name, op, version] if !dep.starts_with('(') => {
                let flags = match op {
                    "=" => "EQ",
                    "<" => "LT",
                    ">" => "GT",
                    "<=" => "LE",
                    ">=" => "GE",
                    op => panic!("{op}"),
                };
                (name.to_owned(), flags, version.to_owned())
            }
            _ => (dep.to_owned(), "", String::new()),
        };
        self.deps[at].push(parsed);
    }

    fn digest(&self, repo: &str) -> String {
        let Self { name, epoch, version, release, arch, .. } = self;
        hex::encode(Sha256::digest(format!("{repo} {name} {epoch} {version} {release} {arch}")))
    }

    fn primary(&self, repo: &str, xml: &mut String) {
        let Self { name, epoch, version, release, arch, .. } = self;
        let own: Dep = (name.clone(), "EQ", format!("{epoch}:{version}-{release}"));
        let digest = self.digest(repo);
        write!(
            xml,
            "<package type=\"rpm\"><name>{name}</name><arch>{arch}</arch>\
             <version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>\
             <checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum><summary>s</summary><description>d</description>\
             <packager/><url/><time file=\"1\" build=\"1\"/><size package=\"100\" installed=\"1\" archive=\"1\"/>\
             <location href=\"Packages/{name}-{version}-{release}.{arch}.rpm\"/><format><rpm:license>MIT</rpm:license>\
             <rpm:sourcerpm>{name}-{version}-{release}.src.rpm</rpm:sourcerpm>"
        )
        .unwrap();
        for (list, deps) in LISTS.iter().zip(&self.deps) {
            let own = (*list == "provides").then_some(&own);
            if deps.is_empty() && own.is_none() {
                continue;
            }
            write!(xml, "<rpm:{list}>").unwrap();
            for (name, flags, version) in own.into_iter().chain(deps) {
                let name = name.replace('<', "&lt;").replace('>', "&gt;");
                write!(xml, "<rpm:entry name=\"{name}\"").unwrap();
                if !flags.is_empty() {
                    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
                    let (ver, rel) = rest.split_once('-').unwrap_or((rest, ""));
                    write!(xml, " flags=\"{flags}\" epoch=\"{epoch}\" ver=\"{ver}\"").unwrap();
                    if !rel.is_empty() {
                        write!(xml, " rel=\"{rel}\"").unwrap();
                    }
                }
                xml.push_str("/>");
            }
            write!(xml, "</rpm:{list}>").unwrap();
        }
        for file in self.files.iter().filter(|f| f.starts_with("/etc/") || f.contains("bin/")) {
            write!(xml, "<file>{file}</file>").unwrap();
        }
        xml.push_str("</format></package>\n");
    }

    fn filelists(&self, repo: &str, xml: &mut String) {
        let Self { name, epoch, version, release, arch, files, .. } = self;
        let digest = self.digest(repo);
        write!(
            xml,
            "<package pkgid=\"{digest}\" name=\"{name}\" arch=\"{arch}\">\
             <version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>"
        )
        .unwrap();
        files.iter().for_each(|file| write!(xml, "<file>{file}</file>").unwrap());
        xml.push_str("</package>\n");
    }
}

/// A repository in a directory.
pub(crate) struct Written {
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
    pub(crate) priority: i32,
    pub(crate) cost: i32,
}

impl Written {
    /// Writes the metadata that dnf reads.
    pub(crate) fn write(root: &Path, id: &str, packages: &[Made]) -> Self {
        let dir = root.join(id);
        fs::create_dir_all(dir.join("repodata")).unwrap();
        let count = packages.len();
        let mut primary = format!(
            "<?xml version=\"1.0\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
             xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{count}\">\n"
        );
        let mut filelists = format!(
            "<?xml version=\"1.0\"?>\n<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\" \
             packages=\"{count}\">\n"
        );
        for package in packages {
            package.primary(id, &mut primary);
            package.filelists(id, &mut filelists);
        }
        primary.push_str("</metadata>\n");
        filelists.push_str("</filelists>\n");
        let mut repomd = Repomd { revision: "1".into(), ..Repomd::default() };
        for (kind, text) in [("primary", primary), ("filelists", filelists)] {
            let href = format!("repodata/{kind}.xml");
            fs::write(dir.join(&href), &text).unwrap();
            let checksum = hex::encode(Sha256::digest(&text));
            let size = text.len() as u64;
            repomd.records.push(Record {
                kind: kind.into(),
                checksum: checksum.clone(),
                open_checksum: Some(checksum),
                href,
                timestamp: 1,
                size,
                open_size: Some(size),
                ..Record::default()
            });
        }
        fs::write(dir.join("repodata/repomd.xml"), repomd.to_xml()).unwrap();
        Self { id: id.into(), dir, priority: 99, cost: 1000 }
    }

    /// Reads it back as the product does.
    pub(crate) fn read(&self) -> Repository {
        let open = |kind: &str| {
            let file = fs::File::open(self.dir.join(format!("repodata/{kind}.xml"))).unwrap();
            BufReader::new(file)
        };
        let limits = ReadLimits::default();
        let read = Repository::read(&self.id, open("primary"), Some(open("filelists")), limits);
        Repository { priority: self.priority, cost: self.cost, ..read.unwrap() }
    }
}

/// Versions that are close to each other, some of them equal for RPM.
const VERSIONS: [&str; 9] =
    ["1.0~rc1", "1.0", "1.00", "1.0^git1", "1.1", "1.2", "2.0", "2.0.1", "10"];

/// A universe of about `count` packages in three repositories.
pub(crate) fn universe(root: &Path, seed: u64, count: usize) -> Vec<Written> {
    let mut dice = Dice::new(seed);
    let mut repos: [Vec<Made>; 3] = Default::default();
    let names = count * 2 / 3;
    for n in 0..names {
        for _ in 0..1 + dice.roll(2) {
            let at = *dice.pick(&[0, 0, 0, 1, 1, 2]);
            let package = package(&mut dice, n);
            let key = |p: &Made| (p.name.clone(), p.epoch, p.version.clone(), p.release.clone());
            if repos[at].iter().rev().take(4).any(|other| key(other) == key(&package)) {
                continue;
            }
            // a library has its twin for the other arch
            if package.arch == "x86_64" && dice.one_in(6) {
                repos[at].push(twin(&package));
            }
            repos[at].push(package);
        }
    }
    let ids = ["base", "updates", "extra"];
    let mut written: Vec<Written> =
        ids.iter().zip(&repos).map(|(id, packages)| Written::write(root, id, packages)).collect();
    written[1].cost = 500;
    written[2].priority = if seed.is_multiple_of(2) { 50 } else { 99 };
    written
}

fn name(n: usize) -> String {
    format!("{}{n:04}", ["lib", "app", "perl-", "font"][n % 4])
}

fn version(dice: &mut Dice) -> String {
    (*dice.pick(&VERSIONS)).to_owned()
}

fn package(dice: &mut Dice, n: usize) -> Made {
    let mut made = Made::new(&name(n), &version(dice));
    made.release = format!("{}.fc40", 1 + dice.roll(3));
    made.epoch = if dice.one_in(12) { 1 } else { 0 };
    made.arch = (*dice.pick(&["x86_64", "x86_64", "x86_64", "noarch"])).to_owned();
    made.add("provides", &format!("cap({})", n / 3));
    made.add("provides", &format!("virtual({}) = {}", n / 5, version(dice)));
    if made.arch == "x86_64" {
        made.add("provides", &format!("lib{n}.so.1()(64bit)"));
    }
    made.files.push(format!("/usr/bin/{}", name(n)));
    made.files.push(format!("/usr/share/data/{}", n / 2));
    if dice.one_in(8) {
        made.files.push(format!("/usr/bin/tool{}", n / 4));
    }
    if n > 3 {
        for _ in 0..dice.roll(5) {
            let dep = requirement(dice, n);
            made.add("requires", &dep);
        }
        relations(dice, n, &mut made);
    }
    made
}

/// Something that a package of this number may need: mostly of lower numbers, so that most can be had.
fn requirement(dice: &mut Dice, n: usize) -> String {
    let other = dice.roll(n);
    let third = dice.roll(n);
    match dice.roll(22) {
        0..=4 => name(other),
        5 | 6 => format!("{} >= {}", name(other), version(dice)),
        7 | 8 => format!("cap({})", other / 3),
        9 | 10 => {
            format!("virtual({}) {} {}", other / 5, *dice.pick(&[">=", "<", "="]), version(dice))
        }
        11 | 12 => format!("lib{other}.so.1()(64bit)"),
        13 => format!("/usr/bin/{}", name(other)),
        14 => format!("/usr/share/data/{}", other / 2),
        15 => format!("({} or {})", name(other), name(third)),
        16 => format!("({} if {})", name(other), name(third)),
        17 => format!("({} if {} else cap({}))", name(other), name(third), dice.roll(n) / 3),
        18 => format!("(virtual({0}) >= 1.0 with virtual({0}) < 2.0)", other / 5),
        19 => format!("(cap({}) without {})", other / 3, name(other)),
        20 => format!("({} unless {})", name(other), name(third)),
        _ if dice.one_in(3) => format!("nowhere{other}"),
        _ => format!("(({0} and cap({1})) or /usr/bin/{0})", name(other), third / 3),
    }
}

fn relations(dice: &mut Dice, n: usize, made: &mut Made) {
    for (list, chance) in
        [("recommends", 4), ("suggests", 10), ("supplements", 12), ("enhances", 20)]
    {
        if dice.one_in(chance) {
            let other = dice.roll(n);
            let rich = format!("({} and {})", name(other), name(dice.roll(n)));
            made.add(list, &if dice.one_in(4) { rich } else { name(other) });
        }
    }
    if dice.one_in(15) {
        let other = name(dice.roll(n));
        let version = version(dice);
        made.add("conflicts", &if dice.one_in(2) { other } else { format!("{other} < {version}") });
    }
    if dice.one_in(15) {
        made.add("conflicts", &format!("cap({})", dice.roll(n) / 3));
    }
    if dice.one_in(20) {
        let old = name(dice.roll(n));
        made.add("obsoletes", &format!("{old} < {}", version(dice)));
        made.add("provides", &format!("{old} = {}", version(dice)));
    }
}

/// The same library for the other arch of a multilib system.
fn twin(package: &Made) -> Made {
    let mut twin = package.clone();
    twin.arch = "i686".into();
    let narrow = |(name, flags, version): &mut Dep| {
        *name = name.replace("()(64bit)", "");
        (name.clone(), *flags, version.clone())
    };
    for list in &mut twin.deps {
        *list = list.iter_mut().map(narrow).collect();
    }
    twin
}
