//! Commands outside a sandbox, for what needs the network before a build: source checkouts.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio_util::sync::CancellationToken;

use crate::{
    Command, Limits, Outcome, Reason,
    buildroot::{PATH, connect},
    error::{Error, Result},
    limits::{Held, LimitReport},
    process::Process,
    sink::Sink,
    supervise::supervise,
    tree,
};

/// Variables that are taken over from the caller: how to find programs and the way to the network.
const INHERITED: [&str; 11] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSH_AUTH_SOCK",
];

/// Settings of git that keep a hostile repository or a forgotten configuration from running programs.
const GIT_CONFIG: [(&str, &str); 8] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("credential.helper", ""),
    ("protocol.ext.allow", "never"),
    ("init.templateDir", ""),
    ("gc.auto", "0"),
    ("advice.detachedHead", "false"),
    ("submodule.recurse", "false"),
];

/// Looks for a program where the sandbox's tools are looked for.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    PATH.split(':').map(|dir| Path::new(dir).join(name)).find(|path| path.is_file())
}

/// A command with a clean environment in which git asks no questions and runs no hooks.
///
/// `home` becomes the home directory; `variable` looks up the caller's environment.
pub fn plain_command<S: Into<String>>(
    argv: impl IntoIterator<Item = S>,
    home: &Path,
    variable: impl Fn(&str) -> Option<String>,
) -> Command {
    let mut command = Command::new(argv)
        .env("PATH", PATH)
        .env("HOME", home.to_string_lossy())
        .env("LANG", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "/bin/false")
        .env("SSH_ASKPASS", "/bin/false")
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        .env("GIT_CONFIG_COUNT", GIT_CONFIG.len().to_string());
    for (number, (key, value)) in GIT_CONFIG.iter().enumerate() {
        command = command
            .env(format!("GIT_CONFIG_KEY_{number}"), *key)
            .env(format!("GIT_CONFIG_VALUE_{number}"), *value);
    }
    for name in INHERITED {
        if let Some(value) = variable(name) {
            command = command.env(name, value);
        }
    }
    command
}

/// Runs a command on the host with only its own environment; its process group dies with it, and when it is killed, all
/// that it has started.
pub async fn run_plain(
    command: &Command,
    sink: &mut dyn Sink,
    cancel: &CancellationToken,
) -> Result<Outcome> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Ok(Outcome {
            reason: Reason::Exited(0),
            elapsed: std::time::Duration::ZERO,
            output: 0,
            limits: report(&Limits::default()),
        });
    };
    let failed = |source| Error::Process { program: program.clone(), source };
    let mut starter = std::process::Command::new(program);
    starter.args(arguments).env_clear().envs(&command.env).stdin(Stdio::null());
    if let Some(cwd) = &command.cwd {
        starter.current_dir(cwd);
    }
    let streams = connect(&mut starter, command.split).map_err(failed)?;
    let mut process = Process::spawn(starter, true).await.map_err(failed)?;
    let pid = process.id();
    let limit = command.limits.memory.unwrap_or(u64::MAX);
    let mut too_much = || {
        let bounded = limit < u64::MAX;
        (bounded && tree::descendants(pid).memory > limit).then_some(Reason::MemoryLimit)
    };
    let ended =
        supervise(&mut process, streams, &command.limits, sink, cancel, &mut too_much).await?;
    use std::os::unix::process::ExitStatusExt;
    let natural = || match (ended.status.code(), ended.status.signal()) {
        (Some(code), _) => Reason::Exited(code),
        (None, signal) => Reason::Signaled(signal.unwrap_or(0)),
    };
    Ok(Outcome {
        reason: ended.killed.unwrap_or_else(natural),
        elapsed: ended.elapsed,
        output: ended.output,
        limits: report(&command.limits),
    })
}

/// Outside a sandbox the kernel's bounds are not used: they would count all of the caller's processes.
fn report(limits: &Limits) -> LimitReport {
    LimitReport {
        processes: Held::Unlimited,
        file_size: Held::Unlimited,
        open_files: Held::Unlimited,
        disk: Held::Unlimited,
        files: Held::Unlimited,
        ..LimitReport::new(limits, false, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Capture;

    #[test]
    fn only_named_variables_are_taken_over() {
        let command = plain_command(["git"], Path::new("/h"), |name| Some(format!("<{name}>")));
        assert_eq!(command.env["PATH"], "<PATH>");
        assert_eq!(command.env["HOME"], "/h");
        assert!(!command.env.contains_key("LD_PRELOAD") && !command.env.contains_key("GIT_DIR"));
    }

    #[tokio::test]
    async fn hooks_of_a_cloned_template_do_not_run() {
        let dir = tempfile::tempdir().unwrap();
        let script = "git init -q r && cd r && mkdir h && printf '#!/bin/sh\\ntouch ../ran\\n' > h/pre-commit && chmod +x h/pre-commit && git config core.hooksPath h && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x";
        let command = plain_command(["sh", "-c", script], dir.path(), |name| {
            (name == "PATH").then(|| "/usr/local/bin:/usr/bin:/bin".into())
        })
        .cwd(dir.path());
        let mut output = Capture::default();
        let outcome = run_plain(&command, &mut output, &CancellationToken::new()).await.unwrap();
        assert!(outcome.success(), "{}", output.text());
        assert!(dir.path().join("r/.git").exists() && !dir.path().join("ran").exists());
    }

    #[tokio::test]
    async fn sessions_of_their_own_do_not_outlive_a_cancelled_command() {
        let (stop, mut output) = (CancellationToken::new(), Capture::default());
        let script = "setsid sh -c 'setsid sleep 1000 & echo $!; wait' & wait";
        let command = Command::new(["/bin/sh", "-c", script]).env("PATH", PATH);
        let cancel = stop.clone();
        let mut sink = |stream: crate::Stream, chunk: &[u8]| {
            stop.cancel();
            output.write(stream, chunk)
        };
        let outcome = run_plain(&command, &mut sink, &cancel).await.unwrap();
        assert_eq!(outcome.reason, Reason::Cancelled);
        let pid = output.text().trim().parse().unwrap();
        if let Some(sleeper) = crate::process::Watched::open(pid) {
            assert!(sleeper.gone(std::time::Duration::from_secs(20)).await);
        }
    }

    #[tokio::test]
    async fn background_processes_end_with_the_command() {
        let mut output = Capture::default();
        let command = Command::new(["/bin/sh", "-c", "sleep 1000 & echo $!"]).env("PATH", PATH);
        let outcome = run_plain(&command, &mut output, &CancellationToken::new()).await.unwrap();
        assert!(outcome.success());
        let pid = output.text().trim().parse().unwrap();
        if let Some(sleeper) = crate::process::Watched::open(pid) {
            assert!(sleeper.gone(std::time::Duration::from_secs(20)).await);
        }
    }
}
