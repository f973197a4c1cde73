//! Sessions: who is calling, and what they may do.
//!
//! A session is a row with a secret key; the stock client sends both in headers, together with a
//! call number that lets the hub notice a repeated request (behaviour of `kojihub/auth.py`).

pub mod open;
pub mod start;
pub mod verified;

use std::collections::BTreeSet;

use toji_api::Access;
use toji_value::Fault;

use crate::Call;

pub(crate) use open::{keep_answer, kept_answer, open, remember_callnum};

/// The session of a logged-in caller.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its number.
    pub id: i64,
    /// The user.
    pub user_id: i64,
    /// The user's name.
    pub user_name: String,
    /// How the user logged in (`AuthType`).
    pub authtype: i64,
    /// The parent, for a subsession.
    pub master: Option<i64>,
    /// Whether this (or its parent) is the user's exclusive session.
    pub exclusive: bool,
    /// Whether another session has the user's exclusive lock.
    pub locked: bool,
    /// Number of this call, if sent.
    pub callnum: Option<i64>,
    /// The row, as `getSessionInfo` shows it.
    pub data: toji_value::Map,
    /// The host of a builder's session, once it was looked up.
    host_id: Option<Option<i64>>,
    /// Permissions, once they were looked up.
    perms: Option<BTreeSet<String>>,
}

impl Session {
    /// The session of the hub's own work in the name of a user, which may do everything.
    pub(crate) fn internal(user_id: i64, user_name: &str) -> Self {
        Session {
            id: 0,
            user_id,
            user_name: user_name.to_owned(),
            authtype: 0,
            master: None,
            exclusive: false,
            locked: false,
            callnum: None,
            data: toji_value::Map::new(),
            host_id: Some(None),
            perms: Some(BTreeSet::from(["admin".to_owned()])),
        }
    }
}

impl Call {
    /// The caller's permissions, those of groups included; empty for anonymous callers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn perms(&mut self) -> Result<&BTreeSet<String>, Fault> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        let Some(session) = &mut self.session else { return Ok(&NONE) };
        if session.perms.is_none() {
            let names = toji_db::session::perms(&mut self.tx, session.user_id).await?;
            session.perms = Some(names.into_iter().collect());
        }
        Ok(session.perms.as_ref().unwrap_or(&NONE))
    }

    /// Whether the caller has exactly this permission (an administrator has only `admin` here).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_perm(&mut self, name: &str) -> Result<bool, Fault> {
        Ok(self.perms().await?.contains(name))
    }

    /// Refuses callers who have neither this permission nor `admin`.
    ///
    /// # Errors
    /// `ActionNotAllowed` with Koji's wording.
    pub async fn assert_perm(&mut self, name: &str) -> Result<(), Fault> {
        let perms = self.perms().await?;
        if perms.contains(name) || perms.contains("admin") {
            return Ok(());
        }
        let who = match &self.session {
            Some(session) => format!("logged in as {}", session.user_name),
            None => "user not logged in".to_owned(),
        };
        Err(Fault::not_allowed(format!("{name} permission required ({who})")))
    }

    /// The builder that calls; the exclusive session is not asked for here.
    ///
    /// # Errors
    /// `AuthError` for everybody else.
    pub async fn host_id(&mut self) -> Result<i64, Fault> {
        let Some(session) = &mut self.session else { return Err(Fault::auth("Not logged-in")) };
        let user_id = session.user_id;
        if session.host_id.is_none() {
            session.host_id = Some(toji_db::session::host_id(&mut self.tx, user_id).await?);
        }
        let missing = || Fault::auth(format!("User {user_id} is not a host"));
        session.host_id.flatten().ok_or_else(missing)
    }

    /// The builder that calls in its exclusive session, as most `host.*` calls demand.
    ///
    /// # Errors
    /// `AuthError` for everybody else.
    pub async fn verified_host(&mut self) -> Result<i64, Fault> {
        let host = self.host_id().await?;
        if !self.session.as_ref().is_some_and(|s| s.exclusive) {
            return Err(Fault::auth("This method requires an exclusive session"));
        }
        Ok(host)
    }
}

/// Checks the access that a call declares.
pub(crate) async fn check_access(call: &mut Call, access: Access) -> Result<(), Fault> {
    match access {
        Access::Anonymous | Access::Custom(_) => Ok(()),
        Access::Login | Access::Owner(_) => call.login().map(drop),
        Access::Permission(name) => call.assert_perm(name).await,
        Access::Admin => call.assert_perm("admin").await,
        Access::Host => call.verified_host().await.map(drop),
    }
}

/// Refuses calls while the user is locked by an exclusive session, or the hub is locked out.
pub(crate) async fn check_lock(call: &mut Call, method: &str) -> Result<(), Fault> {
    let locked = call.session.as_ref().is_some_and(|s| s.locked);
    if locked && !matches!(method, "exclusiveSession" | "login" | "logout") {
        return Err(Fault::auth_lock("User locked by another session"));
    }
    if call.hub.config.lock_out
        && !matches!(method, "login" | "sslLogin" | "logout")
        && !call.has_perm("admin").await?
    {
        return Err(Fault::offline("Server disabled for maintenance"));
    }
    Ok(())
}
