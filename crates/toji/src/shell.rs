//! `toji shell`: command lines in the kept buildroot of a failed task, each run by its builder as a task.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use toji_client::{Client, Logs, args};

use crate::explain::find_failed;
use crate::login::Login;

/// What `toji shell` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The task; of a build the one below it that failed.
    task: i64,
    /// One command line, instead of those that standard input has.
    #[arg(long, short, value_name = "LINE")]
    command: Option<String>,
    #[command(flatten)]
    login: Login,
}

/// Where the first line begins.
const START: &str = "/builddir/build";

/// Runs the lines; fails if the last one did.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let hub = options.login.log_in().await?;
        let (task, _) = find_failed(&hub, options.task).await?;
        let roots = hub.call("listBuildroots", args!(; "taskID" => task)).await?;
        let roots = roots.as_array().unwrap_or_default().iter();
        let root = roots.filter_map(|root| root.get("id").as_int()).max();
        let root = root.with_context(|| format!("task {task} has come to no buildroot"))?;
        let mut shell = Shell { hub, root, cwd: START.to_owned() };
        let done = match &options.command {
            Some(line) => shell.line(line).await,
            None => shell.lines().await,
        };
        shell.hub.logout().await.ok();
        match done?.as_str() {
            "0" => Ok(()),
            status => bail!("the command ended with {status}"),
        }
    })
}

struct Shell {
    hub: Client,
    root: i64,
    cwd: String,
}

impl Shell {
    /// Runs what standard input has, line by line; the status of the last one.
    async fn lines(&mut self) -> anyhow::Result<String> {
        let mut status = "0".to_owned();
        loop {
            if std::io::stdin().is_terminal() {
                let mut out = std::io::stdout().lock();
                write!(out, "[{} {}]$ ", self.root, self.cwd)?;
                out.flush()?;
            }
            let mut line = String::new();
            if std::io::stdin().lock().read_line(&mut line)? == 0 || line.trim() == "exit" {
                return Ok(status);
            }
            if line.trim().is_empty() {
                continue;
            }
            status = match self.line(line.trim_end_matches('\n')).await {
                Err(error) if std::io::stdin().is_terminal() => {
                    writeln!(std::io::stdout(), "{error:#}")?;
                    "a failure".to_owned()
                }
                other => other?,
            };
        }
    }

    /// Runs one line as a task and prints its output while it grows; its status.
    async fn line(&mut self, line: &str) -> anyhow::Result<String> {
        let call = args!(self.root, line, self.cwd.as_str());
        let task = self.hub.call("runInFailedTree", call).await?;
        let task = task.as_int().context("the hub made no task")?;
        let wanted = Logs { log: Some("command.log".to_owned()), ..Logs::default() };
        let mut pieces = self.hub.follow_logs(&[task], wanted);
        while let Some(piece) = pieces.next().await {
            let mut out = std::io::stdout().lock();
            out.write_all(&piece?.data)?;
            out.flush()?;
        }
        let result = self.hub.call("getTaskResult", (task,)).await?;
        if let Some(left) = result.get("cwd").as_str() {
            left.clone_into(&mut self.cwd);
        }
        Ok(result.get("status").display())
    }
}
