//! Who is told of builds.

use toji_api::notification::*;
use toji_db::lookup::Names;
use toji_db::notification::{self, Kind};
use toji_db::{Param, Row};
use toji_value::{Fault, FromValue, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::user::{self, User};

async fn list(call: &mut Call, kind: Kind, user: &Value) -> Result<Value, Fault> {
    let found = user::need(call, user).await?;
    let rows = notification::of_user(&mut call.tx, kind, found.id).await?;
    Ok(Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect()))
}

impl Handle for GetBuildNotifications {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        list(call, Kind::Notification, &self.user_id).await
    }
}

impl Handle for GetBuildNotificationBlocks {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        list(call, Kind::Block, &self.user_id).await
    }
}

fn what(kind: Kind) -> &'static str {
    if kind == Kind::Block { "notification block" } else { "notification" }
}

async fn find(call: &mut Call, kind: Kind, id: &Value) -> Result<Option<Row>, Fault> {
    let id = fit(i64::from_value(id.clone())?);
    Ok(notification::find(&mut call.tx, kind, id).await?)
}

async fn need(call: &mut Call, kind: Kind, id: &Value) -> Result<Row, Fault> {
    let missing = || Fault::generic(format!("No {} with ID {} found", what(kind), id.display()));
    find(call, kind, id).await?.ok_or_else(missing)
}

async fn get(call: &mut Call, kind: Kind, id: &Value, strict: bool) -> Result<Value, Fault> {
    match strict {
        true => Ok(need(call, kind, id).await?.into_map().into()),
        false => Ok(find(call, kind, id).await?.map(|r| r.into_map().into()).unwrap_or_default()),
    }
}

impl Handle for GetBuildNotification {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        get(call, Kind::Notification, &self.id, self.strict).await
    }
}

impl Handle for GetBuildNotificationBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        get(call, Kind::Block, &self.id, self.strict).await
    }
}

fn not_logged_in() -> Fault {
    Fault::generic("Not logged-in")
}

/// What an entry is about.
struct About {
    package_id: Option<i64>,
    tag_id: Option<i64>,
    success_only: Option<bool>,
}

impl About {
    async fn read(
        call: &mut Call,
        package: &Value,
        tag: &Value,
        success_only: Option<&Value>,
    ) -> Result<About, Fault> {
        let mut about =
            About { package_id: None, tag_id: None, success_only: success_only.map(Value::truthy) };
        if !package.is_nil() {
            about.package_id = Some(call.need(Names::Package, package).await?.id);
        }
        if !tag.is_nil() {
            about.tag_id = Some(call.need(Names::Tag, tag).await?.id);
        }
        Ok(about)
    }

    fn columns(&self) -> Vec<(&'static str, Param)> {
        let mut columns =
            vec![("package_id", self.package_id.into()), ("tag_id", self.tag_id.into())];
        columns.extend(self.success_only.map(|flag| ("success_only", flag.into())));
        columns
    }

    /// Refuses an entry that the user has already.
    async fn refuse_known(&self, call: &mut Call, kind: Kind, user_id: i64) -> Result<(), Fault> {
        let same = |row: &Row| {
            row.value("package_id").as_int() == self.package_id
                && row.value("tag_id").as_int() == self.tag_id
                && row.value("success_only").as_bool() == self.success_only
        };
        // Nothing in the table keeps an entry from being there twice.
        toji_db::lookup::hold(&mut call.tx, Names::Users, user_id).await?;
        let present = notification::of_user(&mut call.tx, kind, user_id).await?;
        if present.iter().any(same) {
            return Err(Fault::generic("notification already exists"));
        }
        Ok(())
    }
}

/// The user that an entry is made for: the caller, or anybody for administrators.
async fn subject(call: &mut Call, kind: Kind, info: &Value) -> Result<User, Fault> {
    let session = call.session.as_ref().ok_or_else(not_logged_in)?;
    let (caller, name) = (session.user_id, session.user_name.clone());
    let missing = || Fault::generic(format!("No such user ID: {}", info.display()));
    let found = user::find(call, info).await?.ok_or_else(missing)?;
    if found.id != caller && !call.has_perm("admin").await? {
        let text = format!("user {name} cannot create {}s for user {}", what(kind), found.name);
        return Err(Fault::generic(text));
    }
    Ok(found)
}

impl Handle for CreateNotification {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let kind = Kind::Notification;
        let found = subject(call, kind, &self.user_id).await?;
        let flag = Some(&self.success_only);
        let about = About::read(call, &self.package_id, &self.tag_id, flag).await?;
        about.refuse_known(call, kind, found.id).await?;
        let email = format!("{}@{}", found.name, call.hub.config.email_domain);
        let mut columns = about.columns();
        columns.extend([("user_id", found.id.into()), ("email", email.into())]);
        notification::create(&mut call.tx, kind, &columns).await?;
        Ok(Value::Nil)
    }
}

impl Handle for CreateNotificationBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = subject(call, Kind::Block, &self.user_id).await?;
        let about = About::read(call, &self.package_id, &self.tag_id, None).await?;
        about.refuse_known(call, Kind::Block, found.id).await?;
        let mut columns = about.columns();
        columns.push(("user_id", found.id.into()));
        notification::create(&mut call.tx, Kind::Block, &columns).await?;
        Ok(Value::Nil)
    }
}

/// Refuses callers who are neither the entry's user nor administrators.
async fn demand_owner(call: &mut Call, kind: Kind, row: &Row, verb: &str) -> Result<(), Fault> {
    let caller = call.user_id().ok_or_else(not_logged_in)?;
    let owner: i64 = row.get("user_id")?;
    if owner != caller && !call.has_perm("admin").await? {
        let kind = what(kind);
        let text = format!("user {caller} cannot {verb} {kind}s for user {owner}");
        return Err(Fault::generic(text));
    }
    Ok(())
}

impl Handle for UpdateNotification {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let kind = Kind::Notification;
        call.user_id().ok_or_else(not_logged_in)?;
        let row = need(call, kind, &self.id).await?;
        demand_owner(call, kind, &row, "update").await?;
        let flag = Some(&self.success_only);
        let about = About::read(call, &self.package_id, &self.tag_id, flag).await?;
        about.refuse_known(call, kind, row.get("user_id")?).await?;
        notification::change(&mut call.tx, kind, row.get("id")?, &about.columns()).await?;
        Ok(Value::Nil)
    }
}

async fn delete(call: &mut Call, kind: Kind, id: &Value) -> Result<Value, Fault> {
    let row = need(call, kind, id).await?;
    demand_owner(call, kind, &row, "delete").await?;
    notification::delete(&mut call.tx, kind, row.get("id")?).await?;
    Ok(Value::Nil)
}

impl Handle for DeleteNotification {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        delete(call, Kind::Notification, &self.id).await
    }
}

impl Handle for DeleteNotificationBlock {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        delete(call, Kind::Block, &self.id).await
    }
}
