//! `toji explain`: why a task failed, told by its builder or read from its logs; of any Koji hub.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_client::{Client, args};
use toji_explain::{Explanation, Scanner};
use toji_types::TaskState;
use toji_value::Value;

/// What `toji explain` can be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The task; of a build the one below it that failed is looked for.
    task: i64,
    /// The hub's URL; a hub of Koji's will do.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080/kojihub")]
    server: String,
    /// Read the logs even if the builder has told why it failed.
    #[arg(long)]
    read_logs: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How much of a log is asked for at a time, in bytes.
const PIECE: i64 = 1 << 20;
/// How much of a log is read, in bytes.
const MOST: i64 = 256 << 20;
/// How deep tasks may be below each other.
const DEPTH: usize = 16;
/// Logs that tell nothing of a failure.
const DUMB: [&str; 6] = [
    "hw_info.log",
    "state.log",
    "explanation.log",
    "mock_config.log",
    "task_failed.log",
    "installed_pkgs.log",
];

/// Runs the command.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let hub = Client::new(&options.server, toji_client::Options::default())?;
        let (task, info) = find_failed(&hub, options.task).await?;
        let told = if options.read_logs { None } else { told(&hub, task).await? };
        let made = match told {
            Some(told) => told,
            None => read(&hub, task).await?,
        };
        let mut out = std::io::stdout().lock();
        if options.json {
            let mut data = serde_json::to_value(&made)?;
            data["task"] = task.into();
            return Ok(writeln!(out, "{data:#}")?);
        }
        let method = info.get("method").display();
        writeln!(out, "task {task} ({method})\n\n{}", made.text().trim_end())?;
        Ok(())
    })
}

/// The task that failed first below another one, or that one itself.
pub(crate) async fn find_failed(hub: &Client, top: i64) -> anyhow::Result<(i64, Value)> {
    let mut task = top;
    let mut info = hub.call("getTaskInfo", args!(task; "strict" => true)).await?;
    if state(&info) != Some(TaskState::Failed as i64) {
        let name = state(&info).and_then(|state| TaskState::try_from(state).ok());
        let name = name.map_or_else(|| "unknown".to_owned(), |state| state.name().to_lowercase());
        bail!("task {top} has not failed: it is {name}");
    }
    for _ in 0..DEPTH {
        let children = hub.call("getTaskChildren", (task,)).await?;
        let children = children.as_array().unwrap_or_default();
        let failed = children.iter().filter(|c| state(c) == Some(TaskState::Failed as i64));
        let time = |child: &Value| child.get("completion_time").display();
        let Some(child) = failed.min_by_key(|child| time(child)) else { break };
        task = child.get("id").as_int().context("a task without a number")?;
        info = child.clone();
    }
    Ok((task, info))
}

fn state(task: &Value) -> Option<i64> {
    task.get("state").as_int()
}

/// What the builder told.
async fn told(hub: &Client, task: i64) -> anyhow::Result<Option<Explanation>> {
    let files = hub.call("listTaskOutput", (task,)).await?;
    let named = |file: &Value| file.as_str() == Some("explanation.json");
    if !files.as_array().unwrap_or_default().iter().any(named) {
        return Ok(None);
    }
    let data = piece(hub, task, "explanation.json", 0, PIECE).await?;
    Ok(Some(serde_json::from_slice(&data).context("explanation.json cannot be read")?))
}

/// Reads the logs.
async fn read(hub: &Client, task: i64) -> anyhow::Result<Explanation> {
    let fault = hub.call("getTaskResult", args!(task; "raise_fault" => false)).await?;
    let fault = fault.get("faultString").display();
    let files = hub.call("listTaskOutput", (task,)).await?;
    let names = files.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
    let useful =
        |name: &&str| name.ends_with(".log") && !name.ends_with("-ts.log") && !DUMB.contains(name);
    let mut logs = Vec::new();
    for name in names.filter(useful) {
        let (mut scanner, mut at) = (Scanner::new(), 0);
        while at < MOST {
            let data = piece(hub, task, name, at, PIECE).await?;
            if data.is_empty() {
                break;
            }
            scanner.feed(&data);
            at += i64::try_from(data.len())?;
        }
        logs.push((name.to_owned(), scanner.finish()));
    }
    Ok(toji_explain::explain(&fault, logs))
}

/// A piece of a task's file, at most so many bytes.
pub(crate) async fn piece(
    hub: &Client,
    task: i64,
    name: &str,
    at: i64,
    most: i64,
) -> anyhow::Result<Vec<u8>> {
    match hub.call("downloadTaskOutput", args!(task, name, at.to_string(), most)).await? {
        Value::Bytes(data) => Ok(data),
        Value::Str(text) => {
            let packed: String = text.split_whitespace().collect();
            STANDARD.decode(packed).with_context(|| format!("{name} came damaged"))
        }
        other => bail!("{name} came as {}", other.repr()),
    }
}
