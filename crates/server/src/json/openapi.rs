//! `/api/openapi.json`: what can be called by HTTP with JSON, from the declarations.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map as Object, Value as Json, json};
use toji_api::{Access, Declaration, Type};
use toji_value::{Param, ParamKind, Value};

use crate::Shared;
use crate::json::resource::PROBLEM;
use crate::json::{KIND, get};
use crate::reply::{Document, accepts_gzip};

/// Statuses of faults, and what they mean.
const FAULTS: [(&str, &str); 9] = [
    ("400", "A parameter is missing, unknown, of a wrong type or no proper name."),
    ("401", "The session or the login is not valid."),
    ("403", "The caller may not do this."),
    ("409", "Something is locked, or the call was sent before."),
    ("413", "The request is too long."),
    ("415", "The document does not say that it is JSON."),
    ("422", "The call failed; the code tells how."),
    ("500", "The hub met something that it did not expect."),
    ("503", "The hub is in maintenance."),
];

/// Answers with the document.
pub(crate) async fn handle(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let text = shared.openapi.get_or_init(|| {
        let mut calls: Vec<&Declaration> = shared.hub.declarations().collect();
        calls.sort_by_key(|declaration| declaration.signature.name);
        document(&calls).to_string()
    });
    let document = Document::Whole(text.clone().into_bytes());
    get::kept(document, KIND, &headers, true, accepts_gzip(&headers))
}

/// The document for these calls.
fn document(calls: &[&Declaration]) -> Json {
    let paths = calls.iter().map(|call| (format!("/api/v1/{}", call.signature.name), path(call)));
    let mut responses = Object::new();
    for (status, text) in FAULTS {
        let content = json!({ PROBLEM: { "schema": { "$ref": "#/components/schemas/Fault" } } });
        responses
            .insert(format!("Fault{status}"), json!({ "description": text, "content": content }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Toji",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The calls of the hub, which are Koji's and some more. The same calls are answered by XML-RPC at \
                /kojihub, by JSON-RPC 2.0 at /api/rpc (batches are one transaction) and by gRPC.\n\n\
                Integers have 64 bits. Bytes are {\"$bytes\": \"base64\"}, moments {\"$datetime\": \"20261123T07:00:00\"}.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths.collect::<Object<String, Json>>(),
        "components": {
            "schemas": { "Fault": fault() },
            "responses": responses,
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "SESSION-ID:SESSION-KEY, as login returns them",
                },
                "session": { "type": "apiKey", "in": "header", "name": "Koji-Session-Id" },
                "key": { "type": "apiKey", "in": "header", "name": "Koji-Session-Key" },
            },
        },
    })
}

fn fault() -> Json {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "const": "about:blank" },
            "title": { "type": "string", "description": "the class that Koji's clients raise" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "integer", "description": "Koji's fault code" },
        },
    })
}

/// The operations of a call.
fn path(call: &Declaration) -> Json {
    let mut operations = Object::new();
    operations.insert("post".into(), operation(call, false));
    if !call.writes {
        operations.insert("get".into(), operation(call, true));
    }
    Json::Object(operations)
}

fn operation(call: &Declaration, gets: bool) -> Json {
    let name = call.signature.name;
    let (summary, description) = call.doc.split_once('\n').unwrap_or((call.doc, ""));
    let mut responses = Object::new();
    let example = json!({ KIND: { "schema": schema(call.output) } });
    responses.insert("200".into(), json!({ "description": "The answer.", "content": example }));
    if gets {
        responses
            .insert("304".into(), json!({ "description": "The answer is what the client has." }));
    }
    for (status, _) in FAULTS {
        let reference = format!("#/components/responses/Fault{status}");
        responses.insert(status.into(), json!({ "$ref": reference }));
    }
    let area = name.split_once('.').map_or("hub", |(area, _)| area);
    let mut operation = json!({
        "operationId": if gets { format!("get-{name}") } else { name.to_owned() },
        "summary": summary,
        "description": format!("{}\n\n{}", description.trim(), access(call.access)).trim(),
        "tags": [area],
        "responses": responses,
        "security": security(call.access),
    });
    if gets {
        operation["parameters"] = parameters(call);
    } else {
        let content = json!({ KIND: body(call) });
        let required = call.signature.params.iter().any(is_required);
        operation["requestBody"] = json!({ "required": required, "content": content });
    }
    operation
}

fn is_required(param: &Param) -> bool {
    param.kind == ParamKind::Plain && param.default.is_none()
}

/// The object with the parameters of a POST.
fn body(call: &Declaration) -> Json {
    let mut properties = Object::new();
    let mut more = false;
    for (param, kind) in call.signature.params.iter().zip(call.types) {
        if param.kind == ParamKind::Keywords {
            more = true;
        } else {
            properties.insert(param.name.into(), parameter(param, *kind));
        }
    }
    let required = call.signature.params.iter().filter(|p| is_required(p)).map(|p| p.name);
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": more,
    });
    let required: Vec<&str> = required.collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let mut body = json!({ "schema": schema });
    if let Some(example) = example(call) {
        body["example"] = Json::Object(example);
    }
    body
}

/// The parameters in the query of a GET; values that are no text are JSON there.
fn parameters(call: &Declaration) -> Json {
    let example = example(call).unwrap_or_default();
    let listed = call.signature.params.iter().zip(call.types);
    let listed = listed.filter(|(param, _)| param.kind != ParamKind::Keywords);
    let one = |(param, kind): (&Param, &Type)| {
        let mut shown =
            json!({ "name": param.name, "in": "query", "required": is_required(param) });
        match kind.inner() {
            _ if param.kind == ParamKind::Rest => {
                shown["schema"] = json!({ "type": "array", "items": {} });
            }
            Type::Any | Type::List | Type::Struct => {
                shown["content"] = json!({ KIND: { "schema": schema(*kind) } });
            }
            _ => shown["schema"] = parameter(param, kind.inner()),
        }
        if let Some(value) = example.get(param.name) {
            shown["example"] = value.clone();
        }
        shown
    };
    listed.map(one).collect()
}

fn parameter(param: &Param, kind: Type) -> Json {
    if param.kind == ParamKind::Rest {
        return json!({ "type": "array", "items": {}, "description": "any number of values" });
    }
    let mut schema = schema(kind);
    if let (Some(default), Json::Object(members)) = (&param.default, &mut schema) {
        let value = default.value();
        // A parameter that may be left out may be null, too.
        if !value.is_nil() {
            members.insert("default".into(), value.to_json());
        }
    }
    schema
}

fn schema(kind: Type) -> Json {
    let name = match kind {
        Type::Any => return json!({}),
        Type::Bool => "boolean",
        Type::Int => {
            return json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX });
        }
        Type::Double => "number",
        Type::Str => "string",
        Type::List => return json!({ "type": "array", "items": {} }),
        Type::Struct => "object",
        Type::Maybe(inner) => {
            let mut schema = schema(*inner);
            if let Some(name) = schema.get("type").cloned() {
                schema["type"] = json!([name, "null"]);
            }
            return schema;
        }
    };
    json!({ "type": name })
}

/// The example's arguments by name.
fn example(call: &Declaration) -> Option<Object<String, Json>> {
    let Value::Array(values) = Value::from_json(serde_json::from_str(call.example?).ok()?) else {
        return None;
    };
    let mut values = values.into_iter();
    let mut members = Object::new();
    for param in call.signature.params {
        match param.kind {
            ParamKind::Plain => {
                let Some(value) = values.next() else { break };
                members.insert(param.name.into(), value.to_json());
            }
            ParamKind::Rest => {
                let rest: Vec<Json> = values.by_ref().map(|value| value.to_json()).collect();
                members.insert(param.name.into(), Json::Array(rest));
            }
            ParamKind::Keywords | ParamKind::Named => {}
        }
    }
    Some(members)
}

fn access(access: Access) -> String {
    match access {
        Access::Anonymous => "Anybody may call it.".into(),
        Access::Login => "For users who are logged in.".into(),
        Access::Permission(name) => format!("For users with the permission {name}."),
        Access::Owner(rule) | Access::Custom(rule) => format!("Who may call it: {rule}."),
        Access::Host => "For builders.".into(),
        Access::Admin => "For administrators.".into(),
    }
}

fn security(access: Access) -> Json {
    let logins = [json!({ "token": [] }), json!({ "session": [], "key": [] })];
    match access {
        Access::Anonymous | Access::Custom(_) => json!([{}, logins[0], logins[1]]),
        _ => json!(logins),
    }
}
