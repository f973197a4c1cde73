//! Outside programs: gpg for signatures.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Error, Result};

/// Writes `FILE.asc`, a detached signature by a key of the user's keyring.
pub(crate) fn sign(file: &Path, key: &str) -> Result<()> {
    let target = file.with_extension("xml.asc");
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--yes", "--quiet", "--detach-sign", "--armor", "--local-user", key]);
    gpg.arg("--output").arg(target).arg(file);
    run("gpg", gpg).map(drop)
}

/// Checks `FILE.asc` with the user's keyring.
pub(crate) fn verify(file: &Path) -> Result<()> {
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--quiet", "--verify"]).arg(file.with_extension("xml.asc")).arg(file);
    run("gpg", gpg).map(drop)
}

fn run(program: &'static str, mut command: Command) -> Result<String> {
    let failed = |problem: String| Error::Program { program, problem };
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            failed("is not installed".to_owned())
        } else {
            failed(error.to_string())
        }
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
}
