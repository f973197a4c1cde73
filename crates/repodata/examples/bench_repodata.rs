//! Repository generation from stored fragments, measured beside createrepo_c on the same packages.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use toji_repodata::{
    ChunkedWriter, Compression, Fragments, MemoryChunks, Options, PackageFile, Piece, Pieces,
    RepositoryWriter, Sink, fragment, pack,
};
use toji_rpmfile::{Limits, Package};

/// Compressions of createrepo_c: its own defaults for gzip and zstd.
const GZIP: Compression = Compression::Gzip(6);
const ZSTD: Compression = Compression::Zstd(10);
/// How many packages share a compressed member; 4 is one source package of the synthetic set.
const GROUPS: [usize; 4] = [1, 4, 16, 64];

#[derive(Parser)]
struct Cli {
    /// Where the figures go.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Size of the synthetic set.
    #[arg(long, default_value_t = 2000)]
    packages: usize,
    /// Each time is the median of this many.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure with the packages below this directory instead of a synthetic set.
    #[arg(long)]
    root: Option<PathBuf>,
}

/// A repository that is a directory.
struct Dir(PathBuf);

impl Sink for Dir {
    type File = tempfile::NamedTempFile;

    fn create(&mut self) -> io::Result<Self::File> {
        tempfile::NamedTempFile::new_in(&self.0)
    }

    fn publish(&mut self, file: Self::File, path: &str) -> io::Result<()> {
        let path = self.0.join(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        file.persist(path)?;
        Ok(())
    }
}

/// A group of packages as it is stored: the text of each part and its compressed member.
struct Group {
    packages: u64,
    open: [String; 3],
    packed: [Vec<u8>; 3],
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let work = tempfile::tempdir()?;
    let root = match &cli.root {
        Some(root) => root.clone(),
        None => {
            let root = work.path().join("packages");
            toji_rpmgen::synthetic::write(&root, cli.packages)?;
            root
        }
    };
    let report = measure(&root, work.path(), cli.rounds)?;
    let text = serde_json::to_string_pretty(&json!({ "repodata": report }))?;
    match &cli.json {
        Some(path) => fs::write(path, text)?,
        None => io::Write::write_all(&mut io::stdout(), text.as_bytes())?,
    }
    Ok(())
}

fn measure(root: &Path, work: &Path, rounds: usize) -> Result<Value> {
    let hrefs = hrefs(root)?;
    let peer = work.join("peer");
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    let mut fragments = Vec::new();
    for round in 0..rounds {
        let mut time = |name: &str, run: &mut dyn FnMut() -> Result<()>| -> Result<()> {
            let start = Instant::now();
            run()?;
            times.entry(name.to_owned()).or_default().push(start.elapsed().as_secs_f64());
            Ok(())
        };
        time("createrepo_full_s", &mut || createrepo(root, &peer, &["--no-database"]))?;
        time("createrepo_update_s", &mut || {
            createrepo(root, &peer, &["--no-database", "--update", "--skip-stat"])
        })?;
        time("fragments_from_packages_s", &mut || {
            fragments = hrefs.iter().map(|href| read(root, href)).collect::<Result<_>>()?;
            Ok(())
        })?;
        for (name, compression) in [("gzip", GZIP), ("zstd", ZSTD)] {
            let out = work.join(format!("stream-{name}"));
            time(&format!("write_{name}_stream_s"), &mut || {
                write(&out, &groups(&fragments, 1, None)?, compression)
            })?;
            sizes.insert(format!("{name}_stream_bytes"), size(&out)?);
            let out = work.join(format!("chunks-{name}"));
            let mut store = MemoryChunks::new(256 << 20);
            write_chunks(&out, &fragments, &mut store, compression)?;
            time(&format!("write_{name}_chunks_s"), &mut || {
                write_chunks(&out, &fragments, &mut store, compression)
            })?;
            let mut changed = fragments.clone();
            changed.remove(hrefs.len() / 2);
            time(&format!("write_{name}_chunks_one_new_s"), &mut || {
                write_chunks(&out, &changed, &mut store, compression)
            })?;
            sizes.insert(format!("{name}_chunks_bytes"), size(&out)?);
            for group in GROUPS {
                // compressed when the packages were imported, so not part of the generation
                let stored = groups(&fragments, group, Some(compression))?;
                let out = work.join(format!("{group}-{name}"));
                time(&format!("write_{name}_members_of_{group}_s"), &mut || {
                    write(&out, &stored, compression)
                })?;
                sizes.insert(format!("{name}_members_of_{group}_bytes"), size(&out)?);
            }
        }
        if round == 0 {
            sizes.insert("createrepo_gzip_bytes".into(), size(&peer)?);
        }
    }
    Ok(report(hrefs.len(), &fragments, &times, &sizes))
}

fn report(
    packages: usize,
    fragments: &[Fragments],
    times: &BTreeMap<String, Vec<f64>>,
    sizes: &BTreeMap<String, u64>,
) -> Value {
    let open: usize =
        fragments.iter().map(|f| f.primary.len() + f.filelists.len() + f.other.len()).sum();
    let mut figures = BTreeMap::new();
    figures.insert("packages".to_owned(), packages as f64);
    figures.insert("fragments_bytes".to_owned(), open as f64);
    for (name, list) in times {
        figures.insert(name.clone(), median(list));
    }
    figures.extend(sizes.iter().map(|(name, size)| (name.clone(), *size as f64)));
    let ratio = |a: &str, b: &str| (figures[a] / figures[b] * 100.0).round() / 100.0;
    let mut ratios = json!({
        "createrepo_full_over_write_gzip_stream": ratio("createrepo_full_s", "write_gzip_stream_s"),
        "createrepo_update_over_write_gzip_stream":
            ratio("createrepo_update_s", "write_gzip_stream_s"),
        "createrepo_full_over_fragments_and_write": (figures["createrepo_full_s"] * 100.0
            / (figures["fragments_from_packages_s"] + figures["write_gzip_stream_s"])).round() / 100.0,
    });
    for name in ["gzip", "zstd"] {
        for time in ["chunks_s", "chunks_one_new_s"].map(|end| format!("write_{name}_{end}")) {
            ratios[format!("createrepo_update_over_{time}")] =
                json!(ratio("createrepo_update_s", &time));
        }
        let size = format!("{name}_chunks_bytes");
        ratios[format!("{size}_over_stream")] =
            json!(ratio(&size, &format!("{name}_stream_bytes")));
    }
    for group in GROUPS {
        for name in ["gzip", "zstd"] {
            let time = format!("write_{name}_members_of_{group}_s");
            let size = format!("{name}_members_of_{group}_bytes");
            ratios[format!("createrepo_update_over_{time}")] =
                json!(ratio("createrepo_update_s", &time));
            ratios[format!("{size}_over_stream")] =
                json!(ratio(&size, &format!("{name}_stream_bytes")));
        }
    }
    json!({
        "compared": "wall time of the createrepo_c process, scanning all packages (full) or with its \
            own older metadata (update, skip-stat), against one thread that writes the same three \
            files and repomd.xml from fragments in memory, either compressing them (stream) or \
            copying members that were compressed before, of n packages or of chunks of about 64, \
            all of them or all but one (one_new); median of the rounds; \
            packages lie in the page cache",
        "figures": figures,
        "ratios": ratios,
    })
}

fn median(list: &[f64]) -> f64 {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn createrepo(root: &Path, out: &Path, options: &[&str]) -> Result<()> {
    fs::create_dir_all(out)?;
    let status = Command::new("createrepo_c")
        .args(["--quiet", "--outputdir"])
        .arg(out)
        .args(options)
        .arg(root)
        .status()
        .context("failed to run createrepo_c")?;
    ensure!(status.success(), "createrepo_c failed");
    Ok(())
}

fn hrefs(root: &Path) -> Result<Vec<String>> {
    let relative = |path: PathBuf| Ok(path.strip_prefix(root)?.display().to_string());
    toji_rpmgen::find_rpms(root)?.into_iter().map(relative).collect()
}

fn read(root: &Path, href: &str) -> Result<Fragments> {
    let path = root.join(href);
    let mut file = BufReader::new(File::open(&path)?);
    let package = Package::read(&mut file, &Limits::default())?;
    let data = fs::metadata(&path)?;
    let mut sha256 = Sha256::new();
    io::copy(&mut File::open(&path)?, &mut sha256)?;
    let file = PackageFile {
        href: href.to_owned(),
        base: None,
        size: data.len(),
        mtime: data.mtime(),
        sha256: format!("{:x}", sha256.finalize()),
    };
    Ok(fragment(&package, &file, &Options::default())?)
}

fn groups(fragments: &[Fragments], size: usize, packed: Option<Compression>) -> Result<Vec<Group>> {
    fragments.chunks(size).map(|chunk| group(chunk, packed)).collect()
}

fn group(chunk: &[Fragments], packed: Option<Compression>) -> Result<Group> {
    let join = |part: fn(&Fragments) -> &str| chunk.iter().map(part).collect::<String>();
    let open = [join(|f| &f.primary), join(|f| &f.filelists), join(|f| &f.other)];
    let mut group = Group { packages: chunk.len() as u64, open, packed: Default::default() };
    if let Some(compression) = packed {
        for (text, packed) in group.open.iter().zip(&mut group.packed) {
            *packed = pack(text.as_bytes(), compression)?;
        }
    }
    Ok(group)
}

fn write(out: &Path, groups: &[Group], compression: Compression) -> Result<()> {
    fs::create_dir_all(out)?;
    let mut dir = Dir(out.to_owned());
    let packages = groups.iter().map(|g| g.packages).sum();
    let mut writer = RepositoryWriter::new(&mut dir, packages, compression, 1_700_000_000)?;
    for group in groups {
        let piece = |n: usize| Piece {
            open: group.open[n].as_bytes(),
            packed: Some(group.packed[n].as_slice()).filter(|packed| !packed.is_empty()),
        };
        let (primary, filelists, other) = (piece(0), piece(1), piece(2));
        writer.add(Pieces { packages: group.packages, primary, filelists, other })?;
    }
    writer.finish("1")?;
    Ok(())
}

fn write_chunks(
    out: &Path,
    fragments: &[Fragments],
    store: &mut MemoryChunks,
    compression: Compression,
) -> Result<()> {
    // only the files of the last time count
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(out)?;
    let mut dir = Dir(out.to_owned());
    let count = fragments.len() as u64;
    let mut writer = ChunkedWriter::new(&mut dir, store, count, compression, 1_700_000_000)?;
    for fragment in fragments {
        let checksum = fragment.other.split('"').nth(1).unwrap_or_default();
        let parts = [&fragment.primary, &fragment.filelists, &fragment.other];
        writer.add(checksum, parts.map(|part| part.as_bytes()))?;
    }
    writer.finish("1")?;
    Ok(())
}

/// Bytes of the three metadata files.
fn size(out: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(out.join("repodata"))? {
        let entry = entry?;
        if entry.file_name() != "repomd.xml" {
            total += entry.metadata()?.len();
        }
    }
    Ok(total)
}
