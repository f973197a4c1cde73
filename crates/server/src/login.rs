//! Kerberos logins by HTTP's `Negotiate` (RFC 4559), at `/kojihub/ssllogin`.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_gssapi::Acceptor;
use toji_hub::Identity;

use crate::front::Client;

const SCHEME: &str = "Negotiate";

/// A verified login, and the header by which the client verifies this server.
pub(crate) struct Login {
    pub(crate) identity: Identity,
    pub(crate) answer: Option<HeaderValue>,
}

/// Verifies the login that a request's headers have; the answer says why not, or asks for one.
pub(crate) async fn negotiate(
    acceptor: &Arc<Acceptor>,
    client: &Client,
    headers: &HeaderMap,
) -> Result<Login, Response> {
    if !client.private {
        tracing::warn!(client = %client.address, "refused a Kerberos login without TLS");
        let text = "Kerberos logins need TLS\n";
        return Err((StatusCode::FORBIDDEN, text).into_response());
    }
    let Some(message) = message(headers) else { return Err(challenge("a login is needed\n")) };
    let acceptor = acceptor.clone();
    let accepted = tokio::task::spawn_blocking(move || acceptor.accept(&message)).await;
    match accepted {
        Ok(Ok(login)) => {
            let answer = (!login.answer.is_empty()).then(|| {
                HeaderValue::from_str(&format!("{SCHEME} {}", STANDARD.encode(login.answer)))
            });
            let answer = answer.transpose().unwrap_or(None);
            Ok(Login { identity: Identity::Kerberos(login.principal), answer })
        }
        Ok(Err(error)) => {
            tracing::warn!(client = %client.address, "refused a Kerberos login: {error}");
            // The library's words may tell of keys and clocks; they are for the log.
            Err(challenge("the Kerberos login was refused\n"))
        }
        Err(error) => {
            tracing::error!(%error, "a Kerberos login broke off");
            Err(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

/// The client's message, if there is one.
fn message(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, message) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    STANDARD.decode(message.trim()).ok()
}

fn challenge(text: &'static str) -> Response {
    let ask = [(header::WWW_AUTHENTICATE, SCHEME)];
    (StatusCode::UNAUTHORIZED, ask, text).into_response()
}
