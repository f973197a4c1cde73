//! `runroot`: runs a command in a buildroot of a tag.

use std::path::Path;

use toji_client::args;
use toji_types::state::RepoState;
use toji_value::{Default, Value, map};

use super::{find_arch, method, take, texts};
use crate::buildroot::{Extras, Room, Wish};
use crate::config::Runroot;
use crate::context::{Context, int_of, text_of};
use crate::failure::{Failure, Result};
use crate::rich::{Capability, Need};

method!(
    "runroot",
    2.0,
    [
        root,
        arch,
        command,
        keep = Default::Nil,
        packages = Default::Nil,
        mounts = Default::Nil,
        repo_id = Default::Nil,
        skip_setarch = Default::Nil,
        weight = Default::Nil,
        upload_logs = Default::Nil,
        new_chroot = Default::Nil,
    ]
);

/// The command's output.
const LOG: &str = "runroot.log";
/// The home directory inside.
const HOME: &str = "/builddir";

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [
        root,
        arch,
        command,
        _,
        packages,
        mounts,
        repo_id,
        skip_setarch,
        weight,
        upload_logs,
        new_chroot,
    ] = take(values)?;
    let settings = Runroot::load(task.config().plugin_dir.as_deref()).map_err(Failure::generic)?;
    if let Some(weight) = weight.as_f64() {
        task.call("host.setTaskWeight", (task.id, weight.max(0.5))).await?;
    }
    let arch = arch.as_str().ok_or_else(|| Failure::build("no arch is given"))?;
    let repo = repository(task, &root, &repo_id).await?;
    let tag = int_of(&repo, "tag_id")?;
    let arch = find_arch(task, arch, tag, repo.get("create_event")).await?;
    let repo_id = int_of(&repo, "id")?;
    let (newest, group) = (None, "build");
    let wish =
        Wish { tag, arch: &arch, repo_id, newest, group, network: false, like: None, again: false };
    let mounts = settings.mounts(&texts(&mounts)).map_err(Failure::generic)?;
    let extras = Extras::mounting(mounts, settings.internal_dev_setup);
    let mut room = Room::with(task, &wish, extras).await?;
    room.set_mock_flags(flags(&new_chroot, skip_setarch.truthy()));
    let done = work(task, &mut room, &command, &texts(&packages), &texts(&upload_logs)).await;
    task.log_paths().await?;
    let reason = done?;
    room.expire().await?;
    let name = program(&command);
    match reason {
        None => Ok(format!("{name} completed successfully").into()),
        Some(reason) => Err(Failure::buildroot(format!("{name} {reason}"))),
    }
}

/// The repository that is asked for, or the tag's newest; it is waited for if there is none.
async fn repository(task: &Context, root: &Value, wanted: &Value) -> Result<Value> {
    if wanted.truthy() {
        let repo = task.call("repoInfo", args!(wanted; "strict" => true)).await?;
        let (own, asked) = (text_of(&repo, "tag_name")?, root.display());
        if own != asked && repo.get("tag_id") != root {
            let text = format!("build tag ({asked}) does not match repo tag ({own})");
            return Err(Failure::build(text));
        }
        let state = RepoState::try_from(int_of(&repo, "state")?);
        let state = state.map_err(|e| Failure::generic(e.to_string()))?;
        if !matches!(state, RepoState::Ready | RepoState::Expired) {
            let text = format!("repos in the {state} state may not be used by runroot");
            return Err(Failure::build(text));
        }
        return Ok(repo);
    }
    let repo = task.call("getRepo", (root.clone(),)).await?;
    if !repo.is_nil() {
        return Ok(repo);
    }
    let args = vec![root.clone(), Value::Nil, Value::Nil];
    let child = task.subtask("waitrepo", args, map! {}).await?;
    task.wait_for(child).await
}

/// Fills the buildroot and runs the command; gives why it ended, if that was no success.
async fn work(
    task: &Context,
    room: &mut Room<'_>,
    command: &Value,
    packages: &[String],
    upload_logs: &[String],
) -> Result<Option<String>> {
    let needs: Vec<Need> =
        packages.iter().map(|name| Need::of(Capability::new(name, 0, ""))).collect();
    room.fill(&needs).await?;
    room.begin("runroot").await?;
    let line = match command {
        Value::Array(words) => words.iter().map(quoted).collect::<Vec<_>>().join(" "),
        other => other.display(),
    };
    if room.is_mock() {
        let reason = room.run_in_mock(&line, &format!("{HOME}/{LOG}")).await?;
        for path in std::iter::once(&format!("{HOME}/{LOG}")).chain(upload_logs) {
            save_from_mock(task, room, path).await?;
        }
        return Ok(reason);
    }
    let script = format!("{{ {line}\n}} < /dev/null 2>&1");
    let mut log = task.log(LOG)?;
    let outcome = room.execute_as_root(&["/bin/sh", "-c", &script], HOME, &mut log).await?;
    for path in upload_logs {
        save(task, room, path).await?;
    }
    Ok((!outcome.success()).then(|| outcome.reason.to_string()))
}

/// What mock is told for the command alone.
fn flags(new_chroot: &Value, own_arch: bool) -> Vec<String> {
    let chroot = match new_chroot {
        Value::Nil => None,
        Value::Bool(false) => Some("--old-chroot"),
        new => new.truthy().then_some("--new-chroot"),
    };
    let arch = ["--arch", std::env::consts::ARCH];
    let arch = if own_arch { &arch[..] } else { &[] };
    chroot.iter().chain(arch).map(ToString::to_string).collect()
}

/// A word as the shell reads it back.
fn quoted(word: &Value) -> String {
    format!("'{}'", word.display().replace('\'', r"'\''"))
}

/// Uploads a file from inside; one that is not there is passed over.
async fn save(task: &Context, room: &Room<'_>, path: &str) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == ".." || name == "." {
        return Ok(());
    }
    let inside = format!("{HOME}/.upload-{name}");
    let mut log = task.log("upload.log")?;
    let copied = room.execute_as_root(&["cp", "--", path, &inside], HOME, &mut log).await?;
    if !copied.success() {
        return Ok(());
    }
    let home = room.home()?;
    let (from, to) = (format!(".upload-{name}"), task.make_dir("result")?.join(name));
    remove_older(&to)?;
    let copy = toji_sandbox::results::copy(&home, Path::new(&from), &to);
    copy.map_err(Failure::local("copy a file out of the buildroot"))?;
    task.upload(&to, name).await.map(drop)
}

/// Uploads a file from the root that mock made; one that is not there is passed over.
async fn save_from_mock(task: &Context, room: &Room<'_>, path: &str) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name == ".." || name == "." {
        return Ok(());
    }
    let to = task.make_dir("result")?.join(name);
    remove_older(&to)?;
    if room.copy_out(path, &to)? {
        task.upload(&to, name).await?;
    }
    Ok(())
}

/// Of several logs of one name the last one is uploaded last.
fn remove_older(copy: &Path) -> Result<()> {
    match std::fs::remove_file(copy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::local("remove a copy of a log")(error))
        }
        _ => Ok(()),
    }
}

/// The name of the program that a command runs: assignments before it do not count.
fn program(command: &Value) -> String {
    let words: Vec<String> = match command {
        Value::Array(words) => words.iter().map(Value::display).collect(),
        other => other.display().split_whitespace().map(str::to_owned).collect(),
    };
    let first = words.into_iter().find(|word| !word.contains('='));
    let first = first.unwrap_or_else(|| "(none)".to_owned());
    first.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use toji_value::list;

    use super::*;

    #[test]
    fn commands_are_named_and_quoted() {
        assert_eq!(program(&"LANG=C /usr/bin/rpm -qa | wc".into()), "rpm");
        assert_eq!(program(&list!["A=1"]), "(none)");
        assert_eq!(flags(&Value::Nil, false), Vec::<String>::new());
        assert_eq!(flags(&true.into(), false), ["--new-chroot"]);
        assert_eq!(flags(&false.into(), true), ["--old-chroot", "--arch", std::env::consts::ARCH]);
        assert_eq!(quoted(&"it's".into()), r"'it'\''s'");
    }
}
