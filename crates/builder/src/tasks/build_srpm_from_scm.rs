//! `buildSRPMFromSCM`: checks out a source repository and makes the source package.

use std::path::Path;

use toji_client::args;
use toji_value::{Default, Value, map};

use super::rebuild_srpm::{build_srpm, finish, open};
use super::{method, repo_id, take};
use crate::buildroot::{Room, TOPDIR};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::logs::Log;
use crate::scm::{Checkout, Scm};
use crate::source;

method!("buildSRPMFromSCM", 1.0, [url, build_tag, opts = Default::Nil]);

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [url, tag, opts] = take(values)?;
    let mut scm = Scm::of(task, url.as_str().unwrap_or_default())?;
    allow(task, &mut scm, &opts).await?;
    repo_id(&opts)?;
    let Checkout { tree, common, source } = scm.checkout(task, &task.make_dir("scm")?).await?;
    let spec = source::find_spec(&tree)?;
    let text = std::fs::read(&spec).map_err(Failure::local("read the spec file"))?;
    source::check_spec(&String::from_utf8_lossy(&text))?;
    // The network is there only where further sources have to be fetched.
    let fetch = scm.source_command(&tree);
    let mut room = open(task, &tag, &opts, fetch.is_some()).await?;
    if room.is_mock() {
        let spec = spec.strip_prefix(&tree).unwrap_or(&spec).display().to_string();
        room.source_of(&tree, common.as_deref(), &spec, fetch).await?;
        return finish(task, room, |_| source).await;
    }
    room.fill(&[]).await?;
    room.begin("buildSRPMFromSCM").await?;
    let mut log = task.log("build.log")?;
    bring_in(&room, &tree, common.as_deref())?;
    let sources = format!("{TOPDIR}/SOURCES");
    if let Some(command) = fetch {
        fetch_sources(&room, command, &sources, &mut log).await?;
    }
    let spec = spec.strip_prefix(&tree).unwrap_or(&spec).display().to_string();
    let inner = tree.join("SOURCES").is_dir();
    let sourcedir = format!("_sourcedir {sources}{}", if inner { "/SOURCES" } else { "" });
    build_srpm(&room, &format!("{sources}/{spec}"), &["--define", &sourcedir], &mut log).await?;
    finish(task, room, |_| source).await
}

/// Asks the builder's list and the hub's policy, whichever are in force, about a source repository.
pub(super) async fn allow(task: &Context, scm: &mut Scm, opts: &Value) -> Result<()> {
    let config = task.config();
    if config.allowed_scms_use_config {
        scm.allow_by_list(&config.allowed_scms)?;
    }
    if config.allowed_scms_use_policy {
        let channel = args!(task.info.get("channel_id"); "strict" => true);
        let channel = task.call("getChannel", channel).await?;
        let data = map! {
            "user_id" => task.info.get("owner"),
            "channel" => channel.get("name"),
            "scratch" => opts.get("scratch"),
        };
        scm.allow_by_policy(task, data).await?;
    }
    Ok(())
}

/// Copies the tree into the buildroot, and `common` beside it; the files of source control stay outside.
pub(super) fn bring_in(room: &Room<'_>, tree: &Path, common: Option<&Path>) -> Result<()> {
    let build = room.home()?.join("build");
    let failed = || Failure::local::<std::io::Error>("copy the sources into the buildroot");
    for name in ["BUILD", "BUILDROOT", "RPMS", "SOURCES", "SPECS", "SRPMS"] {
        std::fs::create_dir_all(build.join(name)).map_err(failed())?;
    }
    copy_tree(tree, &build.join("SOURCES")).map_err(failed())?;
    if let Some(common) = common {
        let to = build.join("common");
        std::fs::create_dir_all(&to).map_err(failed())?;
        copy_tree(common, &to).map_err(failed())?;
    }
    Ok(room.root()?.hand_over(&room.home()?)?)
}

/// Directories of source control, which are left out.
const CONTROL: [&str; 4] = ["CVS", ".git", ".hg", ".svn"];

/// Copies a checked-out tree without the files of source control.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        let control = CONTROL.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !control {
            std::fs::create_dir_all(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        } else if kind.is_symlink() {
            // Inside, a link only leads to what the buildroot shows.
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        }
    }
    Ok(())
}

async fn fetch_sources(
    room: &Room<'_>,
    command: &[String],
    cwd: &str,
    log: &mut Log,
) -> Result<()> {
    let argv: Vec<&str> = command.iter().map(String::as_str).collect();
    let outcome = room.run(&argv, cwd, log).await?;
    if outcome.success() {
        return Ok(());
    }
    Err(Failure::build(format!(
        "error retrieving sources, {} {}; see build.log for more information",
        argv[0], outcome.reason
    )))
}
