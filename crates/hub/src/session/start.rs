//! Logging in and out.

use toji_types::{AuthType, UserStatus};
use toji_value::{Fault, Map, map};

use super::open::client_address;
use crate::{Call, builder, user};

/// Logs in by password; gives the user's number, too.
///
/// # Errors
/// `AuthError` for wrong credentials, without telling which part was wrong.
pub async fn by_password(
    call: &mut Call,
    name: &str,
    password: &str,
    renew: bool,
) -> Result<(i64, Option<Map>), Fault> {
    let wrong = || Fault::auth("invalid username or password");
    if password.is_empty() {
        return Err(wrong());
    }
    if call.session.is_some() {
        return Err(Fault::auth("Already logged in"));
    }
    let Some(row) = toji_db::session::account(&mut call.tx, name).await? else {
        return Err(wrong());
    };
    let user_id = row.get("id")?;
    if !builder::is_credential(password) {
        let stored: Option<String> = row.get("password")?;
        if !stored.is_some_and(|stored| same(&stored, password)) {
            return Err(wrong());
        }
    } else if !builder::accept(call, user_id, password).await? {
        return Err(wrong());
    }
    check_allowed(call, user_id).await?;
    Ok((user_id, create(call, user_id, AuthType::Normal as i64, None, renew).await?))
}

/// Refuses users who are blocked.
///
/// # Errors
/// `AuthError` with Koji's wording.
pub async fn check_allowed(call: &mut Call, user_id: i64) -> Result<(), Fault> {
    let invalid = || Fault::auth(format!("invalid user_id: {user_id}"));
    let user = user::by_id(call, user_id).await?.ok_or_else(invalid)?;
    if user.status != UserStatus::Normal as i64 {
        return Err(Fault::auth(format!("logins by {} are not allowed", user.name)));
    }
    Ok(())
}

/// Compares in a time that does not depend on where two texts differ.
fn same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0u8, |acc, (x, y)| acc | (x ^ y));
    a.len() == b.len() && differing == 0
}

/// Makes a session and returns its number and key as the stock client expects them.
///
/// With `renew`, the session that the request names gets a new key instead; nothing if it is another user's, or
/// a subsession whose parent has ended.
///
/// # Errors
/// When the database fails.
pub async fn create(
    call: &mut Call,
    user_id: i64,
    authtype: i64,
    master: Option<i64>,
    renew: bool,
) -> Result<Option<Map>, Fault> {
    let address = client_address(call);
    let key = format!("{user_id}-{}", random_text(call, 32));
    let claimed = call.request.session.as_ref().map(|s| s.id);
    let id = match claimed.filter(|_| renew) {
        Some(id) => {
            if !toji_db::session::renew(&mut call.tx, id, user_id, &key).await? {
                return Ok(None);
            }
            id
        }
        None => {
            let tx = &mut call.tx;
            toji_db::session::insert(tx, user_id, &key, &address, authtype, master).await?
        }
    };
    Ok(Some(map! { "session-id" => id, "session-key" => key, "header-auth" => true }))
}

/// `length` random letters and digits.
pub(crate) fn random_text(call: &Call, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    let mut bytes = [0u8; 64];
    while text.len() < length {
        call.hub.random.fill(&mut bytes);
        // 248 is the largest multiple of 62 in a byte: all letters stay equally likely.
        let fair = bytes.iter().filter(|b| **b < 248).map(|b| ALPHABET[usize::from(*b % 62)]);
        text.extend(fair.map(char::from).take(length - text.len()));
    }
    text
}
