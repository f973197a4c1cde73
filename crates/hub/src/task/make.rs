//! The making of tasks: defaults from the parent, channel and priority by policy.

use toji_bus::Topic;
use toji_db::task as db;
use toji_policy::{ChannelAction, PriorityAction};
use toji_types::{TaskState, arch};
use toji_value::{Fault, FromValue, Map, Value, map};

use super::{params, text};
use crate::Call;

/// The priority of tasks for which none is asked; lower goes first.
pub const DEFAULT_PRIORITY: i64 = 20;

/// What a new task may be given beside its method and arguments.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The task that waits for it.
    pub parent: Option<i64>,
    /// Names it among its siblings.
    pub label: Option<String>,
    /// The user it belongs to; the caller if not given.
    pub owner: Option<i64>,
    /// Name or number of the channel that is asked for.
    pub channel: Option<Value>,
    /// What it runs on; `noarch` runs anywhere.
    pub arch: Option<String>,
    /// Lower goes first.
    pub priority: Option<i64>,
    /// The host that it is given to at once.
    pub assign: Option<i64>,
}

impl Options {
    /// Options as callers name them; others are ignored, as a Koji hub ignores them.
    ///
    /// # Errors
    /// `ParameterError` for a value of a wrong type, a generic fault for an unknown host.
    pub async fn from_map(call: &mut Call, mut map: Map) -> Result<Self, Fault> {
        let arch: Option<String> = take(&mut map, "arch")?;
        let arch = arch.map(|a| stored_arches(&a)).transpose()?;
        let assign = match map.remove("assign") {
            None | Some(Value::Nil) => None,
            Some(Value::Int(id)) => Some(id),
            Some(other) => Some(host_named(call, &other).await?),
        };
        Ok(Options {
            parent: take(&mut map, "parent")?,
            label: take(&mut map, "label")?,
            owner: None,
            channel: map.remove("channel").filter(|c| !c.is_nil()),
            arch,
            priority: take(&mut map, "priority")?,
            assign,
        })
    }
}

fn take<T: FromValue>(map: &mut Map, key: &str) -> Result<Option<T>, Fault> {
    Option::<T>::from_value(map.remove(key).unwrap_or_default())
}

fn stored_arches(text: &str) -> Result<String, Fault> {
    let list = arch::parse_stored_list(text).map_err(|e| Fault::generic(e.to_string()))?;
    Ok(list.join(" "))
}

async fn host_named(call: &mut Call, name: &Value) -> Result<i64, Fault> {
    let text = name.as_str().unwrap_or_default();
    let found = db::host_by_name(&mut call.tx, text).await?;
    found.ok_or_else(|| Fault::generic(format!("Invalid hostInfo: {}", name.display())))
}

/// What a subtask takes from its parent.
struct Parent {
    owner: i64,
    channel_id: i64,
    priority: i64,
    arch: String,
}

/// Makes a task and returns its number.
///
/// # Errors
/// When the parent is not open, the channel is unknown or disabled, or a policy is wrong.
pub async fn make(
    call: &mut Call,
    method: &str,
    args: Vec<Value>,
    options: Options,
) -> Result<i64, Fault> {
    let parent = match options.parent {
        Some(id) => Some(open_parent(call, id).await?),
        None => None,
    };
    let owner = options.owner.or(parent.as_ref().map(|p| p.owner)).or(call.user_id());
    let owner = owner.ok_or_else(|| Fault::generic("task must have an owner"))?;
    let inherited = parent.as_ref().map_or(DEFAULT_PRIORITY, |p| p.priority - 1);
    let priority = options.priority.unwrap_or(inherited);
    let inherited = || parent.as_ref().map_or_else(|| "noarch".to_owned(), |p| p.arch.clone());
    let arch = options.arch.clone().unwrap_or_else(inherited);
    let label = options.label.clone().filter(|_| parent.is_some());
    let mut values = policy_values(call, method, &args).await?;
    values.extend(map! {
        "method" => method, "arch" => &arch, "parent" => options.parent, "label" => label.clone(),
        "owner" => owner, "user_id" => owner,
    });
    let channel_id = channel(call, &mut values, options.channel.as_ref(), parent.as_ref()).await?;
    let priority = match action(call, "priority", &values).await? {
        None => priority,
        Some(action) => PriorityAction::parse(&action)
            .map(|action| action.apply(priority))
            .ok_or_else(|| Fault::generic("invalid priority policy"))?,
    };
    let request = text::write_request(method, &args);
    let state = if options.assign.is_some() { TaskState::Assigned } else { TaskState::Free };
    let new = db::New {
        state,
        host_id: options.assign,
        owner,
        method,
        request: &request,
        priority,
        parent: options.parent,
        label: label.as_deref(),
        channel_id,
        arch: &arch,
    };
    let mut info = map! {
        "method" => method, "request" => &request, "state" => TaskState::Free.number(),
        "owner" => owner, "priority" => priority, "parent" => options.parent,
        "label" => label.clone(), "channel_id" => channel_id, "arch" => &arch,
        "assign" => options.assign,
    };
    let told = |info: Map| {
        map! { "attribute" => "state", "old" => Value::Nil, "new" => "FREE", "info" => info }
    };
    call.callback("preTaskStateChange", || told(info.clone())).await?;
    let id = db::insert(&mut call.tx, &new).await?;
    info.insert("id", id);
    call.callback("postTaskStateChange", || told(info)).await?;
    if arch == "noarch"
        && let Some(named) = params::named(method, &args)
    {
        crate::scheduler::arch::refuse(call, id, channel_id, method, &named).await?;
    }
    let body = map! {
        "id" => id, "old" => Value::Nil, "new" => state.name(), "method" => method,
        "owner" => owner, "parent" => options.parent, "host_id" => options.assign,
        "arch" => &arch, "channel_id" => channel_id, "label" => label,
        "hosts" => options.assign.into_iter().collect::<Vec<i64>>(),
    };
    call.emit("task.state", &format!("task:{id}"), body);
    call.signal(Topic::Scheduler);
    if let Some(host) = options.assign {
        call.signal(Topic::Host(host));
    }
    Ok(id)
}

async fn open_parent(call: &mut Call, id: i64) -> Result<Parent, Fault> {
    let row = db::parent(&mut call.tx, id).await?;
    let row = row.ok_or_else(|| Fault::generic(format!("Invalid parent task: {id}")))?;
    if row.get::<i64>("state")? != TaskState::Open.number() {
        return Err(Fault::generic(format!("Parent task (id {id}) is not open")));
    }
    Ok(Parent {
        owner: row.get("owner")?,
        channel_id: row.get("channel_id")?,
        priority: row.get::<Option<i64>>("priority")?.unwrap_or(DEFAULT_PRIORITY),
        arch: row.get("arch")?,
    })
}

/// What a policy answers, nothing where no rule matches.
async fn action(call: &mut Call, name: &str, values: &Map) -> Result<Option<String>, Fault> {
    let data = crate::policy::data(&values.clone().into())?;
    let outcome = call.evaluate(name, &data).await?;
    Ok(outcome.and_then(|outcome| outcome.action().map(str::to_owned)))
}

/// The channel that the policy gives.
async fn channel(
    call: &mut Call,
    values: &mut Map,
    requested: Option<&Value>,
    parent: Option<&Parent>,
) -> Result<i64, Fault> {
    let mut requested_id = None;
    if let Some(name) = requested {
        requested_id = Some(enabled_channel(call, name).await?);
        values.insert("req_channel", name);
    }
    let Some(action) = action(call, "channel", values).await? else {
        return enabled_channel(call, &"default".into()).await;
    };
    let wrong = || Fault::generic("invalid channel policy");
    match ChannelAction::parse(&action).ok_or_else(wrong)? {
        ChannelAction::Use(name) => enabled_channel(call, &name.into()).await,
        ChannelAction::Parent => parent.map(|p| p.channel_id).ok_or_else(wrong),
        ChannelAction::Requested => requested_id.ok_or_else(wrong),
    }
}

async fn enabled_channel(call: &mut Call, name: &Value) -> Result<i64, Fault> {
    let row = match name {
        Value::Int(id) => db::channel(&mut call.tx, Some(*id), None).await?,
        other => db::channel(&mut call.tx, None, other.as_str()).await?,
    };
    let shown = name.display();
    let row = row.ok_or_else(|| Fault::generic(format!("No such channel: {shown}")))?;
    if !row.get::<bool>("enabled")? {
        return Err(Fault::generic(format!("Channel {shown} is disabled.")));
    }
    Ok(row.get("id")?)
}

/// What policies may know of a task from its arguments: source, target, tags, scratch.
///
/// # Errors
/// When the database fails.
pub async fn policy_values(call: &mut Call, method: &str, args: &[Value]) -> Result<Map, Fault> {
    let mut values = Map::new();
    let Some(mut known) = params::named(method, args) else { return Ok(values) };
    if method == "indirectionimage"
        && let Some(Value::Struct(opts)) = known.remove("opts")
    {
        known = opts.clone();
        known.insert("opts", Value::Struct(opts));
    }
    let source = ["src", "spec_url", "url"].iter().find_map(|k| known.get(k));
    if let Some(source) = source.filter(|_| method != "newRepo") {
        values.insert("source", source);
    }
    let target = ["target", "build_target", "target_info"].iter().find_map(|k| known.get(k));
    if let Some(target) = target {
        let name = if target.as_struct().is_some() { target.get("name") } else { target };
        let found = db::target_name(&mut call.tx, name.as_int(), name.as_str()).await?;
        values.insert("target", found);
    }
    let tag = ["tag", "tag_id", "tag_info"].iter().find_map(|k| known.get(k));
    for (key, tag) in [("tag", tag), ("build_tag", known.get("build_tag"))] {
        let Some(tag) = tag else { continue };
        let name = if tag.as_struct().is_some() { tag.get("name") } else { tag };
        if let Some(name) = db::tag_name(&mut call.tx, name.as_int(), name.as_str()).await? {
            values.insert(key, name);
        }
    }
    if let Some(scratch) = known.value("opts").as_struct().and_then(|o| o.get("scratch")) {
        values.insert("scratch", scratch);
    }
    Ok(values)
}
