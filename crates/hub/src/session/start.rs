//! Logging in and out.

use toji_value::{Fault, Map, map};

use super::open::client_address;
use crate::Call;

/// Logs in by password.
///
/// # Errors
/// `AuthError` for wrong credentials, without telling which part was wrong.
pub async fn by_password(
    call: &mut Call,
    user: &str,
    password: &str,
    renew: bool,
) -> Result<Map, Fault> {
    let wrong = || Fault::auth("invalid username or password");
    if password.is_empty() {
        return Err(wrong());
    }
    if call.session.is_some() {
        return Err(Fault::auth("Already logged in"));
    }
    let Some(row) = toji_db::session::account(&mut call.tx, user).await? else {
        return Err(wrong());
    };
    let stored: Option<String> = row.get("password")?;
    if !stored.is_some_and(|stored| same(&stored, password)) {
        return Err(wrong());
    }
    if row.get::<i64>("status")? != 0 {
        return Err(Fault::auth(format!("logins by {user} are not allowed")));
    }
    create(call, row.get("id")?, 0, None, renew).await
}

/// Compares in a time that does not depend on where two texts differ.
fn same(a: &str, b: &str) -> bool {
    let differing = a.bytes().zip(b.bytes()).fold(0u8, |acc, (x, y)| acc | (x ^ y));
    a.len() == b.len() && differing == 0
}

/// Makes a session and returns its number and key as the stock client expects them.
///
/// With `renew`, the session that the request names gets a new key instead.
///
/// # Errors
/// When the database fails.
pub async fn create(
    call: &mut Call,
    user_id: i64,
    authtype: i64,
    master: Option<i64>,
    renew: bool,
) -> Result<Map, Fault> {
    let address = client_address(call);
    let key = format!("{user_id}-{}", random_text(call, 32));
    let claimed = call.request.session.as_ref().map(|s| s.id);
    let id = match claimed.filter(|_| renew) {
        Some(id) => {
            toji_db::session::renew(&mut call.tx, id, user_id, &key).await?;
            id
        }
        None => {
            let tx = &mut call.tx;
            toji_db::session::insert(tx, user_id, &key, &address, authtype, master).await?
        }
    };
    Ok(map! { "session-id" => id, "session-key" => key, "header-auth" => true })
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
