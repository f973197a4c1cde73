//! `toji repo modify`: records of a repository added, removed and renamed.

mod batch;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_repodata::{Compression, Sum};
use toji_repodir::modify::{Change, modify};

use super::format;

/// What `toji repo modify` can be told.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The repository's directory, or its repodata.
    directory: PathBuf,
    /// A file to add, such as updateinfo.xml or modules.yaml; the part before the first dot is its type.
    #[arg(long, value_name = "[TYPE=]FILE")]
    add: Vec<String>,
    /// The type of a record to remove.
    #[arg(long, value_name = "TYPE")]
    remove: Vec<String>,
    /// A record to give another type.
    #[arg(long, value_name = "OLD=NEW")]
    rename: Vec<String>,
    /// The name that a single added file gets in the repository.
    #[arg(long, value_name = "NAME")]
    new_name: Option<String>,
    /// The type of a single added file.
    #[arg(long, value_name = "TYPE")]
    mdtype: Option<String>,
    /// Changes as modifyrepo_c takes them: a section for each file, with path, mdtype, remove, compress, compress-type, new-name.
    #[arg(short = 'f', long, value_name = "FILE")]
    batchfile: Option<PathBuf>,
    /// Compress added files (the default).
    #[arg(long, conflicts_with = "no_compress")]
    compress: bool,
    /// Leave added files uncompressed.
    #[arg(long)]
    no_compress: bool,
    /// Kind of the checksums of added files.
    #[arg(short = 's', long, value_name = "SUM", default_value = "sha256")]
    checksum: Sum,
    #[command(flatten)]
    format: format::Options,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> anyhow::Result<()> {
    let format = options.format.format(options.checksum)?;
    let compression: Option<Compression> = (!options.no_compress).then_some(format.extra);
    if (options.new_name.is_some() || options.mdtype.is_some()) && options.add.len() != 1 {
        bail!("--new-name and --mdtype are for one added file");
    }
    let mut changes: Vec<Change> = options.remove.iter().cloned().map(Change::Remove).collect();
    for rename in &options.rename {
        let (old, new) = rename.split_once('=').context("--rename takes OLD=NEW")?;
        changes.push(Change::Rename(old.to_owned(), new.to_owned()));
    }
    for add in &options.add {
        let (kind, file) = match add.split_once('=') {
            Some((kind, file)) if !kind.contains('/') => (Some(kind.to_owned()), file),
            _ => (options.mdtype.clone(), add.as_str()),
        };
        let (file, name) = (PathBuf::from(file), options.new_name.clone());
        changes.push(Change::Add { file, kind, name, compression });
    }
    if let Some(file) = &options.batchfile {
        let text = std::fs::read_to_string(file);
        let text = text.with_context(|| format!("failed to read {}", file.display()))?;
        changes.extend(batch::changes(&text, compression)?);
    }
    if changes.is_empty() {
        bail!("nothing to do: give --add, --remove, --rename or --batchfile");
    }
    Ok(modify(&options.directory, &changes, &format)?)
}
