//! Options of how metadata are written, the same for all commands that write them.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use toji_repodata::{Compression, Sum, Tags};
use toji_repodir::{Format, Retain};

/// How metadata are written.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Options {
    /// Compression of all metadata: gz, zstd, xz or bz2.
    #[arg(long, value_name = "TYPE")]
    general_compress_type: Option<Compression>,
    /// Compression of databases, groups, modules and advisories: gz, zstd, xz or bz2.
    #[arg(long, value_name = "TYPE")]
    compress_type: Option<Compression>,
    /// As --general-compress-type=xz.
    #[arg(long)]
    xz: bool,
    /// Make SQLite databases too, for old readers.
    #[arg(short, long, overrides_with = "no_database")]
    database: bool,
    /// Make no SQLite databases (the default).
    #[arg(long)]
    no_database: bool,
    /// Make zchunk files too.
    #[arg(long)]
    zck: bool,
    /// Where dictionaries for zchunk files are: primary.xml.zdict and so on.
    #[arg(long, value_name = "DIR", requires = "zck")]
    zck_dict_dir: Option<PathBuf>,
    /// Kind of the checksums in repomd.xml, if not that of the packages.
    #[arg(long, value_name = "SUM")]
    repomd_checksum: Option<Sum>,
    /// Names of files begin with their checksum (the default).
    #[arg(long)]
    unique_md_filenames: bool,
    /// Names of files do not begin with their checksum.
    #[arg(long, conflicts_with = "unique_md_filenames")]
    simple_md_filenames: bool,
    /// The revision, instead of the time.
    #[arg(long)]
    revision: Option<String>,
    /// Date everything with the revision, which must be a number of seconds since 1970.
    #[arg(long, requires = "revision")]
    set_timestamp_to_revision: bool,
    /// How many older states stay in the directory, for readers that are at work on them.
    #[arg(long, value_name = "NUM", default_value_t = 1)]
    retain_old_md: usize,
    /// Older states stay for this time, such as 90m, 2h, 30d.
    #[arg(long, value_name = "AGE", conflicts_with = "retain_old_md")]
    retain_old_md_by_age: Option<String>,
    /// Name of the distribution, or its CPE and name.
    #[arg(long, value_name = "[CPE,]NAME")]
    distro: Vec<String>,
    /// What is in the repository.
    #[arg(long, value_name = "TAG")]
    content: Vec<String>,
    /// What the repository is.
    #[arg(long = "repo-tag", value_name = "TAG")]
    repo_tag: Vec<String>,
    /// Sign repomd.xml by gpg with this key of the user's keyring.
    #[arg(long, value_name = "KEY")]
    sign: Option<String>,
}

impl Options {
    /// The format, with checksums of the kind `sum` unless another one is given.
    pub(super) fn format(&self, sum: Sum) -> anyhow::Result<Format> {
        let now = now();
        let general = self.general_compress_type.or(self.xz.then_some(Compression::Xz(5)));
        let extra = self.compress_type.or(general);
        let base = Format::new(now);
        let time = match (&self.revision, self.set_timestamp_to_revision) {
            (Some(revision), true) => revision
                .parse()
                .context("--set-timestamp-to-revision needs a number as revision")?,
            _ => now,
        };
        let retain = match &self.retain_old_md_by_age {
            Some(age) => Retain::Since(now - seconds(age)?),
            None => Retain::Newest(self.retain_old_md),
        };
        let distro = |text: &String| match text.rsplit_once(',') {
            Some((id, name)) => (Some(id.to_owned()), name.to_owned()),
            None => (None, text.clone()),
        };
        Ok(Format {
            compression: general.unwrap_or(base.compression),
            extra: extra.unwrap_or(base.extra),
            database: self.database.then(|| extra.unwrap_or(Compression::Bzip2(9))),
            sum: self.repomd_checksum.unwrap_or(sum),
            unique: !self.simple_md_filenames,
            zchunk: self.zck,
            dictionaries: self.zck_dict_dir.clone(),
            revision: self.revision.clone(),
            time,
            touch: self.set_timestamp_to_revision,
            tags: Tags {
                content: self.content.clone(),
                repo: self.repo_tag.clone(),
                distro: self.distro.iter().map(distro).collect(),
            },
            sign: self.sign.clone(),
            retain,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the end that decides the time of a repository")]
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// Seconds of a text such as `2h`; without a unit they are seconds.
fn seconds(text: &str) -> anyhow::Result<i64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        unit => anyhow::bail!("{unit} is not a unit of time: s, m, h and d are"),
    };
    let number: i64 = digits.parse().with_context(|| format!("{text} is not an age"))?;
    number.checked_mul(factor).with_context(|| format!("{text} is too long"))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn ages() {
        assert_eq!(seconds("90").unwrap(), 90);
        assert_eq!(seconds("2h").unwrap(), 7200);
        assert_eq!(seconds("30d").unwrap(), 2_592_000);
        assert!(seconds("2w").is_err() && seconds("d").is_err());
    }
}
