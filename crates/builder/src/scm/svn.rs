//! Checking out with Subversion.

use std::path::{Path, PathBuf};

use super::Scm;
use super::checkout::Tool;
use super::kind::Kind;
use crate::failure::Result;

/// The module's directory.
pub(super) async fn checkout(scm: &Scm, svn: &mut Tool<'_>, dir: &Path) -> Result<PathBuf> {
    svn.env("SVN_SSH", "ssh -o BatchMode=yes");
    let server = match scm.kind {
        Kind::SvnSsh => format!("svn+{}", scm.plain_url()),
        _ => scm.plain_url(),
    };
    let (place, name) = match scm.module.as_str() {
        "" => (server.clone(), scm.name()),
        module => (format!("{server}/{module}"), module),
    };
    let target = dir.join(name);
    run(svn, &["-r", &scm.revision, &literal(&place), &target.display().to_string()], dir).await?;
    if scm.use_common {
        run(svn, &[&literal(&format!("{server}/common")), "common"], dir).await?;
    }
    Ok(target)
}

/// Checks out without the passwords of whoever runs the builder.
///
/// Nested checkouts from other places, which a repository can ask for, are not in the list of allowed ones: they are left out.
async fn run(svn: &mut Tool<'_>, words: &[&str], cwd: &Path) -> Result<()> {
    let config = svn.home.join("subversion").display().to_string();
    let mut argv = vec!["svn", "checkout", "--non-interactive", "--no-auth-cache"];
    argv.extend(["--ignore-externals", "--config-dir", &config]);
    argv.extend_from_slice(words);
    svn.run(&argv, cwd).await
}

/// A URL whose `@` does not begin a revision.
fn literal(url: &str) -> String {
    if url.contains('@') { format!("{url}@") } else { url.to_owned() }
}
