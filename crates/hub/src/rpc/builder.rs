//! Enrolment of builders, their credentials, and the end of them.

mod work;

use toji_api::builder::*;
use toji_bus::Topic;
use toji_db::builder as db;
use toji_db::host::{self as hosts, Config};
use toji_types::{TaskState, UserStatus, UserType, arch};
use toji_value::{Fault, FromValue, Value, map};

use super::user::create;
use crate::builder::{digest, in_future, issue, new_token};
use crate::dispatch::Handle;
use crate::host::{self, Host};
use crate::scheduler::LOCK;
use crate::task::{Locked, transition};
use crate::{Call, user};

/// The longest time for which a token for enrolment is good, in seconds: a year.
const LONGEST: i64 = 365 * 86_400;

impl Handle for CreateBuilderToken {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let arches = words(&self.arches)?;
        if arches.is_empty() {
            return Err(Fault::parameter("a builder needs at least one arch"));
        }
        let arches = arches.join(" ");
        let arches = arch::parse_stored_list(&arches);
        let arches = arches.map_err(|error| Fault::parameter(error.to_string()))?.join(" ");
        let mut channels = words(&self.channels)?;
        if channels.is_empty() {
            channels.push("default".to_owned());
        }
        for name in &channels {
            channel(call, name).await?;
        }
        if !(1..=LONGEST).contains(&self.expires) {
            let text = format!("expires is a number of seconds from 1 to {LONGEST}");
            return Err(Fault::parameter(text));
        }
        let capacity = self.capacity.unwrap_or(2.0);
        if !(capacity.is_finite() && capacity > 0.0) {
            return Err(Fault::parameter("the capacity is a number above 0"));
        }
        if let Some(name) = &self.name {
            call.names()?.internal(&Value::from(name))?;
        }
        let by = call.login()?.user_id;
        let token = new_token(call);
        #[expect(clippy::cast_precision_loss, reason = "at most a year in seconds")]
        let expires = in_future(call, self.expires as f64).await?;
        let offer = db::Offer { name: self.name, arches, channels: channels.join(" "), capacity };
        let id = db::add_token(&mut call.tx, &digest(&token), by, expires, &offer).await?;
        Ok(map! { "id" => id, "token" => token, "expire_ts" => expires.epoch() }.into())
    }
}

/// A list of words, or words in one text.
fn words(value: &Value) -> Result<Vec<String>, Fault> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Str(text) => {
            Ok(text.split([' ', ',']).filter(|w| !w.is_empty()).map(str::to_owned).collect())
        }
        list => Vec::<String>::from_value(list.clone()),
    }
}

async fn channel(call: &mut Call, name: &str) -> Result<i64, Fault> {
    let found = toji_db::channel::by_name(&mut call.tx, name).await?;
    let missing = || Fault::generic(format!("No such channel: {name}"));
    Ok(found.ok_or_else(missing)?.get("id")?)
}

impl Handle for ListBuilderTokens {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let rows = db::tokens(&mut call.tx).await?;
        Ok(Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect()))
    }
}

impl Handle for DropBuilderToken {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        Ok(db::drop_token(&mut call.tx, crate::lookup::fit(self.id)).await?)
    }
}

impl Handle for HostEnrol {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = db::use_token(&mut call.tx, &digest(&self.token)).await?;
        let unknown = || Fault::auth("the token is unknown, used up or out of date");
        let (token, offer, by) = found.ok_or_else(unknown)?;
        let rules = call.names()?;
        rules.internal(&self.name)?;
        let name = rules.user(&self.name)?;
        if offer.name.as_ref().is_some_and(|wanted| wanted != name) {
            return Err(Fault::auth("the token is for a host of another name"));
        }
        if offer.name.is_some() {
            call.tx.lock(LOCK).await?;
        }
        let (host_id, user_id) = match host::hold(call, &self.name).await? {
            None => made(call, name).await?,
            // Only a token for this very host may take it over.
            Some(known) if offer.name.is_some() => renewed(call, &known).await?,
            Some(_) => return Err(Fault::generic(format!("host already exists: {name}"))),
        };
        let config = Config {
            arches: Some(offer.arches),
            capacity: offer.capacity,
            description: None,
            comment: None,
            enabled: true,
        };
        hosts::configure(&mut call.tx, host_id, &config, by).await?;
        let known = toji_db::channel::of_host(&mut call.tx, host_id, None, None).await?;
        for name in offer.channels.split_whitespace() {
            let id = channel(call, name).await?;
            if !known.iter().any(|row| row.value("id").as_int() == Some(id)) {
                toji_db::channel::add_host(&mut call.tx, host_id, id, by).await?;
            }
        }
        db::set_token_host(&mut call.tx, token, host_id).await?;
        let mut answer = issue(call, user_id).await?;
        answer.insert("name", name);
        answer.insert("host_id", host_id);
        call.signal(Topic::Scheduler);
        let about = map! { "host_id" => host_id, "host" => name };
        call.emit("host.enrol", &format!("host:{host_id}"), about);
        Ok(answer.into())
    }
}

/// A new host with its user.
async fn made(call: &mut Call, name: &str) -> Result<(i64, i64), Fault> {
    if user::find(call, &map! { "name" => name }.into()).await?.is_some() {
        return Err(Fault::generic(format!("user {name} already exists")));
    }
    let user_id = create(call, name, UserType::Host, UserStatus::Normal).await?;
    Ok((hosts::create(&mut call.tx, name, user_id).await?, user_id))
}

/// A known host that begins anew: what it had before is worth nothing any more.
async fn renewed(call: &mut Call, host: &Host) -> Result<(i64, i64), Fault> {
    shut_out(call, host, UserStatus::Normal).await?;
    Ok((host.id, host.user_id))
}

impl Handle for HostRenewCredential {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let user_id = call.login()?.user_id;
        Ok(issue(call, user_id).await?.into())
    }
}

impl Handle for RevokeBuilder {
    async fn handle(self, call: &mut Call) -> Result<Vec<i64>, Fault> {
        // Before the host itself, as the scheduler does: nothing is assigned meanwhile.
        call.tx.lock(LOCK).await?;
        let host = host::hold(call, &self.host_info).await?;
        let host = host.ok_or_else(|| host::missing(&self.host_info))?;
        let by = call.actor()?;
        let tasks = shut_out(call, &host, UserStatus::Blocked).await?;
        if self.remove {
            let config = Config { enabled: false, ..host.config.clone() };
            hosts::configure(&mut call.tx, host.id, &config, by).await?;
            for row in toji_db::channel::of_host(&mut call.tx, host.id, None, None).await? {
                let channel: i64 = row.get("id")?;
                toji_db::channel::remove_host(&mut call.tx, host.id, channel, by).await?;
            }
        }
        Ok(tasks)
    }
}

/// Ends credentials, sessions and connections of a host, and frees its tasks; returns their numbers.
///
/// The caller has the scheduler's lock. What a call of the host's that is under way opens is either seen here, or that
/// call sees the user's new status: [`crate::task::claim::suits`] waits for it.
async fn shut_out(call: &mut Call, host: &Host, status: UserStatus) -> Result<Vec<i64>, Fault> {
    toji_db::user::set_status(&mut call.tx, host.user_id, i64::from(status)).await?;
    db::drop_credentials(&mut call.tx, host.user_id).await?;
    toji_db::session::close_all(&mut call.tx, host.user_id).await?;
    let held = [TaskState::Open as i64, TaskState::Assigned as i64];
    let ids = db::tasks_of(&mut call.tx, host.id, &held).await?;
    let mut freed = Vec::new();
    for row in toji_db::task::lock_all(&mut call.tx, &ids).await? {
        let task = Locked::from_row(&row)?;
        if task.host_id != Some(host.id) || task.state.is_finished() {
            continue;
        }
        let text = "Freeing task of a revoked builder";
        toji_db::task::log(&mut call.tx, text, Some(task.id), Some(host.id)).await?;
        transition::free(call, &task).await?;
        freed.push(task.id);
    }
    db::set_not_ready(&mut call.tx, host.id).await?;
    call.signal(Topic::Scheduler);
    call.signal(Topic::Revoked(host.id));
    let about = map! { "host_id" => host.id, "host" => &host.name };
    call.emit("host.revoke", &format!("host:{}", host.id), about);
    Ok(freed)
}
