//! JSON-RPC 2.0 at `/api/rpc`: calls, notifications, batches in one transaction, and reading calls by GET.

use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use toji_hub::Hub;
use toji_hub::batch::Item;
use toji_value::{Args, Fault, Map, Value, map};

use crate::door::{self, Unread};
use crate::front::Client;
use crate::json::{self, get};
use crate::reply::accepts_gzip;
use crate::{Shared, crowd};

/// The codes of JSON-RPC itself; calls that fail have Koji's.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;

/// What a request asks for, and what its answer needs.
enum Asked {
    /// A call; without an id nobody wants to know what becomes of it.
    Call { id: Option<Value>, item: Item },
    /// Something that is none.
    Wrong(Value),
}

/// Options of a request, in the query.
#[derive(Default, serde::Deserialize)]
pub(crate) struct Options {
    /// Whether the first failure takes back the whole batch.
    #[serde(default)]
    strict: bool,
}

/// Answers a POST with a call or a batch.
pub(crate) async fn post(
    State(shared): State<Shared>,
    Extension(client): Extension<Client>,
    Query(options): Query<Options>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Err(text) = door::assert_json(&parts.headers) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{text}\n")).into_response();
    }
    let document = match door::read_body(body, shared.hub.config.max_request_length).await {
        Ok(document) => document,
        Err(Unread::Empty) => return unparsed("the request is empty"),
        Err(unread) => return (unread.status(), format!("{unread}\n")).into_response(),
    };
    let sent = match json::parse(document).await {
        Ok(sent) => sent,
        Err(text) => return unparsed(&text),
    };
    let gzip = accepts_gzip(&parts.headers);
    let logs_in = sent.get("method").as_str() == Some(door::SSL_LOGIN);
    let caller = match door::caller_or_bearer(&parts.headers, &client) {
        Ok(caller) => caller,
        Err(fault) => return refuse_all(&shared.hub, sent, &fault, gzip),
    };
    let mut caller = caller;
    let identified = door::identify(&shared, &client, &parts.headers, &mut caller, logs_in).await;
    let login = match identified {
        Ok(login) => login,
        Err(response) => return response,
    };
    let mut response = match sent {
        Value::Array(requests) if requests.is_empty() => {
            let error = error(INVALID_REQUEST, "a batch has at least one call", Value::Nil);
            json::answer(error, gzip)
        }
        Value::Array(requests) => {
            let asked = requests.into_iter().map(|one| read(&shared.hub, one)).collect();
            batch(&shared.hub, &caller, asked, options.strict, gzip).await
        }
        one => {
            let asked = read(&shared.hub, one);
            single(&shared.hub, &caller, asked, gzip).await
        }
    };
    if let Some(login) = login {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, login);
    }
    response
}

/// The call in the query of a GET.
#[derive(serde::Deserialize)]
pub(crate) struct Asking {
    method: Option<String>,
    params: Option<String>,
    id: Option<String>,
}

/// Answers a GET with a call that only reads.
pub(crate) async fn get(
    State(shared): State<Shared>,
    Extension(client): Extension<Client>,
    Query(asking): Query<Asking>,
    headers: HeaderMap,
) -> Response {
    let parsed = |text: &str| {
        let parsed = toji_value::json::parse(text.as_bytes(), &toji_value::json::Limits::CALL);
        parsed.map_err(|error| error.to_string())
    };
    let id = asking.id.map(|id| parsed(&id).unwrap_or(Value::Str(id)));
    let params = match asking.params.as_deref().map(parsed).transpose() {
        Ok(params) => params.unwrap_or(Value::Array(Vec::new())),
        Err(text) => return unparsed(&format!("params: {text}")),
    };
    let request = map! {
        "jsonrpc" => "2.0", "method" => asking.method, "params" => params, "id" => id,
    };
    let (id, item) = match read(&shared.hub, request.into()) {
        Asked::Call { id, item } => (id.unwrap_or_default(), item),
        Asked::Wrong(wrong) => return json::answer(wrong, false),
    };
    if shared.hub.declaration(&item.method).is_some_and(|declaration| declaration.writes) {
        let allow = [(header::ALLOW, "POST")];
        let text = "calls that change something are sent by POST\n";
        return (StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response();
    }
    let gzip = accepts_gzip(&headers);
    let caller = match door::caller_or_bearer(&headers, &client) {
        Ok(caller) => caller,
        Err(fault) => return json::answer(failed(&fault, id), gzip),
    };
    if shared.hub.declaration(&item.method).is_none() {
        let fault = Fault::generic(format!("Invalid method: {}", item.method));
        return json::answer(failed(&fault, id), gzip);
    }
    let (_place, done) = crowd::call(&shared.hub, &caller, &item.method, item.args).await;
    match done {
        Ok(value) => {
            let document = json::document(self::done(value, id));
            get::kept(document, json::KIND, &headers, door::is_anonymous(&caller), gzip)
        }
        Err(fault) => json::answer(failed(&fault, id), gzip),
    }
}

/// Takes a request apart.
fn read(hub: &Hub, request: Value) -> Asked {
    let wrong = |text: &str, id: Value| Asked::Wrong(error(INVALID_REQUEST, text, id));
    let Value::Struct(mut request) = request else {
        return wrong("a call is an object", Value::Nil);
    };
    let id = request.remove("id");
    let shown = match &id {
        Some(id @ (Value::Nil | Value::Int(_) | Value::Double(_) | Value::Str(_))) => id.clone(),
        None => Value::Nil,
        Some(_) => return wrong("an id is a number, text or null", Value::Nil),
    };
    if request.str("jsonrpc") != Some("2.0") {
        return wrong("jsonrpc must be \"2.0\"", shown);
    }
    let Some(Value::Str(method)) = request.remove("method") else {
        return wrong("the method must be text", shown);
    };
    let args = match request.remove("params") {
        None | Some(Value::Nil) => Args::default(),
        Some(Value::Array(params)) => Args::decode(params),
        Some(Value::Struct(members)) => match hub.declaration(&method) {
            Some(declaration) => Args::named(members, &declaration.signature),
            None => Args { positional: Vec::new(), keywords: members },
        },
        Some(_) => return wrong("params are an array or an object", shown),
    };
    Asked::Call { id, item: Item { method, args } }
}

async fn single(hub: &Hub, caller: &toji_hub::Request, asked: Asked, gzip: bool) -> Response {
    let (id, item) = match asked {
        Asked::Call { id, item } => (id, item),
        Asked::Wrong(wrong) => return json::answer(wrong, gzip),
    };
    let (_place, result) = crowd::call(hub, caller, &item.method, item.args).await;
    if let Err(fault) = &result {
        let (method, code) = (&item.method, fault.code);
        tracing::info!(method, code, text = fault.message, "call failed");
    }
    match id {
        None => StatusCode::NO_CONTENT.into_response(),
        Some(id) => json::answer(answered(result, id), gzip),
    }
}

async fn batch(
    hub: &Hub,
    caller: &toji_hub::Request,
    asked: Vec<Asked>,
    strict: bool,
    gzip: bool,
) -> Response {
    let mut places = Vec::with_capacity(asked.len());
    let mut items = Vec::with_capacity(asked.len());
    let mut broken = false;
    for one in asked {
        places.push(match one {
            Asked::Call { id, item } => {
                items.push(item);
                Ok(id)
            }
            Asked::Wrong(wrong) => {
                broken = true;
                Err(wrong)
            }
        });
    }
    let count = items.len();
    let (_place, results) = if strict && broken {
        (None, Err(Fault::generic("not begun, because something in the batch is no call")))
    } else {
        crowd::batch(hub, caller, items, strict).await
    };
    let mut results = match results {
        Ok(results) => results,
        Err(fault) => vec![Err(fault); count],
    }
    .into_iter();
    let answers = places.into_iter().filter_map(|place| match place {
        Ok(id) => {
            let result = results.next().unwrap_or_else(|| Err(Fault::unexpected("no answer")));
            Some(answered(result, id?))
        }
        Err(wrong) => Some(wrong),
    });
    let answers: Vec<Value> = answers.collect();
    if answers.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    json::answer(Value::Array(answers), gzip)
}

/// Answers every call that was sent with the same fault.
fn refuse_all(hub: &Hub, sent: Value, fault: &Fault, gzip: bool) -> Response {
    let one = |request: Value| match read(hub, request) {
        Asked::Call { id, .. } => failed(fault, id.unwrap_or_default()),
        Asked::Wrong(wrong) => wrong,
    };
    json::answer(
        match sent {
            Value::Array(requests) => Value::Array(requests.into_iter().map(one).collect()),
            request => one(request),
        },
        gzip,
    )
}

fn answered(result: Result<Value, Fault>, id: Value) -> Value {
    match result {
        Ok(value) => done(value, id),
        Err(fault) => failed(&fault, id),
    }
}

fn done(value: Value, id: Value) -> Value {
    let pairs = [("jsonrpc", Value::from("2.0")), ("result", value), ("id", id)];
    Value::Struct(Map::from_distinct(pairs.map(|(key, value)| (key.into(), value)).into()))
}

fn failed(fault: &Fault, id: Value) -> Value {
    let error = map! {
        "code" => fault.code,
        "message" => &fault.message,
        "data" => map! { "name" => fault.class() },
    };
    map! { "jsonrpc" => "2.0", "error" => error, "id" => id }.into()
}

fn error(code: i32, message: &str, id: Value) -> Value {
    let error = map! { "code" => code, "message" => message };
    map! { "jsonrpc" => "2.0", "error" => error, "id" => id }.into()
}

fn unparsed(text: &str) -> Response {
    let mut response = json::answer(error(PARSE_ERROR, text, Value::Nil), false);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
