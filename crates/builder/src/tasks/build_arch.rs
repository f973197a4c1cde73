//! `buildArch`: builds the packages of one arch from a source package.

use std::path::Path;

use toji_client::args;
use toji_sandbox::Reason;
use toji_value::{Default, Value, map};

use super::rebuild_srpm::build_srpm;
use super::{find_arch, method, repo_id, take};
use crate::buildroot::{Newest, Room, TOPDIR, Wish};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::source;

method!("buildArch", 1.5, [pkg, root, arch, keep_srpm, opts = Default::Nil]);

/// How often a spec file may ask for more.
const ROUNDS: usize = 10;

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [pkg, root, arch, keep_srpm, opts] = take(values)?;
    let repo_id = repo_id(&opts)?;
    let arch = arch.as_str().ok_or_else(|| Failure::build("no arch is given"))?;
    let repo = task.call("repoInfo", args!(repo_id; "strict" => true)).await?;
    let srpm = task.fetch_work(pkg.as_str().unwrap_or_default()).await?;
    let package = source::header(&srpm)?;
    if !package.header().is_source() {
        return Err(Failure::build("not a source package"));
    }
    let name = package.header().name().map_err(Failure::local("read the source package"))?;
    weigh(task, &name).await?;
    let newest = Newest::of(&opts);
    let event = &newest.as_ref().map_or(repo.get("create_event").clone(), |n| n.event.into());
    let tag = match root.as_int() {
        Some(id) => id,
        None => int_of(
            &task.call("getTag", args!(root; "strict" => true, "event" => event)).await?,
            "id",
        )?,
    };
    let br_arch = find_arch(task, arch, tag, event).await?;
    let (group, network, like) = ("build", false, opts.get("like").as_int());
    let wish = Wish { tag, arch: &br_arch, repo_id, newest, group, network, like, again: false };
    let mut room = Room::new(task, &wish).await?;
    let built = build(task, &mut room, &srpm, arch).await;
    // The logs tell what happened before the task ends, in any case.
    let logs = task.log_paths().await?;
    built?;
    deliver(task, room, keep_srpm.truthy(), logs).await
}

/// Gives the task a weight by how long the package took before: 0.75 for each hour, at most 18.
async fn weigh(task: &Context, name: &str) -> Result<()> {
    let average = task.call("getAverageBuildDuration", args!(name; "age" => 6)).await?;
    if let Some(seconds) = average.as_f64().filter(|s| *s > 0.0) {
        let weight = METHOD.weight + (seconds / 4800.0).min(18.0);
        task.call("host.setTaskWeight", (task.id, weight)).await?;
    }
    Ok(())
}

/// Fills the room and builds in it.
pub(crate) async fn build(
    task: &Context,
    room: &mut Room<'_>,
    srpm: &Path,
    arch: &str,
) -> Result<()> {
    if room.is_mock() {
        // It looks for what the source package needs by itself.
        return room.rebuild(srpm, arch).await;
    }
    let needs = source::build_requires(source::header(srpm)?.header());
    room.fill(&needs).await?;
    room.begin("build").await?;
    let mut log = task.log("build.log")?;
    let spec = room.unpack(srpm, &mut log).await?;
    build_srpm(room, &spec, &["--target", arch], &mut log).await?;
    // What the spec file needs on this arch and in this buildroot may be more than was recorded before.
    let made = room.collect_srpm()?;
    let needs = source::build_requires(source::header(&made)?.header());
    if room.fill_more(&needs).await? {
        room.unpack(srpm, &mut log).await?;
        build_srpm(room, &spec, &["--target", arch], &mut log).await?;
    }
    dynamic(room, srpm, &spec, arch, &mut log).await?;
    let argv = ["rpmbuild", "-bb", "--nodeps", "--target", arch, &spec];
    let outcome = room.run(&argv, TOPDIR, &mut log).await?;
    if outcome.success() {
        return Ok(());
    }
    Err(Failure::build(format!(
        "error building package (arch {arch}), rpmbuild {}; see build.log for more information",
        outcome.reason
    )))
}

/// Asks the spec file again and again what else it needs, until it needs no more.
async fn dynamic(
    room: &mut Room<'_>,
    srpm: &Path,
    spec: &str,
    arch: &str,
    log: &mut Log,
) -> Result<()> {
    if !room.generates_requires(spec)? {
        return Ok(());
    }
    for _ in 0..ROUNDS {
        let argv = ["rpmbuild", "-br", "--nodeps", "--target", arch, spec];
        let outcome = room.run(&argv, TOPDIR, log).await?;
        match outcome.reason {
            Reason::Exited(0) => return Ok(()),
            Reason::Exited(11) => {}
            reason => {
                return Err(Failure::build(format!(
                    "error building package (arch {arch}), rpmbuild {reason} while it looked for build requirements; see build.log for more information"
                )));
            }
        }
        let needs = source::build_requires(source::header(&room.take_requires()?)?.header());
        if !room.fill_more(&needs).await? {
            return Ok(());
        }
        // The root is another one now, and the source package may be wanted of it.
        room.unpack(srpm, log).await?;
        build_srpm(room, spec, &["--target", arch], log).await?;
    }
    Err(Failure::build(format!(
        "error building package (arch {arch}), its build requirements grew in each of {ROUNDS} rounds; see build.log for more information"
    )))
}

async fn deliver(
    task: &Context,
    room: Room<'_>,
    keep_srpm: bool,
    logs: Vec<String>,
) -> Result<Value> {
    let mut rpms = Vec::new();
    for file in room.collect("RPMS")? {
        rpms.push(task.upload_result(&file, &file_name(&file)).await?);
    }
    let mut srpms = Vec::new();
    if keep_srpm {
        let file = room.collect_srpm()?;
        srpms.push(task.upload_result(&file, &file_name(&file)).await?);
    }
    let brootid = room.expire().await?;
    task.log_paths().await?;
    Ok(Value::Struct(map! {"rpms" => rpms, "srpms" => srpms, "logs" => logs, "brootid" => brootid}))
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
