//! Checking out with Mercurial.

use std::path::{Path, PathBuf};

use super::Scm;
use super::checkout::Tool;
use crate::failure::Result;

/// What keeps a hostile repository from leading elsewhere: no nested repositories, no bundles from other addresses.
const SAFE: [&str; 6] = [
    "--config",
    "subrepos.allowed=false",
    "--config",
    "ui.clonebundles=false",
    "--config",
    "ui.ssh=ssh -o BatchMode=yes",
];

/// The module's directory, and the URL with the revision's number.
pub(super) async fn checkout(
    scm: &Scm,
    hg: &mut Tool<'_>,
    dir: &Path,
) -> Result<(PathBuf, Option<String>)> {
    // Nobody's settings but those of the clone itself, and no questions.
    hg.env("HGRCPATH", "");
    hg.env("HGPLAIN", "1");
    let tree = dir.join(scm.name());
    let target = tree.display().to_string();
    run(hg, &["clone", "--noupdate", "--", &url(scm, &scm.plain_url()), &target], dir).await?;
    run(hg, &["update", "--clean", "--rev", &scm.revision], &tree).await?;
    if scm.use_common {
        let whole = scm.plain_url();
        let parent = whole.rsplit_once('/').map_or(whole.as_str(), |(parent, _)| parent);
        let common = url(scm, &format!("{parent}/common"));
        run(hg, &["clone", "--", &common, "common"], dir).await?;
    }
    let asked = ["hg", "log", "--rev", ".", "--template", "{node}"];
    let node = hg.revision(&asked, &tree).await?;
    Ok((tree.join(&scm.module), Some(scm.exact(&node))))
}

async fn run(hg: &mut Tool<'_>, words: &[&str], cwd: &Path) -> Result<()> {
    let mut argv = vec!["hg", "--noninteractive"];
    argv.extend(SAFE);
    argv.extend_from_slice(words);
    hg.run(&argv, cwd).await
}

/// Mercurial takes the path of an `ssh` URL as relative to the home directory unless it begins with two slashes.
fn url(scm: &Scm, plain: &str) -> String {
    match plain.strip_prefix("ssh://").and_then(|rest| rest.split_once('/')) {
        Some((host, path)) if scm.kind.needs_user() => format!("ssh://{host}//{path}"),
        _ => plain.to_owned(),
    }
}
