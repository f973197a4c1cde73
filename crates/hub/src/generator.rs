//! Content generators: who may act as one, reservations, and the import of what they made.

mod build;
mod component;
mod import;
mod metadata;
mod output;
mod root;

pub use import::import;

use toji_db::lookup::Names;
use toji_db::{archive as db, build as builds, catalog};
use toji_types::BuildState;
use toji_value::{Fault, Map, Value, map};

use crate::Call;
use crate::build::{fresh, told, typed::lacks};
use crate::lookup::Entry;

/// The content generator that a caller names and may act as.
///
/// # Errors
/// `AuthError` for callers who may not, a generic fault for one that does not exist.
pub async fn access(call: &mut Call, cg: &Value) -> Result<Entry, Fault> {
    let cg = call.need(Names::ContentGenerator, cg).await?;
    let user = call.user_id().ok_or_else(|| Fault::auth("Not logged-in"))?;
    if catalog::is_generator_user(&mut call.tx, cg.id, user).await? {
        return Ok(cg);
    }
    Err(Fault::auth(format!("Content generator access required ({})", cg.name)))
}

/// Reserves a build for a content generator; returns its number and a token.
///
/// # Errors
/// When there is such a build, or it is reserved already.
pub async fn reserve(call: &mut Call, cg: &Value, mut data: Map) -> Result<Map, Fault> {
    let cg = access(call, cg).await?;
    data.insert("owner", call.actor()?);
    data.insert("state", BuildState::Building.number());
    data.insert("completion_time", Value::Nil);
    data.insert("cg_id", cg.id);
    if !data.contains_key("epoch") {
        data.insert("epoch", Value::Nil);
    }
    check_nvr(&data)?;
    let id = fresh::make(call, data).await?;
    // Of two callers with one name the second one waits here.
    builds::lock(&mut call.tx, id).await?;
    if db::reservation(&mut call.tx, id).await?.is_some() {
        return Err(Fault::generic("Build is already reserved"));
    }
    let mut bytes = [0; 32];
    call.hub.random.fill(&mut bytes);
    let token = hex::encode(bytes);
    db::reserve(&mut call.tx, id, &token).await?;
    Ok(map! { "build_id" => id, "token" => token })
}

/// Refuses versions and releases with a dash.
fn check_nvr(data: &Map) -> Result<(), Fault> {
    for part in ["version", "release"] {
        let text = data.get(part).ok_or_else(|| lacks(part))?.display();
        if text.contains('-') {
            let text = format!("The \"-\" character not allowed in {part} field");
            return Err(Fault::generic(text));
        }
    }
    Ok(())
}

/// Whether a token is the one of a build's reservation.
async fn has_token(call: &mut Call, build: i64, token: &Value) -> Result<bool, Fault> {
    let row = db::reservation(&mut call.tx, build).await?;
    Ok(row.is_some_and(|row| row.value("token") == token))
}

/// Gives a reserved build up.
///
/// # Errors
/// When it is not reserved by the content generator with this token.
pub async fn refund(
    call: &mut Call,
    cg: &Value,
    build_id: i64,
    token: &Value,
    state: &Value,
) -> Result<(), Fault> {
    let state = state.as_int().and_then(|n| BuildState::try_from(n).ok());
    let state = state.filter(|s| matches!(s, BuildState::Failed | BuildState::Canceled));
    let wrong = || Fault::generic("Only FAILED/CANCELED build states are allowed");
    let state = state.ok_or_else(wrong)?;
    let cg = access(call, cg).await?;
    builds::lock(&mut call.tx, crate::lookup::fit(build_id)).await?;
    let missing = || Fault::generic(format!("No such build: {build_id}"));
    let build = crate::build::by_id(call, build_id).await?.ok_or_else(missing)?;
    if build.state != BuildState::Building {
        return Err(Fault::generic(format!("Build ID {build_id} is not in BUILDING state")));
    }
    if !has_token(call, build.id, token).await? {
        return Err(Fault::generic(format!("Token doesn't match build ID {build_id}")));
    }
    if build.shown.int("cg_id") != Some(cg.id) {
        let text = format!("Build ID {build_id} is not reserved by this CG");
        return Err(Fault::generic(text));
    }
    crate::build::announced(call, &build, state).await?;
    builds::end(&mut call.tx, build.id, state).await?;
    builds::clear_reservation(&mut call.tx, build.id).await?;
    told(call, &build, state).await
}
