//! XML-RPC over HTTP as Koji speaks it, and the raw uploads on the same path.

use std::io::Write;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use toji_hub::SessionKey;
use toji_value::{Args, Fault};
use toji_xmlrpc::Limits;

use crate::front::Client;
use crate::{Shared, login};

/// Answers below this size are not worth compressing.
const COMPRESS_FROM: usize = 1400;
/// Documents above this size are parsed and written on a thread where they hold nobody up.
const LARGE: usize = 256 << 10;

/// Answers a request to `/kojihub`.
pub(crate) async fn handle(
    State(shared): State<Shared>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        let text = "Method Not Allowed\n\
                    This is an XML-RPC server. Only POST requests are accepted.\n";
        let allow = [(header::ALLOW, "POST")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response();
    }
    let (parts, body) = request.into_parts();
    let mut caller = match caller(&parts.headers, &client) {
        Ok(caller) => caller,
        Err(fault) => return fault_answer(&fault),
    };
    let is_upload = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|v| v.as_bytes() == b"application/octet-stream");
    if is_upload {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        return upload(shared, caller, &query, body).await;
    }
    let gzip = accepts_gzip(&parts.headers);
    let document = match read_body(body, shared.hub.config.max_request_length).await {
        Ok(document) => document,
        Err(text) => return bad_request(&text),
    };
    let mut answer = None;
    let at_login = parts.uri.path().trim_end_matches('/') == "/kojihub/ssllogin";
    if let (true, None, Some(acceptor)) = (at_login, &caller.identity, &shared.front.kerberos) {
        match login::negotiate(acceptor, &client, &parts.headers).await {
            Ok(login) => {
                caller.identity = Some(login.identity);
                answer = login.answer;
            }
            Err(response) => return response,
        }
    }
    let mut response = call(shared, caller, document, gzip).await;
    if let Some(answer) = answer {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, answer);
    }
    response
}

/// The answer to a request that claims what it may not claim.
pub(crate) fn refusal(path: &str, text: &str) -> Response {
    if path.starts_with("/kojihub") {
        return fault_answer(&Fault::auth(text));
    }
    (StatusCode::FORBIDDEN, format!("{text}\n")).into_response()
}

/// The session headers that Koji's clients send.
fn caller(headers: &HeaderMap, client: &Client) -> Result<toji_hub::Request, Fault> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let number = |name: &str| match text(name) {
        None => Ok(None),
        Some(value) => match value.trim().parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Fault::auth(format!("Invalid {name} header: {value:?}"))),
        },
    };
    let session = match (number("koji-session-id")?, text("koji-session-key")) {
        (Some(id), Some(key)) => {
            let callnum = match number("koji-session-callnum")? {
                Some(callnum) => Some(callnum),
                None => number("koji-callnum")?,
            };
            Some(SessionKey { id, key: key.to_owned(), callnum })
        }
        (None, None) => None,
        _ => return Err(Fault::auth("session headers are incomplete")),
    };
    let remote = client.address.ip().to_canonical().to_string();
    let again = headers.contains_key("toji-again");
    Ok(toji_hub::Request { session, remote, identity: client.identity.clone(), again })
}

async fn read_body(body: Body, limit: usize) -> Result<Bytes, String> {
    // What announces too much is refused before it is sent.
    if body.size_hint().lower() > limit as u64 {
        return Err("Request too long".to_owned());
    }
    let document = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.downcast_ref::<LengthLimitError>().is_some() {
            "Request too long".to_owned()
        } else {
            format!("Error reading request: {error}")
        }
    })?;
    let document = document.to_bytes();
    if document.is_empty() { Err("Empty request".to_owned()) } else { Ok(document) }
}

async fn call(shared: Shared, caller: toji_hub::Request, document: Bytes, gzip: bool) -> Response {
    let limits = Limits::CALL;
    let parsed = off_thread(document.len(), move || toji_xmlrpc::parse_call(&document, &limits));
    let (method, params) = match parsed.await {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) => return bad_request(&error.to_string()),
        Err(error) => return bad_request(&error.to_string()),
    };
    let result = shared.hub.call(&caller, &method, Args::decode(params)).await;
    let (document, gzip) = match result {
        Ok(value) => {
            let mut out = Vec::new();
            toji_xmlrpc::write_response(&value, &mut out);
            (out, gzip)
        }
        Err(fault) => {
            tracing::info!(method, code = fault.code, text = fault.message, "call failed");
            return fault_answer(&fault);
        }
    };
    answer(document, gzip).await
}

/// Runs `work` here if it is small, otherwise on a thread for blocking work.
async fn off_thread<T: Send + 'static>(
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if size < LARGE { Ok(work()) } else { tokio::task::spawn_blocking(work).await }
}

async fn answer(document: Vec<u8>, gzip: bool) -> Response {
    if !gzip || document.len() < COMPRESS_FROM {
        return xml(document, false);
    }
    match off_thread(document.len(), move || compress(document)).await {
        Ok((document, compressed)) => xml(document, compressed),
        Err(error) => fault_answer(&Fault::unexpected(error.to_string())),
    }
}

/// Compresses with the fastest level: the answers are short-lived and the wire is near.
fn compress(document: Vec<u8>) -> (Vec<u8>, bool) {
    let buffer = Vec::with_capacity(document.len() / 4);
    let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::fast());
    match encoder.write_all(&document).and_then(|()| encoder.finish()) {
        Ok(compressed) => (compressed, true),
        Err(_) => (document, false),
    }
}

fn xml(document: Vec<u8>, compressed: bool) -> Response {
    let mut response = Response::new(Body::from(document));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    headers.insert("koji-version", HeaderValue::from_static(toji_hub::KOJI_VERSION));
    if compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn fault_answer(fault: &Fault) -> Response {
    let mut out = Vec::new();
    toji_xmlrpc::write_fault(fault, &mut out);
    xml(out, false)
}

fn bad_request(text: &str) -> Response {
    let text = if text == "Empty request" {
        format!("{text}\n")
    } else {
        format!("Invalid request: {text}\n")
    };
    (StatusCode::BAD_REQUEST, text).into_response()
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            name.trim() == "gzip" && weight.trim() != "q=0"
        })
}

/// Takes a file's part as the request body (`koji`'s `fastUpload`).
async fn upload(shared: Shared, caller: toji_hub::Request, query: &str, body: Body) -> Response {
    let params = match toji_hub::upload::Params::from_query(query) {
        Ok(params) => params,
        Err(fault) => return fault_answer(&fault),
    };
    let chunks = Box::pin(body.into_data_stream());
    match shared.hub.upload(&caller, params, chunks).await {
        Ok(result) => {
            let mut out = Vec::new();
            toji_xmlrpc::write_response(&result.into(), &mut out);
            xml(out, false)
        }
        Err(fault) => fault_answer(&fault),
    }
}
