//! `buildNotification`: tells people how a build went.

use toji_client::args;
use toji_types::{BuildState, TaskState};
use toji_value::{Map, Value, map};

use super::{method, take, texts};
use crate::context::{Context, int_of};
use crate::failure::Result;
use crate::letters::{self, build::Ended, build::Part};

method!("buildNotification", 0.1, [recipients, build, target, weburl]);

/// Tasks of a build that are looked at; what fails is told by the first of them.
const MOST_PARTS: usize = 100;

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [recipients, build, target, weburl] = take(values)?;
    let recipients = texts(&recipients);
    if recipients.is_empty() {
        return Ok(Value::Nil);
    }
    let parts = match build.get("task_id").as_int() {
        Some(id) => parts(task, id).await?,
        None => Vec::new(),
    };
    let ended = Ended {
        tag: target.get("dest_tag_name").as_str(),
        weburl: weburl.as_str().unwrap_or_default().trim_end_matches('/'),
        canceler: canceler(task, &build).await?,
        changes: changes(task, &build).await,
        build: &build,
        parts,
    };
    let mut letter = ended.letter();
    letter.to.clone_from(&recipients);
    let id = build.get("id").display();
    Ok(match letters::send(task, letter).await? {
        Some(sent) => format!("sent notification of build {id} to: {}", sent.join(", ")),
        None => format!(
            "no mail server is configured: notification of build {id} not sent to: {}",
            recipients.join(", ")
        ),
    }
    .into())
}

/// Who cancelled the build: the message's task belongs to them.
async fn canceler(task: &Context, build: &Value) -> Result<Option<String>> {
    if build.get("state").as_int() != Some(BuildState::Canceled.number()) {
        return Ok(None);
    }
    let owner = task.info.get("owner");
    if !owner.truthy() {
        return Ok(None);
    }
    let user = task.call("getUser", args!(owner.clone())).await?;
    Ok(user.get("name").as_str().map(str::to_owned))
}

/// The newest changes; a build without packages has none.
async fn changes(task: &Context, build: &Value) -> Vec<Value> {
    let opts = map! { "limit" => 3 };
    let asked = args!(build.get("id").clone(); "queryOpts" => opts);
    match task.call("getChangelogEntries", asked).await {
        Ok(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

/// The build's task and all below it, parents first.
async fn parts(task: &Context, root: i64) -> Result<Vec<Part>> {
    let mut waiting = vec![root];
    let mut found = Vec::new();
    while let Some(id) = waiting.pop() {
        let info = task.call("getTaskInfo", args!(id)).await?;
        if info.is_nil() || found.len() == MOST_PARTS {
            continue;
        }
        found.push(part(task, id, &info).await?);
        let children = task.call("getTaskChildren", args!(id)).await?;
        let children = children.as_array().unwrap_or_default().iter().rev();
        for child in children {
            waiting.push(int_of(child, "id")?);
        }
    }
    Ok(found)
}

async fn part(task: &Context, id: i64, info: &Value) -> Result<Part> {
    let state = info.get("state").as_int().and_then(|n| TaskState::try_from(n).ok());
    let mut part = Part {
        id,
        method: info.get("method").display(),
        arch: info.get("arch").display(),
        host: None,
        state: state.unwrap_or(TaskState::Closed),
        fault: None,
        logs: Vec::new(),
    };
    if !matches!(part.state, TaskState::Failed | TaskState::Canceled) {
        return Ok(part);
    }
    if let Some(host) = info.get("host_id").as_int() {
        let host = task.call("getHost", args!(host)).await?;
        part.host = host.get("name").as_str().map(str::to_owned);
    }
    if part.state == TaskState::Failed
        && let Err(crate::failure::Failure(fault, _)) = task.call("getTaskResult", args!(id)).await
    {
        part.fault = Some(fault.message.trim().to_owned());
    }
    let output = task.call("listTaskOutput", args!(id; "all_volumes" => true)).await?;
    for (name, volumes) in output.as_struct().into_iter().flat_map(Map::iter) {
        let volumes = volumes.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
        if name.ends_with(".log") {
            part.logs.extend(volumes.map(|volume| (volume.to_owned(), name.to_owned())));
        }
    }
    part.logs.sort();
    Ok(part)
}
