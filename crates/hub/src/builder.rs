//! Credentials of builders: made from random text, kept as digests, accepted as the password of the host.

use sha2::{Digest, Sha256};
use toji_db::{Time, builder as db};
use toji_value::{Fault, Map, map};

use crate::Call;
use crate::session::start::random_text;

/// What credentials begin with; no password that is compared as text does.
const CREDENTIAL: &str = "toji-builder-";
/// What tokens for enrolment begin with.
const TOKEN: &str = "toji-enrol-";
/// Letters and digits behind the prefix: 285 bits.
const LENGTH: usize = 48;
/// How long older credentials are good after the first use of a newer one, in seconds: tasks that run may log in again.
const GRACE: f64 = 86_400.0;

/// The digest by which a token or credential is known.
pub(crate) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

/// A new token for enrolment.
pub(crate) fn new_token(call: &Call) -> String {
    format!("{TOKEN}{}", random_text(call, LENGTH))
}

/// Whether a password is a credential of a builder.
pub(crate) fn is_credential(password: &str) -> bool {
    password.starts_with(CREDENTIAL)
}

/// Whether the credential is one of the user's that is still good; older ones end soon after.
///
/// # Errors
/// When the database fails.
pub(crate) async fn accept(call: &mut Call, user_id: i64, credential: &str) -> Result<bool, Fault> {
    let found = db::credential(&mut call.tx, user_id, &digest(credential)).await?;
    let Some(id) = found else { return Ok(false) };
    let latest = in_future(call, GRACE).await?;
    db::end_older(&mut call.tx, user_id, id, latest).await?;
    Ok(true)
}

/// Makes a credential for a user; only here it can be read.
///
/// # Errors
/// When the database fails.
pub(crate) async fn issue(call: &mut Call, user_id: i64) -> Result<Map, Fault> {
    let credential = format!("{CREDENTIAL}{}", random_text(call, LENGTH));
    let lifetime = call.hub.config.builder_credential_lifetime;
    let expires = in_future(call, lifetime).await?;
    db::drop_ended(&mut call.tx).await?;
    db::add_credential(&mut call.tx, user_id, &digest(&credential), expires).await?;
    Ok(map! { "credential" => credential, "expire_ts" => expires.epoch(), "lifetime" => lifetime })
}

/// A moment after the database's now.
///
/// # Errors
/// For a time beyond the calendar, or when the database fails.
pub(crate) async fn in_future(call: &mut Call, seconds: f64) -> Result<Time, Fault> {
    let now = toji_db::scheduler::now(&mut call.tx).await?;
    Ok(Time::from_epoch(now + seconds)?)
}
