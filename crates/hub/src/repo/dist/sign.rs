//! Signatures of `repomd.xml`, by a command of the site.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use toji_value::Fault;

use crate::Call;

/// A command that takes longer is ended.
const TIME: Duration = Duration::from_secs(300);

/// Has the configured command sign a `repomd.xml`; whether there is one. It gets the file's path as its last argument
/// and must leave `repomd.xml.asc` beside it.
///
/// # Errors
/// `GenericError` when it fails or leaves no signature.
pub(super) async fn sign(call: &mut Call, repomd: &Path) -> Result<bool, Fault> {
    let words = call.hub.config.repo.sign_dist.clone();
    let [program, arguments @ ..] = words.as_slice() else { return Ok(false) };
    // Nothing of the database is held meanwhile, if that is possible.
    call.tx.rest();
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).arg(repomd).stdin(Stdio::null()).kill_on_drop(true);
    let failed = |why: String| {
        tracing::error!(program, why, "a repository cannot be signed");
        Fault::generic(format!("the repository cannot be signed: {program}: {why}"))
    };
    let output = match tokio::time::timeout(TIME, command.output()).await {
        Ok(output) => output.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed("it took too long".to_owned())),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim().lines().last().unwrap_or_default();
        return Err(failed(format!("{} {last}", output.status)));
    }
    let signature = repomd.with_file_name("repomd.xml.asc");
    match std::fs::symlink_metadata(&signature) {
        Ok(meta) if meta.is_file() && meta.len() > 0 => Ok(true),
        _ => Err(failed("it has left no repomd.xml.asc".to_owned())),
    }
}
