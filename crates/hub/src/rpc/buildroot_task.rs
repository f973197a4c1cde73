//! Submission of tasks that work in a buildroot for its own sake.

use toji_api::buildroot_task::*;
use toji_db::buildroot as db;
use toji_db::host::Filter;
use toji_db::lookup::Names;
use toji_db::tag::Key;
use toji_types::TaskState;
use toji_types::arch::{canonical, parse_stored_list};
use toji_value::{Args, Fault, Map, Value, map};

use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::tag::{self, Tag, When};
use crate::task::make;
use crate::{Call, policy};

/// Where commands run that name no channel.
const CHANNEL: &str = "runroot";

impl Handle for Runroot {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let arch = arches(&self.arch)?;
        if !matches!(self.command, Value::Str(_) | Value::Array(_)) {
            let (shown, kind) = (self.command.display(), self.command.type_name());
            let text = format!("Invalid type for value '{shown}': <class '{kind}'>");
            return Err(Fault::generic(text));
        }
        let channel = match self.channel.truthy() {
            true => self.channel,
            false => CHANNEL.into(),
        };
        let tag = tag::need(call, &self.tag_info, When::Now).await?;
        let task_arch = match arch.as_str() {
            "noarch" => some_arch(call, &tag, &self.tag_info, &channel).await?,
            arch => arch.to_owned(),
        };
        let positional = vec![self.tag_info, arch.into(), self.command];
        let args = Args { positional, keywords: self.opts }.encode();
        let options = make::Options {
            priority: Some(15),
            arch: Some(task_arch),
            channel: Some(channel),
            ..make::Options::default()
        };
        make::make(call, "runroot", args, options).await
    }
}

/// Arches as they are stored: separated by spaces.
fn arches(value: &Value) -> Result<String, Fault> {
    let text = match value {
        Value::Str(text) => text.clone(),
        Value::Array(items) => items.iter().map(Value::display).collect::<Vec<_>>().join(" "),
        other => {
            let kind = other.type_name();
            // A Koji hub's own error (code 1).
            return Err(Fault::unexpected(format!("arches are a text or a list, not {kind}")));
        }
    };
    let wrong = |_| Fault::generic("Architecture can be only [a-zA-Z0-9_-]");
    Ok(parse_stored_list(&text).map_err(wrong)?.join(" "))
}

/// The arch of the task that a command for every arch becomes: not every arch has a buildroot for
/// every tag.
async fn some_arch(
    call: &mut Call,
    tag: &Tag,
    info: &Value,
    channel: &Value,
) -> Result<String, Fault> {
    let own = tag.config.arches.clone().unwrap_or_default();
    if own.is_empty() {
        return Err(Fault::generic(format!("no arches defined for tag {}", tag.name)));
    }
    let own: Vec<&str> = own.split_whitespace().collect();
    let all = toji_db::host::all_arches(&mut call.tx).await?;
    let mut all = all.iter().flat_map(|text| text.split_whitespace()).map(canonical);
    if all.all(|arch| own.contains(&arch)) {
        return Ok("noarch".to_owned());
    }
    let shown = channel.display();
    let missing = || Fault::from(toji_db::Error::NoRows);
    let found = call.find(Names::Channels, channel).await?.ok_or_else(missing)?;
    let filter =
        Filter { channel_id: Some(found.id), enabled: Some(true), ready: None, user_id: None };
    let mut offered: Vec<String> = Vec::new();
    for row in toji_db::host::list(&mut call.tx, &filter).await? {
        let arches: Option<String> = row.get("arches")?;
        let arches = arches.unwrap_or_default();
        offered.extend(arches.split_whitespace().map(|arch| canonical(arch).to_owned()));
    }
    let choices: Vec<&str> =
        own.into_iter().filter(|arch| offered.iter().any(|other| other == arch)).collect();
    if choices.is_empty() {
        let text = format!("no common arches for tag/channel: {}/{shown}", info.display());
        return Err(Fault::generic(text));
    }
    // Any will do; the choice is spread over the requests.
    let mut byte = [0];
    call.hub.random.fill(&mut byte);
    Ok(canonical(choices[usize::from(byte[0]) % choices.len()]).to_owned())
}

impl Handle for SaveFailedTree {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let id = crate::check::whole(&self.buildroot_id)?;
        let missing = || {
            let file = "/etc/koji-hub/plugins/save_failed_tree.conf";
            Fault::configuration(format!("Config file {file} can't be opened."))
        };
        let allowed = call.hub.config.save_failed_tree.clone().ok_or_else(missing)?;
        let row = db::lock(&mut call.tx, fit(id)).await?;
        let root = row.ok_or_else(|| Fault::generic(format!("No such buildroot: {id}")))?;
        let task_id: Option<i64> = root.get("task_id")?;
        let gone = || Fault::generic("query returned no rows");
        let task_id = task_id.ok_or_else(gone)?;
        let task = toji_db::task::get(&mut call.tx, task_id).await?.ok_or_else(gone)?;
        check_task(call, task_id, &task, &allowed).await?;
        let host: Option<i64> = root.get("host_id")?;
        let keywords: Map = self.opts;
        let args = Args { positional: vec![Value::Int(id), self.full.truthy().into()], keywords };
        let options = make::Options { assign: host, ..make::Options::default() };
        make::make(call, "saveFailedTree", args.encode(), options).await
    }
}

impl Handle for RunInFailedTree {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let id = fit(self.buildroot_id);
        let user = call.login()?.user_id;
        let row = db::lock(&mut call.tx, id).await?;
        let root = row.ok_or_else(|| Fault::generic(format!("No such buildroot: {id}")))?;
        let (task_id, tag): (Option<i64>, Option<i64>) =
            (root.get("task_id")?, root.get("tag_id")?);
        let gone = || Fault::generic(format!("buildroot {id} is of no task"));
        let task_id = task_id.ok_or_else(gone)?;
        let task = toji_db::task::get(&mut call.tx, task_id).await?.ok_or_else(gone)?;
        if task.get::<i64>("state")? != TaskState::Failed.number() {
            return Err(Fault::generic(format!("task {task_id} of buildroot {id} has not failed")));
        }
        let (method, owner): (String, Option<i64>) = (task.get("method")?, task.get("owner")?);
        let facts = map! {
            "user_id" => user, "own_task" => owner == Some(user), "method" => method,
            "build_tag" => tag,
        };
        call.assert_policy("failed_tree", &policy::data(&facts.into())?, false).await?;
        let assign = root.get("host_id")?;
        check_host(call, assign).await?;
        let args = vec![id.into(), self.command.into(), self.cwd.map_or(Value::Nil, Value::from)];
        let options = make::Options { assign, ..make::Options::default() };
        make::make(call, "runInFailedTree", args, options).await
    }
}

/// Refuses buildroots of tasks that have not failed, of other methods, and of other people.
async fn check_task(
    call: &mut Call,
    id: i64,
    task: &toji_db::Row,
    allowed: &[String],
) -> Result<(), Fault> {
    if task.get::<i64>("state")? != TaskState::Failed.number() {
        return Err(Fault::pre_build(format!(
            "Task {id} has not failed. Only failed tasks can upload their buildroots."
        )));
    }
    let method: String = task.get("method")?;
    if allowed != ["*"] && !allowed.contains(&method) {
        let names = allowed.join(", ");
        return Err(Fault::pre_build(format!(
            "Only {names} tasks can upload their buildroots (Task {id} is {method})."
        )));
    }
    let owner: Option<i64> = task.get("owner")?;
    if (call.user_id().is_none() || owner != call.user_id()) && !call.has_perm("admin").await? {
        let text = "Only owner of failed task or 'admin' can run this task.";
        return Err(Fault::not_allowed(text));
    }
    check_host(call, task.get("host_id")?).await
}

/// Refuses work for a host that takes none.
async fn check_host(call: &mut Call, host: Option<i64>) -> Result<(), Fault> {
    let found = toji_db::host::find(&mut call.tx, &Key::Id(host.unwrap_or(-1)), None).await?;
    let enabled = found.is_some_and(|host| host.value("enabled").truthy());
    match enabled {
        true => Ok(()),
        false => Err(Fault::pre_build("Host is disabled.")),
    }
}
