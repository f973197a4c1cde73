//! `runInFailedTree`: runs a shell's command line in the kept buildroot of a failed task.

use std::io::{ErrorKind, Read as _};
use std::path::Path;

use toji_client::args;
use toji_sandbox::{Reason, results};
use toji_value::{Default, Value, map};

use super::{method, take};
use crate::buildroot::{Newest, Room, TOPDIR, Wish};
use crate::context::{Context, int_of, text_of};
use crate::failed;
use crate::failure::{Failure, Result};

method!("runInFailedTree", 0.5, [buildrootID, command, cwd = Default::Nil]);

/// What the command writes.
const LOG: &str = "command.log";
/// Where the shell leaves its directory, as seen inside.
const LEFT: &str = ".cwd";
/// More than any directory's path has, in bytes.
const MOST: u64 = 4096;

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [id, command, cwd] = take(values)?;
    let root = task.call("getBuildroot", args!(id; "strict" => true)).await?;
    let id = int_of(&root, "id")?;
    if root.get("host_id") != &task.call("host.getID", ()).await? {
        return Err(Failure::generic("the buildroot is on another builder"));
    }
    let held = match failed::hold(&task.config().workdir, id) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err(Failure::generic(format!("another command runs in buildroot {id}")));
        }
        other => other.map_err(Failure::local("open the buildroot"))?,
    };
    let Some((dir, _held)) = held else {
        return Err(Failure::generic(format!("buildroot {id} is not kept, or no longer")));
    };
    if task.call("solve.lockfile", (id,)).await?.is_nil() {
        let text = "is not one of packages alone: only those can be entered again";
        return Err(Failure::generic(format!("buildroot {id} {text}")));
    }
    let mut room = open(task, &root).await?;
    room.reopen(&dir).await?;
    let words = [text(&command), cwd.as_str().unwrap_or(TOPDIR)];
    let script = format!("trap 'pwd >/builddir/{LEFT}' EXIT; cd -- \"$2\" && eval \"$1\"");
    let argv = ["/bin/sh", "-c", &script, "sh", words[0], words[1]];
    let mut log = task.log(LOG)?;
    let outcome = room.execute(&argv, "/", &mut log).await?;
    task.log_paths().await?;
    let status = match outcome.reason {
        Reason::Exited(status) => Value::from(i64::from(status)),
        reason => reason.to_string().into(),
    };
    let left = left(&room.home()?).unwrap_or_else(|| words[1].to_owned());
    Ok(map! { "status" => status, "cwd" => left }.into())
}

fn text(command: &Value) -> &str {
    command.as_str().unwrap_or_default()
}

/// The room that the buildroot was.
async fn open<'t>(task: &'t Context, root: &Value) -> Result<Room<'t>> {
    let request = task.call("getTaskRequest", (int_of(root, "task_id")?,)).await?;
    let opts = request.as_array().and_then(|values| values.last()).cloned().unwrap_or_default();
    let wish = Wish {
        tag: int_of(root, "tag_id")?,
        arch: text_of(root, "arch")?,
        repo_id: int_of(root, "repo_id")?,
        newest: Newest::of(&opts),
        group: "build",
        network: false,
        like: Some(int_of(root, "id")?),
        again: true,
    };
    Room::new(task, &wish).await
}

/// The directory in which the shell ended.
fn left(home: &Path) -> Option<String> {
    let mut text = String::new();
    results::open(home, Path::new(LEFT)).ok()?.take(MOST).read_to_string(&mut text).ok()?;
    let path = text.strip_suffix('\n')?;
    path.starts_with('/').then(|| path.to_owned())
}
