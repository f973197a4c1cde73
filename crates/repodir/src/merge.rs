//! Several repositories become one: metadata only, packages stay where they are.

mod choose;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toji_repodata::{Compression, Repomd, relocate};

use crate::create::{extras, finish_parts};
use crate::error::At as _;
use crate::output::{Format, Staging, add_packed};
use crate::pipeline::{self, Made, Packages};
use crate::store::Store;
use crate::{Error, Result, Source, Watch, documents};
use choose::{Chosen, choose};

/// Which of the packages of one name and arch are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The one of the first repository that has any.
    #[default]
    First,
    /// The one whose file is the newest.
    NewestFile,
    /// The one with the highest version.
    HighestVersion,
    /// All, but one of each version.
    All,
    /// Koji's: all packages of a source package come from the first repository that has any of them, and are of its
    /// newest version there.
    Koji,
    /// Koji's simple mode: every package, also the same version of several repositories.
    Simple,
}

/// A repository that is merged.
#[derive(Debug, Clone)]
pub struct Input {
    /// Where its metadata are.
    pub dir: PathBuf,
    /// Where its packages are, as clients shall find them.
    pub url: String,
}

/// How repositories are merged.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The earlier, the more they matter.
    pub inputs: Vec<Input>,
    /// Which packages are taken.
    pub mode: Mode,
    /// Only packages of these arches; all without any.
    pub arches: Vec<String>,
    /// Names of source packages whose packages are left out (Koji's modes).
    pub blocked: BTreeSet<String>,
    /// Writes which package comes from which repository, as Koji reads it.
    pub origins: bool,
    /// Packages of the arch noarch are taken from here where it has them.
    pub noarch: Option<Input>,
    /// Group definitions instead of those of the repositories.
    pub groups: Option<PathBuf>,
    /// Group definitions are left out.
    pub no_groups: bool,
    /// Advisories are left out.
    pub no_updates: bool,
    /// Packages keep only the place that they had.
    pub omit_base: bool,
    /// Threads at work.
    pub workers: usize,
}

/// The arches of which packages run on one of an arch, with those of its 32-bit sibling, and noarch.
pub fn expand_arch(arch: &str) -> Vec<&str> {
    let sibling = match arch {
        "x86_64" => Some("i386"),
        "ppc64" => Some("ppc"),
        "s390x" => Some("s390"),
        _ => None,
    };
    let arches = std::iter::once(arch).chain(sibling);
    arches
        .flat_map(|arch| std::iter::once(arch).chain(variants(arch).iter().copied()))
        .chain(["noarch"])
        .collect()
}

fn variants(arch: &str) -> &'static [&'static str] {
    match arch {
        "i386" => &["i486", "i586", "geode", "i686", "athlon"],
        "x86_64" => &["ia32e", "amd64"],
        "ppc64" => &["ppc64pseries", "ppc64iseries"],
        "sparc64" => &["sparc64v", "sparc64v2"],
        "sparc" => &["sparcv8", "sparcv9", "sparcv9v", "sparcv9v2"],
        "alpha" => &[
            "alphaev4",
            "alphaev45",
            "alphaev5",
            "alphaev56",
            "alphapca56",
            "alphaev6",
            "alphaev67",
            "alphaev68",
            "alphaev7",
        ],
        "armhfp" => &["armv7hl", "armv7hnl"],
        "arm" => &["armv5tel", "armv5tejl", "armv6l", "armv7l"],
        "sh4" => &["sh4a"],
        _ => &[],
    }
}

/// Merges repositories into the one of `output`; returns its number of packages.
pub fn merge(output: &Path, options: &Options, format: &Format, watch: &dyn Watch) -> Result<u64> {
    if options.inputs.is_empty() {
        return Err(Error::Request("no repositories to merge".to_owned()));
    }
    let staging = Staging::begin(output)?;
    let (mut sources, mut stores) = (Vec::new(), Vec::new());
    for input in options.inputs.iter().chain(&options.noarch) {
        let source = Source::open(&input.dir)?;
        stores.push(Store::read_foreign(&source, staging.room())?);
        sources.push(source);
    }
    let chosen = choose(&stores, options);
    let merged = Merged { stores: &stores, chosen: &chosen };
    let written = pipeline::write(&merged, options.workers, &staging, format, watch)?;
    if let Some((_, error)) = written.broken.into_iter().next() {
        return Err(error);
    }
    let mut records = finish_parts(&staging, format, written.files)?;
    let own = &sources[..options.inputs.len()];
    records.extend(groups(own, options, &staging, format)?);
    if !options.no_updates {
        let texts = texts(own, "updateinfo")?;
        if let Some(text) = join("updates", texts)? {
            let name = ("updateinfo", "updateinfo.xml");
            records.push(add_packed(&staging, format, name, format.extra, &mut text.as_bytes())?);
        }
    }
    let modules = texts(own, "modules")?;
    if !modules.is_empty() {
        let text = documents::join_yaml(&modules);
        let name = ("modules", "modules.yaml");
        records.push(add_packed(&staging, format, name, format.extra, &mut text.as_slice())?);
    }
    if options.origins {
        let text = origins(&stores, &chosen, options);
        let name = ("origin", "pkgorigins");
        let gzip = Compression::Gzip(6);
        records.push(add_packed(&staging, format, name, gzip, &mut text.as_bytes())?);
    }
    let revision = format.revision.clone().unwrap_or_else(|| format.time.to_string());
    let repomd = Repomd { revision, tags: format.tags.clone(), records };
    staging.publish(&repomd, format)?;
    Ok(chosen.len() as u64)
}

struct Merged<'a> {
    stores: &'a [Store],
    chosen: &'a [Chosen],
}

impl Packages for Merged<'_> {
    fn len(&self) -> usize {
        self.chosen.len()
    }

    fn make(&self, number: usize) -> Result<Made> {
        let chosen = &self.chosen[number];
        let store = &self.stores[chosen.store];
        let brief = store.brief(chosen.number);
        let mut texts = store.texts(chosen.number).at("the metadata of a repository")?;
        if brief.base != chosen.base {
            texts[0] = relocate(&texts[0], &brief.href, chosen.base.as_deref());
        }
        Ok(Made { id: brief.checksum.clone(), texts })
    }

    fn known(&self, part: usize, compression: Compression, open: &[u8]) -> Option<Vec<u8>> {
        self.stores.iter().find_map(|store| store.member(part, compression, open))
    }
}

/// The documents of one type, of the repositories that have one.
fn texts(sources: &[Source], kind: &str) -> Result<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    for source in sources {
        if let Some(record) = source.repomd.record(kind) {
            texts.push(source.text(record, 512 << 20)?);
        }
    }
    Ok(texts)
}

fn join(root: &str, texts: Vec<Vec<u8>>) -> Result<Option<String>> {
    if texts.is_empty() {
        return Ok(None);
    }
    let mut strings = Vec::new();
    for text in texts {
        let text = String::from_utf8(text);
        strings.push(text.map_err(|_| Error::Request(format!("{root} that is not UTF-8")))?);
    }
    documents::join_xml(root, &strings).map(Some).map_err(Error::Request)
}

fn groups(
    sources: &[Source],
    options: &Options,
    staging: &Staging,
    format: &Format,
) -> Result<Vec<toji_repodata::Record>> {
    if let Some(path) = &options.groups {
        return Ok(extras::add_groups(path, staging, format)?.into());
    }
    if options.no_groups {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for source in sources {
        let kinds = ["group", "group_gz", "group_xz", "group_zst", "group_bz2"];
        if let Some(record) = kinds.iter().find_map(|kind| source.repomd.record(kind)) {
            found.push(source.text(record, 64 << 20)?);
        }
    }
    match join("comps", found)? {
        Some(text) => {
            let records = extras::add_group_text(text.as_bytes(), "comps.xml", staging, format)?;
            Ok(records.into())
        }
        None => Ok(Vec::new()),
    }
}

/// One line for each package: name-version-release.arch and the repository's URL.
fn origins(stores: &[Store], chosen: &[Chosen], options: &Options) -> String {
    let mut text = String::new();
    for chosen in chosen.iter().filter(|chosen| chosen.origin) {
        let brief = stores[chosen.store].brief(chosen.number);
        let url = options.inputs[chosen.input].url.trim_end_matches('/').to_owned() + "/";
        let url = if url.contains("://") { url } else { format!("file://{url}") };
        text +=
            &format!("{}-{}-{}.{}\t{url}\n", brief.name, brief.version, brief.release, brief.arch);
    }
    text
}
