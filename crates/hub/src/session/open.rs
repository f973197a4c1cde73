//! Validation of the session that a request claims.

use toji_value::{Fault, Value};

use super::Session;
use crate::Call;

/// Calls that may be repeated with the same number: doing them twice does no harm.
const REPEATABLE: &[&str] = &[
    "host.taskWait",
    "host.taskUnwait",
    "host.taskSetWait",
    "host.updateHost",
    "host.setBuildRootState",
    "host.planBuildRoot",
    "host.setBuildRootLockfile",
    "repoExpire",
    "repoDelete",
    "repoProblem",
];

/// The session's time of use is kept to this precision, so that reading calls need not write.
const TOUCH_INTERVAL: f64 = 60.0;

/// Finds and checks the session that the request claims; without a claim the caller is anonymous.
pub(crate) async fn open(call: &mut Call) -> Result<(), Fault> {
    let Some(claim) = call.request.session.clone() else { return Ok(()) };
    let address = client_address(call);
    let found = toji_db::session::find(&mut call.tx, claim.id, &claim.key, &address).await?;
    let Some(row) = found else {
        return Err(Fault::auth("Invalid session or bad credentials"));
    };
    let logging_in = matches!(call.method.as_str(), "login" | "sslLogin");
    let now = call.now();
    let expired = row.get::<bool>("expired")? || renewal_due(call, &row, now)?;
    if expired && !logging_in {
        expire(call, claim.id).await?;
        return Err(Fault::auth_expired(format!("session \"{}\" has expired", claim.id)));
    }
    check_callnum(call, claim.id, claim.callnum, row.get("callnum")?)?;
    if expired {
        return Ok(());
    }
    let user_name: String = row.get("user_name")?;
    if row.get::<i64>("user_status")? != 0 {
        return Err(Fault::auth(format!("logins by {user_name} are not allowed")));
    }
    let master: Option<i64> = row.get("master")?;
    let own = row.get::<Option<bool>>("exclusive")?.unwrap_or(false);
    let holder: Option<i64> = row.get("holder")?;
    let exclusive = own || holder.is_some_and(|id| Some(id) == master);
    let stale = now - row.get::<f64>("update_ts")? > TOUCH_INTERVAL;
    let session = Session {
        id: claim.id,
        user_id: row.get("user_id")?,
        user_name,
        authtype: row.get("authtype")?,
        master,
        exclusive,
        locked: holder.is_some() && !exclusive,
        callnum: claim.callnum,
        data: session_data(row),
        host_id: None,
        perms: None,
    };
    call.session = Some(session);
    if stale && !call.hub.live.used(claim.id) {
        toji_db::session::touch(&call.hub.db, claim.id).await?;
    }
    Ok(())
}

/// The members that `getSessionInfo` shows.
fn session_data(row: toji_db::Row) -> toji_value::Map {
    let mut data = row.into_map();
    for internal in ["user_name", "user_status", "holder"] {
        data.remove(internal);
    }
    data
}

/// The address that sessions are bound to, `-` where the check is off.
pub(crate) fn client_address(call: &Call) -> String {
    if call.hub.config.check_client_ip { call.request.remote.clone() } else { "-".to_owned() }
}

fn renewal_due(call: &Call, row: &toji_db::Row, now: f64) -> Result<bool, Fault> {
    let minutes = call.hub.config.session_renewal_timeout;
    if minutes == 0 {
        return Ok(false);
    }
    let start: f64 = row.get("start_ts")?;
    let renewed: Option<f64> = row.get("renew_ts")?;
    Ok(now > renewed.unwrap_or(start) + minutes as f64 * 60.0)
}

/// Marks the session expired in a transaction of its own, since the call's is rolled back.
async fn expire(call: &Call, id: i64) -> Result<(), Fault> {
    let mut tx = call.hub.db.begin_write().await?;
    toji_db::session::expire(&mut tx, id).await?;
    tx.commit().await?;
    Ok(())
}

/// Refuses numbers that were used before: a lower one is out of order, an equal one was committed.
fn check_callnum(
    call: &Call,
    session: i64,
    callnum: Option<i64>,
    last: Option<i64>,
) -> Result<(), Fault> {
    let (Some(callnum), Some(last)) = (callnum, last) else { return Ok(()) };
    if last > callnum {
        return Err(Fault::sequence(format!("{last} > {callnum} (session {session})")));
    }
    if last == callnum && !REPEATABLE.contains(&call.method.as_str()) {
        let method = &call.method;
        return Err(Fault::retry(format!(
            "unable to retry call {callnum} (method {method}) for session {session}"
        )));
    }
    Ok(())
}

/// Answers above this size are not kept, in bytes.
const KEPT: usize = 64 << 10;
/// Their answers say nothing, and there are many of them.
const SILENT: [&str; 3] = ["host.closeTask", "host.failTask", "logout"];

/// Keeps a builder's answer together with its changes, for a builder that does not get it.
pub(crate) async fn keep_answer(call: &mut Call, answer: &Value) -> Result<(), Fault> {
    let Some(session) = call.session.as_ref().filter(|session| session.exclusive) else {
        return Ok(());
    };
    let (id, Some(callnum), true) = (session.id, session.callnum, call.tx.has_writes()) else {
        return Ok(());
    };
    if SILENT.contains(&call.method.as_str()) {
        return Ok(());
    }
    let text = crate::task::text::write_result(&Ok(answer.clone()));
    if text.len() <= KEPT {
        toji_db::session::keep_answer(&mut call.tx, id, callnum, &text).await?;
    }
    Ok(())
}

/// What was answered to the call that the caller sends again; nothing if that was not kept.
pub(crate) async fn kept_answer(call: &mut Call) -> Result<Option<Value>, Fault> {
    let claim = call.request.session.as_ref().filter(|_| call.request.again);
    let Some((id, Some(callnum))) = claim.map(|claim| (claim.id, claim.callnum)) else {
        return Ok(None);
    };
    let text = toji_db::session::answer(&mut call.tx, id, callnum).await?;
    text.map(|text| crate::task::text::read_result(&text)?).transpose()
}

/// Stores the call's number together with its changes: a number that is found later means that
/// the call was done, and only its answer was lost.
pub(crate) async fn remember_callnum(call: &mut Call) -> Result<(), Fault> {
    let Some(session) = &call.session else { return Ok(()) };
    let (Some(callnum), true) = (session.callnum, call.tx.has_writes()) else { return Ok(()) };
    toji_db::session::set_callnum(&mut call.tx, session.id, callnum).await?;
    Ok(())
}
