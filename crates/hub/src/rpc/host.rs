//! Builder hosts and the channels that they take tasks from.

mod channel;
mod subscribe;

use toji_api::host::*;
use toji_bus::Topic;
use toji_db::host::{self as rows, Config, Filter};
use toji_db::lookup::Names;
use toji_types::{UserStatus, UserType, arch};
use toji_value::{Fault, FromValue, Map, Value, map};

use super::user::create;
use crate::dispatch::Handle;
use crate::host::{self, Host};
use crate::{Call, check, task, user};

/// Tells others that a host or its channels changed.
fn tell(call: &mut Call, kind: &str, id: i64, name: &str) {
    call.signal(Topic::Scheduler);
    call.signal(Topic::HostOptions(id));
    call.emit(kind, &format!("host:{id}"), map! { "host_id" => id, "host" => name });
}

impl Handle for GetHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = crate::lookup::event(&self.event)?;
        match self.strict {
            true => Ok(host::need(call, &self.host_info, event).await?.shown.into()),
            false => {
                let found = host::find(call, &self.host_info, event).await?;
                Ok(found.map(|host| host.shown.into()).unwrap_or_default())
            }
        }
    }
}

impl Handle for ListHosts {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let arches = wanted_arches(&self.arches)?;
        let flag = |value: &Value| (!value.is_nil()).then(|| value.truthy());
        let mut filter = Filter {
            channel_id: None,
            ready: flag(&self.ready),
            enabled: flag(&self.enabled),
            user_id: None,
        };
        if !self.channel_id.is_nil() {
            filter.channel_id = Some(call.need(Names::Channels, &self.channel_id).await?.id);
        }
        if !self.user_id.is_nil() {
            filter.user_id = Some(user::need(call, &self.user_id).await?.id);
        }
        // A Koji hub takes `queryOpts` here and does nothing with them.
        let found = rows::list(&mut call.tx, &filter).await?;
        let fits = |host: &Map| match (&arches, host.str("arches")) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(own)) => {
                let mut own = own.split(|c: char| !c.is_alphanumeric() && c != '_');
                own.any(|arch| wanted.iter().any(|want| want == arch))
            }
        };
        let shown = found.into_iter().map(|row| row.into_map()).filter(fits);
        Ok(Value::Array(shown.map(Value::Struct).collect()))
    }
}

fn wanted_arches(value: &Value) -> Result<Option<Vec<String>>, Fault> {
    match value {
        Value::Nil => Ok(None),
        other if !other.truthy() => Err(Fault::generic("arches option cannot be empty")),
        Value::Array(items) => items
            .iter()
            .map(|item| Ok(check::text(item)?.to_owned()))
            .collect::<Result<_, _>>()
            .map(Some),
        one => Ok(Some(vec![check::text(one)?.to_owned()])),
    }
}

impl Handle for AddHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rules = call.names()?;
        rules.internal(&self.hostname)?;
        let name = rules.user(&self.hostname)?;
        let arches = match &self.arches {
            Value::Str(text) => arch::parse_stored_list(text).map(|list| list.join(" ")),
            other => {
                let list = Vec::<String>::from_value(other.clone())?.join(" ");
                arch::parse_stored_list(&list).map(|list| list.join(" "))
            }
        };
        let arches = arches.map_err(|error| Fault::generic(error.to_string()))?;
        if host::find(call, &self.hostname, None).await?.is_some() {
            return Err(Fault::generic(format!("host already exists: {name}")));
        }
        let default = toji_db::channel::by_name(&mut call.tx, "default").await?;
        let no_channel = || Fault::generic("query returned no rows");
        let channel: i64 = default.ok_or_else(no_channel)?.get("id")?;
        let principal = check::text_opt(&self.krb_principal)?.filter(|text| !text.is_empty());
        let user_id = host_user(call, name, principal, self.force).await?;
        let actor = call.actor()?;
        let id = rows::create(&mut call.tx, name, user_id).await?;
        let config = Config {
            arches: Some(arches),
            capacity: 2.0,
            description: None,
            comment: None,
            enabled: true,
        };
        rows::configure(&mut call.tx, id, &config, actor).await?;
        toji_db::channel::add_host(&mut call.tx, id, channel, actor).await?;
        tell(call, "host.add", id, name);
        Ok(id.into())
    }
}

/// The user of a new host: one that is there already (the host tried to log in), or a new one.
async fn host_user(
    call: &mut Call,
    name: &str,
    principal: Option<&str>,
    force: bool,
) -> Result<i64, Fault> {
    let mut info = map! { "name" => name };
    if let Some(principal) = principal {
        info.insert("krb_principal", principal);
    }
    if let Some(found) = user::find(call, &info.into()).await? {
        if found.usertype == i64::from(UserType::Host) {
            return Ok(found.id);
        }
        if !force || found.usertype != i64::from(UserType::Normal) {
            let text = format!("user {name} already exists and it is not a host");
            return Err(Fault::generic(text));
        }
        rows::adopt_user(&mut call.tx, found.id).await?;
        return Ok(found.id);
    }
    let made = call.hub.config.host_principal_format.as_ref().map(|f| f.replace("%s", name));
    let id = create(call, name, UserType::Host, UserStatus::Normal).await?;
    if let Some(principal) = principal.map(str::to_owned).or(made) {
        toji_db::user::add_principal(&mut call.tx, id, &principal).await?;
    }
    Ok(id)
}

impl Handle for EditHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let old = host::hold(call, &self.host_info).await?;
        let old = old.ok_or_else(|| host::missing(&self.host_info))?;
        let config = edited(&old, &self.kw)?;
        if config == old.config {
            return Ok(false.into());
        }
        let actor = call.actor()?;
        rows::configure(&mut call.tx, old.id, &config, actor).await?;
        tell(call, "host.edit", old.id, &old.name);
        Ok(true.into())
    }
}

/// The options of a host with a caller's changes put in.
fn edited(old: &Host, edits: &Map) -> Result<Config, Fault> {
    let mut config = old.config.clone();
    for (member, slot) in [
        ("arches", &mut config.arches),
        ("description", &mut config.description),
        ("comment", &mut config.comment),
    ] {
        let Some(value) = edits.get(member) else { continue };
        if value.as_str() != slot.as_deref() || value.is_nil() != slot.is_none() {
            *slot = Some(check::text(value)?.to_owned());
        }
    }
    if let Some(capacity) = edits.get("capacity") {
        config.capacity = f64::from_value(capacity.clone())?;
    }
    Ok(config)
}

impl Handle for EnableHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        set_enabled(call, &self.hostname, true).await
    }
}

impl Handle for DisableHost {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        set_enabled(call, &self.hostname, false).await
    }
}

async fn set_enabled(call: &mut Call, info: &Value, enabled: bool) -> Result<Value, Fault> {
    let old = existing(call, info).await?;
    let config = Config { enabled, ..old.config };
    let actor = call.actor()?;
    rows::configure(&mut call.tx, old.id, &config, actor).await?;
    tell(call, "host.edit", old.id, &old.name);
    Ok(Value::Nil)
}

/// The host that a caller wants to change, held until the end of the call.
async fn existing(call: &mut Call, info: &Value) -> Result<Host, Fault> {
    let missing = || Fault::generic(format!("host does not exist: {}", info.display()));
    host::hold(call, info).await?.ok_or_else(missing)
}

impl Handle for GetLastHostUpdate {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = crate::lookup::fit(i64::from_value(self.host_id)?);
        let row = rows::last_update(&mut call.tx, id).await?;
        let column = if self.ts { "ts" } else { "update_time" };
        Ok(row.map(|row| row.value(column).clone()).unwrap_or_default())
    }
}

impl Handle for GetAllArches {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let mut found: Vec<&str> = Vec::new();
        let texts = rows::all_arches(&mut call.tx).await?;
        for arch in texts.iter().flat_map(|text| text.split_whitespace()) {
            let arch = arch::canonical(arch);
            if !found.contains(&arch) {
                found.push(arch);
            }
        }
        Ok(Value::Array(found.into_iter().map(Value::from).collect()))
    }
}

impl Handle for RestartHosts {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let args = match self.options {
            Value::Nil => Vec::new(),
            options @ Value::Struct(_) => vec![options],
            other => {
                let text = format!("Invalid type of options: <class '{}'>", other.type_name());
                return Err(Fault::parameter(text));
            }
        };
        let priority = Some(i64::from_value(self.priority)?);
        let options = task::make::Options { priority, ..task::make::Options::default() };
        Ok(task::make::make(call, "restartHosts", args, options).await?.into())
    }
}
