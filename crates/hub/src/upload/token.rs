//! Tokens with which builders upload: signed, for one task and its host, up to a size and a time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use toji_value::Fault;

use crate::session::start::random_text;
use crate::{Call, Hub};

/// What tokens begin with.
const PREFIX: &str = "toji-upload-";
/// The name of the key in the database.
const KEY: &str = "upload";
/// How long a token is good, in seconds; builders ask for a new one before that.
const LIFETIME: i64 = 6 * 3600;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The task whose directory is written.
    pub(crate) task_id: i64,
    /// The host that must hold it.
    pub(crate) host_id: i64,
    /// The end, in seconds since 1970.
    pub(crate) expires: i64,
    /// The bytes of all files of the task together.
    pub(crate) max_bytes: i64,
}

/// The end of a token that is made now.
pub(crate) fn lifetime(now: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let now = now as i64;
    now + LIFETIME
}

/// The token of a claim.
///
/// # Errors
/// When the database fails.
pub(crate) async fn issue(call: &mut Call, claim: &Claim) -> Result<String, Fault> {
    let key = key(call).await?;
    Ok(write(claim, &key))
}

/// The claim of a token that this hub, or another one on its database, has signed and that is still good.
///
/// # Errors
/// `AuthError` for every other text.
pub(crate) async fn check(hub: &Hub, call: &mut Call, token: &str) -> Result<Claim, Fault> {
    let key = key(call).await?;
    let refused = || Fault::auth("the upload token is not valid");
    let claim = read(token, &key).ok_or_else(refused)?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    if claim.expires as f64 <= hub.now() {
        return Err(Fault::auth("the upload token is out of date"));
    }
    Ok(claim)
}

async fn key(call: &mut Call) -> Result<String, Fault> {
    let fresh = random_text(call, 64);
    Ok(toji_db::builder::secret(&mut call.tx, KEY, || fresh).await?)
}

fn write(claim: &Claim, key: &str) -> String {
    let text = format!("{}:{}:{}:{}", claim.task_id, claim.host_id, claim.expires, claim.max_bytes);
    format!("{PREFIX}{}.{}", URL_SAFE_NO_PAD.encode(&text), hex::encode(sign(&text, key)))
}

fn read(token: &str, key: &str) -> Option<Claim> {
    let (body, signature) = token.strip_prefix(PREFIX)?.split_once('.')?;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
    let given = hex::decode(signature).ok()?;
    let own = sign(&text, key);
    let differing = own.iter().zip(&given).fold(0u8, |all, (a, b)| all | (a ^ b));
    if given.len() != own.len() || differing != 0 {
        return None;
    }
    let mut numbers = text.split(':').map(str::parse::<i64>);
    let mut next = || numbers.next()?.ok();
    Some(Claim { task_id: next()?, host_id: next()?, expires: next()?, max_bytes: next()? })
}

/// HMAC-SHA256 (RFC 2104); the key is as long as a block.
fn sign(text: &str, key: &str) -> [u8; 32] {
    let mut block = [0u8; 64];
    let hashed = Sha256::digest(key.as_bytes());
    match key.len() <= block.len() {
        true => block[..key.len()].copy_from_slice(key.as_bytes()),
        false => block[..hashed.len()].copy_from_slice(&hashed),
    }
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_hmac_sha256() {
        // RFC 4231, test case 2.
        let want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(sign("what do ya want for nothing?", "Jefe")), want);
    }

    #[test]
    fn only_what_was_signed_is_read() {
        let claim = Claim { task_id: 7, host_id: 3, expires: 99, max_bytes: 1000 };
        let token = write(&claim, "key");
        assert_eq!(read(&token, "key"), Some(claim));
        assert_eq!(read(&token, "another key"), None);
        let forged = URL_SAFE_NO_PAD.encode("8:3:99:1000");
        let (_, signature) = token.split_once('.').unwrap();
        assert_eq!(read(&format!("{PREFIX}{forged}.{signature}"), "key"), None);
        for broken in ["", "toji-upload-", &token[..token.len() - 2], "toji-upload-x.y"] {
            assert_eq!(read(broken, "key"), None, "{broken}");
        }
    }
}
