//! Checking out with CVS.

use std::path::{Path, PathBuf};

use super::Scm;
use super::checkout::Tool;
use super::kind::Kind;
use crate::failure::{Failure, Result};

/// The module's directory.
pub(super) async fn checkout(scm: &Scm, cvs: &mut Tool<'_>, dir: &Path) -> Result<PathBuf> {
    if scm.module.is_empty() {
        let text = format!("CVS needs a module in the SCM URL: {}", scm.url);
        return Err(Failure::build(text));
    }
    let user = scm.user.as_deref().unwrap_or("anonymous");
    let user = match &scm.password {
        Some(password) => format!("{user}:{password}"),
        None => user.to_owned(),
    };
    let method = match scm.kind {
        Kind::CvsSsh => "ext",
        _ => "pserver",
    };
    cvs.env("CVS_RSH", "ssh");
    // the colon before the path is a port's, too
    let colon = if scm.host.contains(':') { "" } else { ":" };
    let root = format!(":{method}:{user}@{}{colon}{}", scm.host, scm.repository);
    // without the user's own .cvsrc, and without a word of each directory
    let start = ["cvs", "-f", "-q", "-d", &root, "checkout"];
    let own = ["-r", &scm.revision, "--", &scm.module];
    cvs.run(&[start.as_slice(), &own].concat(), dir).await?;
    if scm.use_common {
        cvs.run(&[start.as_slice(), &["--", "common"]].concat(), dir).await?;
    }
    let tree = dir.join(&scm.module);
    if tree.is_dir() {
        return Ok(tree);
    }
    // A number that no file has is no error to CVS, which checks out nothing.
    let (module, revision) = (&scm.module, &scm.revision);
    Err(Failure::build(format!("{module} has no files of revision {revision}")))
}
