//! XML-RPC over HTTP as Koji speaks it, and the raw uploads on the same path.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use toji_value::{Args, Fault};
use toji_xmlrpc::Limits;

use crate::door::{self, off_thread, read_body};
use crate::front::Client;
use crate::reply::{Document, accepts_gzip};
use crate::{Shared, crowd};

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
    let mut caller = match door::caller(&parts.headers, &client) {
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
        Err(unread) => return bad_request(&unread.to_string()),
    };
    let at_login = parts.uri.path().trim_end_matches('/') == "/kojihub/ssllogin";
    let identified = door::identify(&shared, &client, &parts.headers, &mut caller, at_login).await;
    let answer = match identified {
        Ok(answer) => answer,
        Err(response) => return response,
    };
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

async fn call(shared: Shared, caller: toji_hub::Request, document: Bytes, gzip: bool) -> Response {
    let limits = Limits::CALL;
    let parsed = off_thread(document.len(), move || toji_xmlrpc::parse_call(&document, &limits));
    let (method, params) = match parsed.await {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(error)) => return bad_request(&error.to_string()),
        Err(fault) => return fault_answer(&fault),
    };
    let args = Args::decode(params);
    let (_place, done) = crowd::call(&shared.hub, &caller, &method, args).await;
    match done {
        Ok(value) => {
            let mut out = Vec::new();
            let rest = toji_xmlrpc::response_pieces(value, &mut out);
            xml(Document::new(out, rest), gzip)
        }
        Err(fault) => {
            tracing::info!(method, code = fault.code, text = fault.message, "call failed");
            fault_answer(&fault)
        }
    }
}

fn xml(document: Document, gzip: bool) -> Response {
    let mut response = document.answer("text/xml", gzip);
    let version = HeaderValue::from_static(toji_hub::KOJI_VERSION);
    response.headers_mut().insert("koji-version", version);
    response
}

fn fault_answer(fault: &Fault) -> Response {
    let mut out = Vec::new();
    toji_xmlrpc::write_fault(fault, &mut out);
    xml(Document::Whole(out), false)
}

fn bad_request(text: &str) -> Response {
    let text = if text == "Empty request" {
        format!("{text}\n")
    } else {
        format!("Invalid request: {text}\n")
    };
    (StatusCode::BAD_REQUEST, text).into_response()
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
            xml(Document::Whole(out), false)
        }
        Err(fault) => fault_answer(&fault),
    }
}
