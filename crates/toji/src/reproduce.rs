//! `toji reproduce`: a build of a hub done again on this machine, from its lockfile.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use toji_builder::Reproduction;

/// What `toji reproduce` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The task; of a build the part that failed, or the one for this machine's arch.
    task: i64,
    /// The hub's URL.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080/kojihub")]
    server: String,
    /// Certificate authorities to trust instead of the system's, PEM.
    #[arg(long, value_name = "FILE")]
    serverca: Option<PathBuf>,
    /// Only print what would be done: packages with their digests, macros, variables, commands.
    #[arg(long, conflicts_with_all = ["shell", "no_build"])]
    print: bool,
    /// Open a shell in the root when the build has ended, however it ended.
    #[arg(long)]
    shell: bool,
    /// Open the shell with the source package unpacked, and do not build.
    #[arg(long, requires = "shell")]
    no_build: bool,
    /// Where packages are kept and work is done [default: toji in the user's directory for caches]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The source package, instead of the one that the hub has, or had.
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
}

/// Does the build again; fails if that fails.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Options { task, server, serverca, print, shell, no_build, dir, source } = options;
    let read = |path: &PathBuf| {
        std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))
    };
    let serverca = serverca.as_ref().map(read).transpose()?;
    let dir = dir
        .or_else(|| cache(variable))
        .context("there is no home directory: name one with --dir")?;
    let dir = std::path::absolute(dir)?;
    let terminal = variable("TERM").and_then(|term| term.into_string().ok());
    runtime.block_on(async {
        let again =
            Reproduction { server, task, dir, source, serverca, terminal }.prepare().await?;
        if print {
            return Ok(write!(std::io::stdout(), "{}", again.plan().await?)?);
        }
        let done = again.run(!no_build, shell).await?;
        let mut out = std::io::stdout().lock();
        if let Some(table) = &done.compared {
            writeln!(out, "\ncompared with the packages of the hub:\n{}", table.trim_end())?;
        }
        if no_build {
            return Ok(());
        }
        let id = again.task();
        match &done.failure {
            None if done.alike => {
                writeln!(out, "\ntask {id} was done again, with the same result")?
            }
            None => writeln!(out, "\ntask {id} was done again, with another result")?,
            Some(reason) => {
                writeln!(out, "\n{}", reason.trim_end())?;
                let how = if done.alike { "as on the hub" } else { "otherwise than on the hub" };
                writeln!(out, "\ntask {id} failed here, {how}")?;
            }
        }
        writeln!(out, "logs and packages are in {}", done.dir.display())?;
        if done.failure.is_some() {
            bail!("the build failed");
        }
        Ok(())
    })
}

/// The user's directory for what can be fetched again.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let own = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let own = own.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
    Some(own?.join("toji"))
}

#[expect(clippy::disallowed_methods, reason = "this is the end where the environment is read")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_the_users() {
        let of = |known: &'static [(&str, &str)]| {
            let find = |name: &str| known.iter().find(|(key, _)| *key == name);
            cache(|name| find(name).map(|(_, value)| OsString::from(value)))
        };
        assert_eq!(of(&[("HOME", "/h")]), Some("/h/.cache/toji".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/toji".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "")]), Some("/h/.cache/toji".into()));
        assert_eq!(of(&[]), None);
    }
}
