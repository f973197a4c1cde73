//! `saveFailedTree`: uploads the buildroot of a failed task as an archive.

use std::path::Path;

use toji_value::{Default, Value};

use super::{method, take};
use crate::context::{Context, int_of};
use crate::failed;
use crate::failure::{Failure, Result};

method!("saveFailedTree", 3.0, [buildrootID, full = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [id, full] = take(values)?;
    let shown = id.display();
    let found = task.call("getBuildroot", (id,)).await?;
    if found.is_nil() {
        return Err(Failure::generic(format!("Nonexistent buildroot: {shown}")));
    }
    let own = task.call("host.getID", ()).await?;
    if found.get("host_id") != &own {
        return Err(Failure::generic("Task is run on wrong builder"));
    }
    let number = int_of(&found, "id")?;
    let root = failed::dir(&task.config().workdir).join(number.to_string());
    let part = if full.truthy() { "." } else { "home" };
    if !root.join(part).is_dir() {
        let path = root.join(part).display().to_string();
        return Err(Failure::generic(format!("Buildroot directory is missing: {path}")));
    }
    let name = format!("broot-{number}.tar.gz");
    let archive = task.work.join(&name);
    pack(&root, part, &archive).await?;
    task.upload(&archive, &name).await?;
    Ok(Value::Nil)
}

/// Packs a directory; the home directory gets the name that it has inside.
async fn pack(root: &Path, part: &str, archive: &Path) -> Result<()> {
    let packed = tokio::process::Command::new("tar")
        .arg("--create")
        .arg("--gzip")
        .arg("--ignore-failed-read")
        .arg("--transform=s,^home,builddir,")
        .arg("--file")
        .arg(archive)
        .arg("--directory")
        .arg(root)
        .arg(part)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(Failure::local("run tar"))?;
    if packed.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&packed.stderr);
    Err(Failure::generic(format!("tar {}: {}", packed.status, text.trim())))
}
