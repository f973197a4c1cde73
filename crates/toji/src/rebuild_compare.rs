//! `toji rebuild-compare`: has a finished build built again on a builder, waits, and prints what differs.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use toji_types::TaskState;
use toji_value::Value;

use crate::login::Login;

/// What `toji rebuild-compare` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The build, by name-version-release or number.
    #[arg(required_unless_present = "task")]
    build: Option<String>,
    /// Wait for this task, which was submitted before, and print its result; needs no login.
    #[arg(long, conflicts_with = "build")]
    task: Option<i64>,
    /// Print the number of the task and do not wait.
    #[arg(long, conflicts_with = "task")]
    nowait: bool,
    #[command(flatten)]
    login: Login,
}

/// Runs the command; it succeeds if all packages are the same.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (hub, task) = match &options.build {
            Some(build) => {
                let hub = options.login.log_in().await?;
                let build = build.parse().map_or_else(|_| build.as_str().into(), Value::Int);
                let task = hub.call("rebuildCompare", (build,)).await?;
                (hub, task.as_int().context("the hub made no task")?)
            }
            None => (options.login.hub()?, options.task.context("no build is named")?),
        };
        if options.nowait {
            return Ok(writeln!(std::io::stdout(), "{task}")?);
        }
        if hub.wait_task(task).await?.state() == Some(TaskState::Canceled) {
            bail!("task {task} was canceled");
        }
        let result = hub.call("getTaskResult", (task,)).await?;
        show(task, &result)
    })
}

/// Prints a line for each package, and one for each difference.
fn show(task: i64, result: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let rpms = result.get("rpms").as_array().unwrap_or_default();
    for rpm in rpms {
        let word = if rpm.get("equal").truthy() { "equal" } else { "different" };
        writeln!(out, "{word:9} {}", rpm.get("name").display())?;
        let differences = rpm.get("differences").as_array().unwrap_or_default();
        for one in differences {
            let file = one.get("file").as_str().map(|file| format!("{file} ")).unwrap_or_default();
            let value = |key: &str| one.get(key).as_str().unwrap_or("none").to_owned();
            let what = one.get("what").display();
            writeln!(out, "    {file}{what}: {} / {}", value("first"), value("again"))?;
        }
        let more = rpm.get("count").as_int().unwrap_or(0) - i64::try_from(differences.len())?;
        if more > 0 {
            writeln!(out, "    and {more} more, in rebuild-compare.log of task {task}")?;
        }
    }
    let equal = rpms.iter().filter(|rpm| rpm.get("equal").truthy()).count();
    writeln!(out, "{equal} of {} packages are the same", rpms.len())?;
    if equal < rpms.len() || !result.get("equal").truthy() {
        bail!("the packages differ");
    }
    Ok(())
}
