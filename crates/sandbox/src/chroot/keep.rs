//! Which layers are kept: none that a crash may have damaged, and no more than fit.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::Value;

use crate::{
    error::{Error, Result},
    tree,
};

/// The boot in which a layer was made; taken away once its files are on the disk for certain.
const BOOT: &str = "unsynced-boot";

/// A layer on the disk.
pub(super) struct Kept {
    pub(super) key: String,
    pub(super) bytes: u64,
    below: Option<String>,
    used: SystemTime,
    dir: PathBuf,
}

/// Notes that a layer is used now; a failure only makes it look older.
pub(super) fn touch(dir: &Path) {
    let _ = fs::write(dir.join("used"), "");
}

/// Notes that a layer's files may not survive the end of this boot.
pub(super) fn note_boot(dir: &Path) -> Result<()> {
    let file = dir.join(BOOT);
    fs::write(&file, boot()).map_err(Error::file("write", &file))
}

/// Writes a layer's files to the disk, without anybody waiting for it.
pub(super) fn sync_later(dir: &Path) {
    let dir = dir.to_owned();
    let sync = move || {
        let synced = File::open(&dir).and_then(|file| Ok(rustix::fs::syncfs(&file)?));
        if synced.is_ok() {
            let _ = fs::remove_file(dir.join(BOOT));
        }
    };
    // Without a thread the layer is made anew after the next boot.
    let _ = std::thread::Builder::new().name("sync".into()).spawn(sync);
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Removes layers that were not on the disk for certain when the machine went down.
pub(super) fn remove_damaged(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache.join("layers")).into_iter().flatten().flatten() {
        let dir = entry.path();
        let other = fs::read_to_string(dir.join(BOOT)).is_ok_and(|made| made != boot());
        if other || !dir.join("layer.json").is_file() {
            tree::remove_tree(&dir).map_err(Error::file("remove", dir))?;
        }
    }
    Ok(())
}

/// The layers on the disk.
pub(super) fn list(cache: &Path) -> Vec<Kept> {
    let mut all = Vec::new();
    for entry in fs::read_dir(cache.join("layers")).into_iter().flatten().flatten() {
        let dir = entry.path();
        let value: Value = fs::read_to_string(dir.join("layer.json"))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let used = fs::metadata(dir.join("used")).and_then(|data| data.modified());
        all.push(Kept {
            key: entry.file_name().to_string_lossy().into_owned(),
            bytes: value["bytes"].as_u64().unwrap_or(0),
            below: value["below"].as_str().map(str::to_owned),
            used: used.unwrap_or(SystemTime::UNIX_EPOCH),
            dir,
        });
    }
    all
}

/// Removes layers, the least recently used first, until the rest has at most so many bytes.
pub(super) fn trim(cache: &Path, limit: u64, in_use: impl Fn(&str) -> bool) -> io::Result<()> {
    let mut all = list(cache);
    let mut total: u64 = all.iter().map(|kept| kept.bytes).sum();
    // A layer goes before the one that it lies on.
    all.sort_by_key(|kept| (kept.used, kept.below.is_none()));
    let mut gone: Vec<String> = Vec::new();
    while total > limit {
        let carries = |kept: &Kept| {
            let over = |other: &&Kept| other.below.as_ref() == Some(&kept.key);
            all.iter().filter(over).any(|other| !gone.contains(&other.key))
        };
        let free = |kept: &&Kept| !gone.contains(&kept.key) && !in_use(&kept.key) && !carries(kept);
        let Some(kept) = all.iter().find(free) else { break };
        // Nobody finds half a layer: the name goes first.
        let away = cache.join("new").join(format!("gone-{}", kept.key));
        fs::rename(&kept.dir, &away)?;
        tree::remove_tree(&away)?;
        total = total.saturating_sub(kept.bytes);
        gone.push(kept.key.clone());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn layer(cache: &Path, key: &str, bytes: u64, below: Option<&str>, age: u64) {
        let dir = cache.join("layers").join(key);
        fs::create_dir_all(dir.join("tree")).unwrap();
        let value = serde_json::json!({"bytes": bytes, "below": below, "packages": []});
        fs::write(dir.join("layer.json"), value.to_string()).unwrap();
        touch(&dir);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
        File::options().write(true).open(dir.join("used")).unwrap().set_modified(at).unwrap();
    }

    fn names(cache: &Path) -> Vec<String> {
        let mut names: Vec<_> = list(cache).into_iter().map(|kept| kept.key).collect();
        names.sort();
        names
    }

    #[test]
    fn the_least_used_go_but_not_what_others_lie_on() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("new")).unwrap();
        layer(dir.path(), "base", 100, None, 900);
        layer(dir.path(), "over", 100, Some("base"), 10);
        layer(dir.path(), "old", 100, None, 500);
        layer(dir.path(), "busy", 100, None, 999);
        let busy = |key: &str| key == "busy";
        trim(dir.path(), 400, busy).unwrap();
        assert_eq!(names(dir.path()).len(), 4);
        trim(dir.path(), 300, busy).unwrap();
        assert_eq!(names(dir.path()), ["base", "busy", "over"]);
        trim(dir.path(), 150, busy).unwrap();
        assert_eq!(names(dir.path()), ["busy"]);
    }

    #[test]
    fn what_another_boot_did_not_finish_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["good", "now", "cut"] {
            layer(dir.path(), name, 1, None, 1);
        }
        fs::write(dir.path().join("layers/cut").join(BOOT), "another\n").unwrap();
        note_boot(&dir.path().join("layers/now")).unwrap();
        fs::create_dir_all(dir.path().join("layers/half/tree")).unwrap();
        remove_damaged(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["good", "now"]);
    }
}
