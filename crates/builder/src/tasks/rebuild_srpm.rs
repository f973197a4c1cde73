//! `rebuildSRPM`: makes an uploaded source package anew in a buildroot, with the tag's macros.

use toji_client::args;
use toji_value::{Default, Map, Value, map};

use super::{find_arch, method, repo_id, take};
use crate::buildroot::{Newest, Room, TOPDIR, Wish};
use crate::context::{Context, int_of};
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::source;

method!("rebuildSRPM", 1.0, [srpm, build_tag, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [srpm, tag, opts] = take(values)?;
    repo_id(&opts)?;
    let srpm = srpm.as_str().unwrap_or_default();
    let file = task.fetch_work(srpm).await?;
    let name = srpm.rsplit('/').next().unwrap_or(srpm).to_owned();
    let checked = {
        let (file, name) = (file.clone(), name.clone());
        tokio::task::spawn_blocking(move || {
            source::check_name(&source::verified(&file, &name)?, &name)
        })
    };
    checked.await.map_err(Failure::local("check the source package"))??;
    let mut room = open(task, &tag, &opts, false).await?;
    if room.is_mock() {
        room.remake_source(&file).await?;
    } else {
        room.fill(&[]).await?;
        room.begin("rebuildSRPM").await?;
        let mut log = task.log("build.log")?;
        let spec = room.unpack(&file, &mut log).await?;
        build_srpm(&room, &spec, &[], &mut log).await?;
    }
    let source = |made: &str| map! {"source" => made, "url" => made};
    finish(task, room, source).await
}

/// A buildroot for making source packages, which are of no arch.
pub(super) async fn open<'t>(
    task: &'t Context,
    tag: &Value,
    opts: &Value,
    network: bool,
) -> Result<Room<'t>> {
    let (repo_id, newest) = (repo_id(opts)?, Newest::of(opts));
    let repo = task.call("repoInfo", args!(repo_id; "strict" => true)).await?;
    let event = &newest.as_ref().map_or(repo.get("create_event").clone(), |n| n.event.into());
    let tag = task.call("getTag", args!(tag; "strict" => true, "event" => event)).await?;
    let tag = int_of(&tag, "id")?;
    let arch = find_arch(task, "noarch", tag, event).await?;
    let (group, like) = ("srpm-build", opts.get("like").as_int());
    Room::new(task, &Wish { tag, arch: &arch, repo_id, newest, group, network, like, again: false })
        .await
}

/// Makes a source package of a spec file, both as seen inside.
pub(crate) async fn build_srpm(
    room: &Room<'_>,
    spec: &str,
    more: &[&str],
    log: &mut Log,
) -> Result<()> {
    let mut argv = vec!["rpmbuild", "-bs", "--nodeps"];
    argv.extend_from_slice(more);
    argv.push(spec);
    let outcome = room.run(&argv, TOPDIR, log).await?;
    if outcome.success() {
        return Ok(());
    }
    Err(Failure::build(format!(
        "error building srpm, rpmbuild {}; see build.log for more information",
        outcome.reason
    )))
}

/// Uploads the source package and ends the buildroot.
pub(super) async fn finish(
    task: &Context,
    room: Room<'_>,
    source: impl FnOnce(&str) -> Map,
) -> Result<Value> {
    let made = room.collect_srpm()?;
    let name = made.file_name().unwrap_or_default().to_string_lossy().into_owned();
    source::check_name(&source::header(&made)?, &name)?;
    let path = task.upload_result(&made, &name).await?;
    let brootid = room.expire().await?;
    let logs = task.log_paths().await?;
    Ok(Value::Struct(map! {
        "srpm" => path,
        "logs" => logs,
        "brootid" => brootid,
        "source" => source(&name),
    }))
}
