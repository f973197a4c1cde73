//! What a buildroot is told and tells: its repository, groups, machine, packages.

use std::path::PathBuf;

use toji_client::args;
use toji_sandbox::{LimitReport, Limits};
use toji_types::state::RepoState;
use toji_value::{Value, map};

use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::resolve::Machine;
use crate::rich::Capability;
use crate::source;

/// The machine, which is the rest of a buildroot of the `host` kind.
pub(super) struct ThisMachine {
    /// Names to take for granted.
    pub(super) granted: Vec<String>,
}

impl Machine for ThisMachine {
    fn has(&self, need: &Capability) -> bool {
        self.granted.contains(&need.name) || toji_sandbox::host::provides(&need.to_string())
    }
}

/// The repository must be the tag's, and usable.
pub(super) fn check_repo(repo: &Value, config: &Value) -> Result<()> {
    let id = int_of(repo, "id")?;
    if repo.get("tag_id") != config.get("id") {
        let (one, two) = (config.get("name").display(), repo.get("tag_name").display());
        return Err(Failure::buildroot(format!("tag/repo mismatch: {one} vs {two}")));
    }
    let state = RepoState::try_from(int_of(repo, "state")?).ok();
    match state {
        Some(RepoState::Ready | RepoState::Expired) => Ok(()),
        other => {
            let name = other.map_or("unknown", |state| state.name());
            Err(Failure::buildroot(format!("Requested repo ({id}) is {name}")))
        }
    }
}

/// The package names of the tag's group.
pub(super) async fn group_packages(
    task: &Context,
    tag: i64,
    group: &str,
    event: Value,
) -> Result<Vec<String>> {
    let groups = task.call("getTagGroups", args!(tag; "event" => event)).await?;
    let groups = groups.as_array().unwrap_or_default();
    let group = groups.iter().find(|one| one.get("name").as_str() == Some(group));
    let list = group.map(|group| group.get("packagelist").as_array().unwrap_or_default());
    let usable = |p: &&Value| !p.get("blocked").truthy();
    let names =
        list.unwrap_or_default().iter().filter(usable).filter_map(|p| p.get("package").as_str());
    Ok(names.map(str::to_owned).collect())
}

/// The listing of a buildroot's packages for the hub.
pub(super) fn listing<'o>(
    files: &[PathBuf],
    origins: impl Iterator<Item = Option<&'o str>>,
) -> Result<Value> {
    let mut list = Vec::new();
    for (file, origin) in files.iter().zip(origins) {
        let package = source::header(file)?;
        let header = package.header();
        let bad = Failure::local::<toji_rpmfile::Error>;
        let number = |n: Option<u64>| n.and_then(|n| i64::try_from(n).ok());
        list.push(Value::Struct(map! {
            "name" => header.name().map_err(bad("name"))?.into_owned(),
            "version" => header.version().map_err(bad("version"))?.into_owned(),
            "release" => header.release().map_err(bad("release"))?.into_owned(),
            "epoch" => header.epoch(),
            "arch" => header.arch().map_err(bad("arch"))?.into_owned(),
            "payloadhash" => package.content_id(),
            "size" => number(header.installed_size()),
            "buildtime" => number(header.build_time()),
            "location" => origin,
        }));
    }
    Ok(Value::Array(list))
}

/// What of the machine may matter to whoever reads the logs.
pub(super) fn write_hardware(log: &mut Log, limits: &Limits) {
    let held = LimitReport::here(limits).entries();
    let held = held.map(|(name, held)| format!("{name}: {held}")).join(", ");
    log.line(format!("limits: {held}"));
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    log.line(read("/proc/version").trim());
    let cpus = read("/proc/cpuinfo");
    let models: Vec<&str> = cpus.lines().filter(|line| line.starts_with("model name")).collect();
    log.line(format!("CPUs: {}", models.len()));
    log.line(models.first().copied().unwrap_or_default());
    for line in read("/proc/meminfo").lines().take(3) {
        log.line(line);
    }
    log.line(format!("load: {}", read("/proc/loadavg").trim()));
}

/// A host's user name as a host name.
pub(super) fn hostname(user: &str) -> String {
    let name: String =
        user.chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
