//! Batch files of `modifyrepo_c`: several changes in one file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_repodata::Compression;
use toji_repodir::modify::Change;

/// The changes of a batch file; what a section does not say is as for files given by themselves.
pub(super) fn changes(text: &str, compression: Option<Compression>) -> anyhow::Result<Vec<Change>> {
    let mut sections: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((name.to_owned(), BTreeMap::new()));
            continue;
        }
        let (key, value) = line.split_once('=').with_context(|| format!("no option: {line}"))?;
        let (_, options) = sections.last_mut().with_context(|| format!("no section: {line}"))?;
        options.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    sections.into_iter().map(|(name, options)| change(name, options, compression)).collect()
}

fn change(
    name: String,
    mut options: BTreeMap<String, String>,
    compression: Option<Compression>,
) -> anyhow::Result<Change> {
    let mut flag = |key: &str| match options.remove(key).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => bail!("[{name}]: {key} is {other}, and must be true or false"),
    };
    let (remove, compress) = (flag("remove")?.unwrap_or(false), flag("compress")?);
    let kind = options.remove("mdtype");
    let file = options.remove("path").map_or_else(|| PathBuf::from(&name), PathBuf::from);
    let named = options.remove("new-name");
    let wanted = options.remove("compress-type").map(|kind| kind.parse::<Compression>());
    let wanted = wanted.transpose().map_err(|e| anyhow::anyhow!("[{name}]: {e}"))?;
    if let Some(key) = options.keys().next() {
        bail!("[{name}]: {key} cannot be chosen for one file: give it to the command");
    }
    if remove {
        return Ok(Change::Remove(kind.unwrap_or(name)));
    }
    let compression = match compress {
        Some(false) => None,
        Some(true) => Some(wanted.or(compression).unwrap_or(Compression::Gzip(6))),
        None => compression.map(|usual| wanted.unwrap_or(usual)),
    };
    Ok(Change::Add { file, kind, name: named, compression })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch() {
        let text = "# what changes\n[some/comps.xml]\nmdtype=group\ncompress=false\nnew-name = c.xml\n\n\
                    [updates]\npath=a/updateinfo.xml\ncompress-type=xz\n[primary_db]\nremove=true\n";
        let made = changes(text, Some(Compression::Gzip(6))).unwrap();
        let [
            Change::Add { file, kind, name, compression },
            Change::Add { file: second, compression: xz, .. },
            Change::Remove(gone),
        ] = &made[..]
        else {
            panic!("other changes");
        };
        assert_eq!(
            (file.to_str(), kind.as_deref(), name.as_deref()),
            (Some("some/comps.xml"), Some("group"), Some("c.xml"))
        );
        assert!(compression.is_none() && matches!(xz, Some(Compression::Xz(_))));
        assert_eq!((second.to_str(), gone.as_str()), (Some("a/updateinfo.xml"), "primary_db"));
        for wrong in
            ["path=x\n", "[a]\nremove=perhaps\n", "[a]\nchecksum=md5\n", "[a]\ncompress-type=rar\n"]
        {
            assert!(changes(wrong, None).is_err(), "{wrong}");
        }
    }
}
