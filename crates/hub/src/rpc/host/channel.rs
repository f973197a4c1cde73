//! Channels.

use toji_api::host::*;
use toji_bus::Topic;
use toji_db::lookup::Names;
use toji_db::{Param, Row, channel};
use toji_value::{Fault, Map, Value, map};

use crate::dispatch::Handle;
use crate::lookup::Info;
use crate::{Call, check, host};

/// The channel that a caller names, or nothing.
pub(super) async fn find(call: &mut Call, info: &Value) -> Result<Option<Row>, Fault> {
    Ok(match Info::of(info)? {
        Info::Id(id) => channel::by_id(&mut call.tx, id).await?,
        Info::Name(name) => channel::by_name(&mut call.tx, &name).await?,
    })
}

/// The channel that a caller wants to change, held until the end of the call; or nothing.
async fn hold(call: &mut Call, info: &Value) -> Result<Option<Row>, Fault> {
    match call.hold(Names::Channels, info).await? {
        Some(entry) => Ok(channel::by_id(&mut call.tx, entry.id).await?),
        None => Ok(None),
    }
}

fn no_rows() -> Fault {
    Fault::generic("query returned no rows")
}

fn tell(call: &mut Call, kind: &str, id: i64) {
    call.signal(Topic::Scheduler);
    call.emit(kind, &format!("channel:{id}"), map! { "channel_id" => id });
}

impl Handle for ListChannels {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let enabled = (!self.enabled.is_nil()).then(|| self.enabled.truthy());
        let rows = if self.host_id.truthy() {
            let host_id = match &self.host_id {
                Value::Int(id) => crate::lookup::fit(*id),
                info => host::need(call, info, None).await?.id,
            };
            let event = crate::lookup::event(&self.event)?;
            channel::of_host(&mut call.tx, host_id, event, enabled).await?
        } else if self.event.truthy() {
            let text = "list_channels with event and not host is not allowed.";
            return Err(Fault::generic(text));
        } else {
            channel::list(&mut call.tx, enabled).await?
        };
        Ok(Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

impl Handle for GetChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        match find(call, &self.channel_info).await? {
            Some(row) => Ok(row.into_map().into()),
            None if self.strict => Err(no_rows()),
            None => Ok(Value::Nil),
        }
    }
}

async fn refuse_known(call: &mut Call, name: &str) -> Result<(), Fault> {
    let Some(row) = channel::by_name(&mut call.tx, name).await? else { return Ok(()) };
    let id: i64 = row.get("id")?;
    Err(Fault::generic(format!("channel {name} already exists (id={id})")))
}

impl Handle for AddChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        let name = rules.internal(&self.channel_name)?;
        let description = match &self.description {
            Value::Nil => None,
            other => Some(other.display()),
        };
        refuse_known(call, name).await?;
        let id = channel::create(&mut call.tx, name, description).await?;
        tell(call, "channel.add", id);
        Ok(id.into())
    }
}

impl Handle for EditChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit(call, &self.channel_info, &self.kw).await
    }
}

impl Handle for RenameChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        edit(call, &self.old, &map! { "name" => self.new }).await?;
        Ok(Value::Nil)
    }
}

async fn edit(call: &mut Call, info: &Value, edits: &Map) -> Result<Value, Fault> {
    let row = hold(call, info).await?.ok_or_else(no_rows)?;
    let mut set: Vec<(&'static str, Param)> = Vec::new();
    for field in ["description", "comment", "name"] {
        let Some(value) = edits.get(field).filter(|value| *value != row.value(field)) else {
            continue;
        };
        set.push((field, Param::scalar(value)));
    }
    if set.is_empty() {
        return Ok(false.into());
    }
    if let Some(name) = edits.get("name") {
        let rules = call.names()?;
        refuse_known(call, rules.internal(name)?).await?;
    }
    for field in ["description", "comment"] {
        edits.get(field).map(check::text).transpose()?;
    }
    let id: i64 = row.get("id")?;
    channel::update(&mut call.tx, id, &set).await?;
    tell(call, "channel.edit", id);
    Ok(true.into())
}

impl Handle for EnableChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        set_enabled(call, &self.channelname, true, &self.comment).await
    }
}

impl Handle for DisableChannel {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        set_enabled(call, &self.channelname, false, &self.comment).await
    }
}

async fn set_enabled(
    call: &mut Call,
    info: &Value,
    enabled: bool,
    comment: &Value,
) -> Result<Value, Fault> {
    let comment = check::text_opt(comment)?;
    let missing = || Fault::generic(format!("No such channel: {}", info.display()));
    let id: i64 = hold(call, info).await?.ok_or_else(missing)?.get("id")?;
    let mut set = vec![("enabled", Param::Bool(enabled))];
    set.extend(comment.map(|text| ("comment", Param::from(text))));
    channel::update(&mut call.tx, id, &set).await?;
    tell(call, "channel.edit", id);
    Ok(Value::Nil)
}
