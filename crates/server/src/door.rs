//! What the doors for calls have in common: who calls, what was sent, what a fault is in HTTP.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use toji_hub::SessionKey;
use toji_value::{Fault, code};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::front::Client;
use crate::{Shared, login};

/// Documents above this size are parsed on a thread where they hold nobody up.
const LARGE: usize = 256 << 10;
/// A document must have come as a whole by then.
const DOCUMENT: Duration = Duration::from_secs(600);
/// No part of it may take longer.
const PART: Duration = Duration::from_secs(60);

/// The call that makes a session of an identity that the transport has verified.
pub(crate) const SSL_LOGIN: &str = "sslLogin";

/// The caller that Koji's headers or, at the doors that Koji does not have, `Authorization: Bearer ID:KEY` tell of.
pub(crate) fn caller_or_bearer(
    headers: &HeaderMap,
    client: &Client,
) -> Result<toji_hub::Request, Fault> {
    let mut caller = caller(headers, client)?;
    if caller.session.is_none()
        && let Some((id, key)) = bearer(headers)?
    {
        caller.session = Some(SessionKey { id, key, callnum: callnum(headers)? });
    }
    Ok(caller)
}

/// The caller that Koji's session headers tell of.
pub(crate) fn caller(headers: &HeaderMap, client: &Client) -> Result<toji_hub::Request, Fault> {
    let key = headers.get("koji-session-key").and_then(|value| value.to_str().ok());
    let session = match (number(headers, "koji-session-id")?, key) {
        (Some(id), Some(key)) => {
            Some(SessionKey { id, key: key.to_owned(), callnum: callnum(headers)? })
        }
        (None, None) => None,
        _ => return Err(Fault::auth("session headers are incomplete")),
    };
    let remote = client.address.ip().to_canonical().to_string();
    let again = headers.contains_key("toji-again");
    Ok(toji_hub::Request { session, remote, identity: client.identity.clone(), again })
}

/// The number of the call, as clients of different age send it.
fn callnum(headers: &HeaderMap) -> Result<Option<i64>, Fault> {
    match number(headers, "koji-session-callnum")? {
        Some(callnum) => Ok(Some(callnum)),
        None => number(headers, "koji-callnum"),
    }
}

fn number(headers: &HeaderMap, name: &str) -> Result<Option<i64>, Fault> {
    let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let wrong = |_| Fault::auth(format!("Invalid {name} header: {value:?}"));
    value.trim().parse().map(Some).map_err(wrong)
}

/// A session as one token, for tools that know no others.
fn bearer(headers: &HeaderMap) -> Result<Option<(i64, String)>, Fault> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = value.and_then(|value| value.split_once(' ')) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let parts = token.trim().split_once(':');
    let session = parts.and_then(|(id, key)| Some((id.parse().ok()?, key.to_owned())));
    session.map(Some).ok_or_else(|| Fault::auth("a bearer token is SESSION-ID:SESSION-KEY"))
}

/// Whether a request shows more than an address of its caller.
pub(crate) fn is_anonymous(caller: &toji_hub::Request) -> bool {
    caller.session.is_none() && caller.identity.is_none()
}

/// Completes a caller by a Kerberos login, if there is one, or if `wanted` and possible.
///
/// # Errors
/// The answer that asks for a login, or refuses this one.
pub(crate) async fn identify(
    shared: &Shared,
    client: &Client,
    headers: &HeaderMap,
    caller: &mut toji_hub::Request,
    wanted: bool,
) -> Result<Option<HeaderValue>, Response> {
    let (true, None, Some(acceptor)) = (wanted, &caller.identity, &shared.front.kerberos) else {
        return Ok(None);
    };
    let login = login::negotiate(acceptor, client, headers).await?;
    caller.identity = Some(login.identity);
    Ok(login.answer)
}

/// A document that is not taken.
#[derive(Debug)]
pub(crate) enum Unread {
    TooLong,
    TooSlow,
    Empty,
    Broken(String),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::TooLong => f.write_str("Request too long"),
            Unread::TooSlow => f.write_str("Request too slow"),
            Unread::Empty => f.write_str("Empty request"),
            Unread::Broken(error) => write!(f, "Error reading request: {error}"),
        }
    }
}

impl Unread {
    /// The status for clients that look at it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Unread::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Unread::Empty | Unread::Broken(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a request's document of at most `limit` bytes.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Unread> {
    // What announces too much is refused before it is sent.
    if body.size_hint().lower() > limit as u64 {
        return Err(Unread::TooLong);
    }
    let end = Instant::now() + DOCUMENT;
    let mut parts = body.into_data_stream();
    let mut document: Option<Bytes> = None;
    let mut longer = BytesMut::new();
    loop {
        let patience = end.min(Instant::now() + PART);
        let part = timeout_at(patience, parts.next()).await.map_err(|_| Unread::TooSlow)?;
        let Some(part) = part else { break };
        let part = part.map_err(|error| Unread::Broken(error.to_string()))?;
        let length = document.as_ref().map_or(longer.len(), Bytes::len) + part.len();
        if length > limit {
            return Err(Unread::TooLong);
        }
        if let Some(first) = document.take() {
            longer.extend_from_slice(&first);
        }
        // A single part is not copied.
        if longer.is_empty() {
            document = Some(part);
        } else {
            longer.extend_from_slice(&part);
        }
    }
    let document = document.unwrap_or_else(|| longer.freeze());
    if document.is_empty() { Err(Unread::Empty) } else { Ok(document) }
}

/// Large documents that are worked on at the same time: the other processors are for those who ask for little.
static LARGE_WORK: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((processors / 2).max(1))
});

/// Runs `work` here if it is small, otherwise on a thread for blocking work, when it is its turn.
pub(crate) async fn off_thread<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    if size < LARGE {
        return Ok(work());
    }
    let turn = LARGE_WORK.acquire().await;
    let turn = turn.map_err(|error| Fault::unexpected(error.to_string()))?;
    // The thread goes on when the caller has gone, and so does its turn.
    let done = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    done.await.map_err(|error| Fault::unexpected(error.to_string()))
}

/// Refuses documents that are not JSON by their own words: what a page of another site can send without
/// asking is none.
///
/// # Errors
/// The reason.
pub(crate) fn assert_json(headers: &HeaderMap) -> Result<(), &'static str> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err("requests are not compressed here");
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if ["application/json", "application/json-rpc"].iter().any(|k| kind.eq_ignore_ascii_case(k)) {
        return Ok(());
    }
    Err("Content-Type must be application/json")
}

/// The status of HTTP that says most of what a fault says.
pub(crate) fn status(fault: &Fault) -> StatusCode {
    match fault.code {
        code::UNEXPECTED => StatusCode::INTERNAL_SERVER_ERROR,
        code::PARAMETER | code::NAME_VALIDATION => StatusCode::BAD_REQUEST,
        code::AUTH | code::AUTH_EXPIRED | code::GSSAPI => StatusCode::UNAUTHORIZED,
        code::ACTION_NOT_ALLOWED => StatusCode::FORBIDDEN,
        code::LOCK | code::AUTH_LOCK | code::SEQUENCE | code::RETRY => StatusCode::CONFLICT,
        code::OFFLINE => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
