//! Outside programs: gpg for signatures, zck for zchunk files.

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

/// Writes a zchunk file; returns size and SHA-256 of its head.
pub(crate) fn zchunk(from: &Path, to: &Path, dictionary: Option<&Path>) -> Result<(u64, String)> {
    let mut zck = Command::new("zck");
    if let Some(dictionary) = dictionary {
        zck.arg("--dict").arg(dictionary);
    }
    run("zck", {
        zck.arg("--output").arg(to).arg(from);
        zck
    })?;
    let said = run("zck_read_header", {
        let mut head = Command::new("zck_read_header");
        head.arg(to);
        head
    })?;
    let value = |name: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(|value| value.trim_start_matches(':').trim().to_owned())
    };
    let size = value("Header size").and_then(|size| size.parse().ok());
    size.zip(value("Header checksum")).ok_or_else(|| Error::Program {
        program: "zck_read_header",
        problem: format!("an answer that is not understood: {said}"),
    })
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
