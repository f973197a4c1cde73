//! Logins and sessions.

use toji_api::session::*;
use toji_value::{Fault, FromValue, IntoValue, Value};

use crate::dispatch::Handle;
use crate::session::{start, verified};
use crate::{Call, session};

impl Handle for Login {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let mut args = self.args.into_iter();
        let mut named = self.opts;
        let mut take = |name: &str| args.next().or_else(|| named.remove(name));
        let (user, password) = match (take("user"), take("password")) {
            (Some(user), Some(password)) => (user, password),
            _ => return Err(Fault::parameter("login needs a user name and a password")),
        };
        let _options = take("opts");
        let renew = take("renew").is_some_and(|v| v.truthy());
        let exclusive = take("exclusive").is_some_and(|v| v.truthy());
        let (Value::Str(user), Value::Str(password)) = (user, password) else {
            return Err(Fault::auth("invalid username or password"));
        };
        let (user_id, session) = start::by_password(call, &user, &password, renew).await?;
        logged_in(call, user_id, session.map_or(Value::Nil, Value::Struct), exclusive).await
    }
}

impl Handle for SslLogin {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let (wishes, exclusive) = verified::wishes(self.args, self.opts)?;
        let (user_id, session) = verified::log_in(call, wishes).await?;
        logged_in(call, user_id, session, exclusive).await
    }
}

/// Makes a new session exclusive if that is wanted.
async fn logged_in(
    call: &mut Call,
    user_id: i64,
    session: Value,
    exclusive: bool,
) -> Result<Value, Fault> {
    if let (true, Some(id)) = (exclusive, session.get("session-id").as_int()) {
        make_exclusive(call, id, user_id, false).await?;
    }
    Ok(session)
}

impl Handle for Logout {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let (own, user_id) = own_session(call)?;
        let id = self.session_id.filter(|id| *id != 0).unwrap_or(own);
        let may = id == own
            || call.has_perm("admin").await?
            || toji_db::session::belongs_to(&mut call.tx, id, user_id).await?;
        if !may {
            return Err(toji_db::Error::NoRows.into());
        }
        toji_db::session::close(&mut call.tx, id).await?;
        Ok(Value::Nil)
    }
}

impl Handle for LogoutChild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let (own, _) = own_session(call)?;
        toji_db::session::close_child(&mut call.tx, self.session_id, own).await?;
        Ok(Value::Nil)
    }
}

impl Handle for Subsession {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let (own, user_id) = own_session(call)?;
        let (master, authtype) = match &call.session {
            Some(session) => (session.master.unwrap_or(own), session.authtype),
            None => (own, 0),
        };
        let session = start::create(call, user_id, authtype, Some(master), false).await?;
        Ok(session.map_or(Value::Nil, Value::Struct))
    }
}

impl Handle for ExclusiveSession {
    async fn handle(mut self, call: &mut Call) -> Result<Value, Fault> {
        // An anonymous caller has no session that could be exclusive; Koji's clients rely on the
        // quiet answer when they probe.
        let Some(session) = &call.session else { return Ok(Value::Nil) };
        if session.master.is_some() {
            return Err(Fault::generic("subsessions cannot become exclusive"));
        }
        if session.exclusive {
            return Err(Fault::generic("session is already exclusive"));
        }
        let (id, user_id) = (session.id, session.user_id);
        let force = self.args.into_iter().next().or_else(|| self.opts.remove("force"));
        make_exclusive(call, id, user_id, force.is_some_and(|v| v.truthy())).await?;
        Ok(Value::Nil)
    }
}

async fn make_exclusive(call: &mut Call, id: i64, user_id: i64, force: bool) -> Result<(), Fault> {
    let holder = toji_db::session::exclusive_holder(&mut call.tx, user_id).await?;
    // A renewed session may hold the lock already.
    if let Some(holder) = holder.filter(|holder| *holder != id) {
        if !force {
            return Err(Fault::auth_lock("Cannot get exclusive session"));
        }
        toji_db::session::close(&mut call.tx, holder).await?;
    }
    toji_db::session::set_exclusive(&mut call.tx, id, true).await?;
    Ok(())
}

impl Handle for SharedSession {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        // Nothing to give up; Koji's clients do this on their way out.
        let Some(own) = call.session.as_ref().map(|s| s.id) else { return Ok(Value::Nil) };
        toji_db::session::set_exclusive(&mut call.tx, own, false).await?;
        Ok(Value::Nil)
    }
}

/// Number and user of the caller's session.
fn own_session(call: &Call) -> Result<(i64, i64), Fault> {
    let session = call.session.as_ref().ok_or_else(|| Fault::auth("Not logged in"))?;
    Ok((session.id, session.user_id))
}

impl Handle for ShowSession {
    async fn handle(self, call: &mut Call) -> Result<String, Fault> {
        Ok(match &call.session {
            None => "session: not logged in (no Koji-Session-* headers)".to_owned(),
            Some(s) => format!(
                "session {}: user {} (id {}), authtype {}, master {}, exclusive {}",
                s.id,
                s.user_name,
                s.user_id,
                s.authtype,
                s.master.into_value().display(),
                s.exclusive.into_value().display(),
            ),
        })
    }
}

impl Handle for GetSessionInfo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(session) = call.session.clone() else { return Ok(Value::Nil) };
        if !self.user_id.truthy() {
            let mut data = session.data;
            if self.details {
                data.insert("hostip", session::open::client_address(call));
                data.insert("id", session.id);
            }
            return Ok(data.into());
        }
        let user_id = match &self.user_id {
            Value::Str(name) => {
                let row = toji_db::session::account(&mut call.tx, name).await?;
                row.map(|row| row.get("id")).transpose()?
            }
            other => Some(i64::from_value(other.clone())?),
        };
        let missing = || Fault::generic(format!("No such user: {}", self.user_id.repr()));
        let user_id = user_id.ok_or_else(missing)?;
        if user_id != session.user_id && !call.has_perm("admin").await? {
            let text = "only admins or owners may see all active sessions";
            return Err(Fault::not_allowed(text));
        }
        let rows = toji_db::session::of_user(&mut call.tx, user_id).await?;
        let shown = rows.into_iter().map(|row| {
            let mut map = row.into_map();
            if !self.details {
                map.remove("hostip");
                map.remove("id");
            }
            Value::Struct(map)
        });
        Ok(Value::Array(shown.collect()))
    }
}

impl Handle for GetLoggedInUser {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(session) = &call.session else { return Ok(Value::Nil) };
        let (user_id, authtype) = (session.user_id, session.authtype);
        let Some(user) = crate::user::by_id(call, user_id).await? else { return Ok(Value::Nil) };
        let principals = crate::user::principals(call, user_id).await?;
        let mut map = user.to_map();
        // The stock client shows the first one as the caller's own.
        map.insert("krb_principal", principals.first());
        map.insert("krb_principals", principals);
        map.insert("authtype", authtype);
        Ok(map.into())
    }
}
