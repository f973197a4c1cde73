//! `saveFailedTree`: uploads the buildroot of a failed task as an archive.

use std::path::Path;

use toji_plugin::Settings;
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
    let part = if full.truthy() { "." } else { "./home" };
    if !root.join(part).is_dir() {
        let path = root.join(part).display().to_string();
        return Err(Failure::generic(format!("Buildroot directory is missing: {path}")));
    }
    let settings = settings(task)?;
    let name = format!("broot-{number}.tar.gz");
    let archive = task.work.join(&name);
    let left_out = option(&settings, "filters", "paths").unwrap_or_default();
    pack(&root, part, left_out, &archive).await?;
    match option(&settings, "general", "volume").filter(|volume| *volume != "DEFAULT") {
        Some(volume) => task.upload_to_volume(&archive, &name, volume).await?,
        None => drop(task.upload_result(&archive, &name).await?),
    }
    Ok(Value::Nil)
}

/// What Koji's `plugins/save_failed_tree.conf` says, beside the builder's own configuration.
fn settings(task: &Context) -> Result<Settings> {
    let Some(dir) = &task.config().plugin_dir else { return Ok(Settings::new()) };
    let read = toji_plugin::settings(dir, "save_failed_tree");
    read.map_err(|error| Failure::generic(error.to_string()))
}

fn option<'s>(settings: &'s Settings, section: &str, name: &str) -> Option<&'s str> {
    let value = settings.value(section).get(name).as_str()?.trim();
    Some(value).filter(|value| !value.is_empty())
}

/// Packs a directory without what patterns match, whose `*` takes slashes, too; the home directory gets the name that it has inside.
async fn pack(root: &Path, part: &str, left_out: &str, archive: &Path) -> Result<()> {
    let mut tar = tokio::process::Command::new("tar");
    tar.args(["--create", "--gzip", "--ignore-failed-read", "--anchored"]);
    tar.args(["--wildcards", "--wildcards-match-slash"]);
    for pattern in left_out.split_whitespace() {
        tar.arg(format!("--exclude={pattern}"));
        // the home directory is kept under another name than inside
        tar.arg(format!("--exclude={}", pattern.replace("/builddir", "/home")));
    }
    let packed = tar
        .arg(r"--transform=s,^\(\./\)\?home,builddir,")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn filters_leave_files_out() {
        let dir = tempfile::tempdir().expect("directory");
        let root = dir.path().join("7");
        for name in ["home/build/keep", "home/secret/key", "etc/a.keytab", "etc/b"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(path, "x").expect("file");
        }
        let names = async |part: &str, left_out: &str| {
            let archive = dir.path().join("a.tar.gz");
            pack(&root, part, left_out, &archive).await.expect("packed");
            let listed = std::process::Command::new("tar").arg("-tzf").arg(&archive).output();
            let text = String::from_utf8(listed.expect("tar is needed").stdout).expect("text");
            let mut files: Vec<String> = text.lines().map(str::to_owned).collect();
            files.retain(|name| !name.ends_with('/'));
            files.sort();
            files
        };
        let filters = "*/builddir/secret */etc/*.keytab";
        assert_eq!(names("./home", "").await, ["builddir/build/keep", "builddir/secret/key"]);
        assert_eq!(names("./home", filters).await, ["builddir/build/keep"]);
        assert_eq!(names(".", filters).await, ["./etc/b", "builddir/build/keep"]);
    }

    #[test]
    fn settings_are_those_of_the_plugin() {
        let settings =
            toji_plugin::parse_settings("[filters]\npaths = */a */b\n[general]\nvolume = big\n");
        let settings = settings.expect("settings");
        assert_eq!(option(&settings, "filters", "paths"), Some("*/a */b"));
        assert_eq!(option(&settings, "general", "volume"), Some("big"));
        assert_eq!(option(&settings, "general", "other"), None);
    }
}
