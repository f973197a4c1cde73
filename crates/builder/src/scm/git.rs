//! Checking out with git.

use std::path::{Path, PathBuf};

use super::Scm;
use super::checkout::Tool;
use crate::failure::Result;

/// The module's directory, and the URL with the commit's number.
pub(super) async fn checkout(
    scm: &Scm,
    git: &mut Tool<'_>,
    dir: &Path,
) -> Result<(PathBuf, Option<String>)> {
    let url = scm.plain_url();
    let tree = dir.join(scm.name());
    let target = tree.display().to_string();
    git.run(&["git", "clone", "-n", "--", &url, &target], dir).await?;
    let revision = scm.revision.strip_prefix("origin/").unwrap_or(&scm.revision);
    let fetch = format!("{revision}:TOJI_FETCH_HEAD");
    let fetched = git.run(&["git", "fetch", "origin", &fetch], &tree).await;
    let reset = match fetched {
        Ok(()) => "TOJI_FETCH_HEAD",
        // A shortened commit number cannot be fetched, but the clone has it.
        Err(_) => scm.revision.as_str(),
    };
    git.run(&["git", "reset", "--hard", reset, "--"], &tree).await?;
    if scm.use_common {
        let base = url.strip_suffix("/.git").unwrap_or(&url);
        let bare = base.ends_with(".git");
        let parent = base.rsplit_once('/').map_or(base, |(parent, _)| parent);
        let common = format!("{parent}/common{}", if bare { ".git" } else { "" });
        git.run(&["git", "clone", "--", &common, "common"], dir).await?;
    }
    let commit = git.revision(&["git", "rev-parse", "HEAD"], &tree).await?;
    Ok((tree.join(&scm.module), Some(scm.exact(&commit))))
}
