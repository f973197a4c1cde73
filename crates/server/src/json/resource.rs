//! Each call as a resource of HTTP: `POST /api/v1/getTag` with its parameters as JSON, `GET` with them in the query.

use axum::Extension;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use toji_api::{Declaration, Type};
use toji_value::{Args, Fault, Map, ParamKind, Value, map};

use crate::front::Client;
use crate::json::{self, get};
use crate::reply::accepts_gzip;
use crate::{Shared, crowd, door};

/// The media type of faults (RFC 9457).
pub(super) const PROBLEM: &str = "application/problem+json";

/// Answers a request to a call.
pub(crate) async fn handle(
    State(shared): State<Shared>,
    Extension(client): Extension<Client>,
    Path(method): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let Some(declaration) = shared.hub.declaration(&method) else {
        let fault = Fault::generic(format!("Invalid method: {method}"));
        return problem(&fault, StatusCode::NOT_FOUND);
    };
    let (parts, body) = request.into_parts();
    let gets = parts.method == Method::GET;
    if !gets && parts.method != Method::POST || gets && declaration.writes {
        let allow = if declaration.writes { "POST" } else { "GET, POST" };
        let text = format!("{method} takes {allow}");
        let mut response = problem(&Fault::parameter(text), StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        return response;
    }
    let args = if gets {
        Ok(from_query(query, declaration))
    } else {
        if !query.is_empty() {
            let text = "parameters of a POST are in its document";
            return problem(&Fault::parameter(text), StatusCode::BAD_REQUEST);
        }
        if let Err(text) = door::assert_json(&parts.headers) {
            return problem(&Fault::parameter(text), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        match door::read_body(body, shared.hub.config.max_request_length).await {
            Ok(document) => from_document(json::parse(document).await, declaration),
            Err(door::Unread::Empty) => Ok(Args::default()),
            Err(unread) => {
                return problem(&Fault::parameter(unread.to_string()), unread.status());
            }
        }
    };
    match args {
        Ok(args) => call(&shared, &client, declaration, args, &parts.headers, gets).await,
        Err(fault) => problem(&fault, StatusCode::BAD_REQUEST),
    }
}

async fn call(
    shared: &Shared,
    client: &Client,
    declaration: &Declaration,
    args: Args,
    headers: &HeaderMap,
    gets: bool,
) -> Response {
    let method = declaration.signature.name;
    let mut caller = match door::caller_or_bearer(headers, client) {
        Ok(caller) => caller,
        Err(fault) => return problem(&fault, door::status(&fault)),
    };
    let logs_in = method == door::SSL_LOGIN;
    let login = match door::identify(shared, client, headers, &mut caller, logs_in).await {
        Ok(login) => login,
        Err(response) => return response,
    };
    let gzip = accepts_gzip(headers);
    let (_place, done) = crowd::call(&shared.hub, &caller, method, args).await;
    let mut response = match done {
        Ok(value) if gets => {
            let anonymous = door::is_anonymous(&caller);
            get::kept(json::document(value), json::KIND, headers, anonymous, gzip)
        }
        Ok(value) => json::answer(value, gzip),
        Err(fault) => {
            tracing::info!(method, code = fault.code, text = fault.message, "call failed");
            problem(&fault, door::status(&fault))
        }
    };
    if let Some(login) = login {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, login);
    }
    response
}

/// The fault as a document that tells of a problem, with Koji's code.
fn problem(fault: &Fault, status: StatusCode) -> Response {
    let members = map! {
        "type" => "about:blank",
        "title" => fault.class(),
        "status" => i64::from(status.as_u16()),
        "detail" => &fault.message,
        "code" => fault.code,
    };
    let mut response = json::document(members.into()).answer(PROBLEM, false);
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let ask = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
    }
    response.into_response()
}

/// The parameters of a POST: an object by name, or an array by position.
fn from_document(
    document: Result<Value, String>,
    declaration: &Declaration,
) -> Result<Args, Fault> {
    match document.map_err(|text| Fault::parameter(format!("Invalid request: {text}")))? {
        Value::Struct(members) => Ok(Args::named(members, &declaration.signature)),
        Value::Array(positional) => Ok(Args { positional, keywords: Map::new() }),
        _ => Err(Fault::parameter("parameters are an object or an array")),
    }
}

/// The parameters in a query: text where the declaration says so, otherwise JSON where it is such.
fn from_query(query: Vec<(String, String)>, declaration: &Declaration) -> Args {
    let params = declaration.signature.params;
    let mut members: Vec<(toji_value::Key, Value)> = Vec::new();
    let mut rest: Vec<Value> = Vec::new();
    for (name, text) in query {
        let at = params.iter().position(|param| param.name == name);
        let kind = at.map_or(Type::Any, |at| declaration.types[at].inner());
        let value = of_text(text, kind);
        if at.is_some_and(|at| params[at].kind == ParamKind::Rest) {
            rest.push(value);
        } else {
            members.push((name.into(), value));
        }
    }
    let mut members = Map::from_pairs(members);
    if let Some(param) = params.iter().find(|param| param.kind == ParamKind::Rest)
        && !rest.is_empty()
    {
        members.insert(param.name, Value::Array(rest));
    }
    Args::named(members, &declaration.signature)
}

fn of_text(text: String, kind: Type) -> Value {
    if kind == Type::Str {
        return Value::Str(text);
    }
    let limits = toji_value::json::Limits::CALL;
    toji_value::json::parse(text.as_bytes(), &limits).unwrap_or(Value::Str(text))
}
