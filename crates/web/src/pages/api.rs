//! The reference of the calls, written from their declarations, with examples to try.

use axum::extract::{Path, State};
use axum::response::Response;
use minijinja::{Value as Shown, context};
use toji_api::{Access, Declaration, Type};
use toji_value::{Args, Fault, ParamKind, Value};

use crate::Site;
use crate::error::PageError;

/// All calls, those of an area together.
pub(crate) async fn list(State(site): State<Site>) -> Result<Response, PageError> {
    let mut calls: Vec<&Declaration> = toji_api::declarations().collect();
    calls.sort_by_key(|call| (area(call), call.signature.name));
    let calls: Vec<Shown> = calls.into_iter().map(row).collect();
    site.page("api.html", context! { title => "Calls", calls => calls })
}

/// One call, with an example to try.
pub(crate) async fn one(
    State(site): State<Site>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let found = toji_api::declarations().find(|call| call.signature.name == name);
    let call = found.ok_or_else(|| Fault::generic(format!("Invalid method: {name}")))?;
    let params: Vec<Shown> = call
        .signature
        .params
        .iter()
        .zip(call.types)
        .map(|(param, kind)| {
            let default = param.default.as_ref().map(|default| default.value().to_json());
            context! {
                name => param.name,
                kind => match param.kind {
                    ParamKind::Rest => "any number of values".to_owned(),
                    ParamKind::Keywords => "any further names".to_owned(),
                    ParamKind::Plain | ParamKind::Named => words(*kind),
                },
                by_name => param.kind == ParamKind::Named,
                default => default.map(|default| default.to_string()),
            }
        })
        .collect();
    let example = call.example.and_then(|text| example(call, text));
    site.page(
        "call.html",
        context! {
            title => call.signature.name,
            call => row(call),
            rpc => call.type_name,
            params => params,
            output => words(call.output),
            example => example.clone().unwrap_or_else(|| "{}".to_owned()),
            has_example => example.is_some(),
        },
    )
}

fn row(call: &Declaration) -> Shown {
    let (summary, more) = call.doc.split_once('\n').unwrap_or((call.doc, ""));
    context! {
        name => call.signature.name,
        area => area(call),
        params => call.signature.params.iter().map(|param| param.name).collect::<Vec<_>>(),
        summary => summary,
        more => more.trim(),
        writes => call.writes,
        access => access(call.access),
    }
}

/// What the calls of a name's first part are about.
fn area(call: &Declaration) -> &'static str {
    call.signature.name.split_once('.').map_or("hub", |(area, _)| area)
}

fn access(access: Access) -> String {
    match access {
        Access::Anonymous => "anybody".into(),
        Access::Login => "users who are logged in".into(),
        Access::Permission(name) => format!("users with the permission {name}"),
        Access::Owner(rule) | Access::Custom(rule) => rule.into(),
        Access::Host => "builders".into(),
        Access::Admin => "administrators".into(),
    }
}

fn words(kind: Type) -> String {
    match kind {
        Type::Any => "any value".into(),
        Type::Bool => "true or false".into(),
        Type::Int => "integer".into(),
        Type::Double => "number".into(),
        Type::Str => "text".into(),
        Type::List => "list".into(),
        Type::Struct => "object".into(),
        Type::Maybe(inner) => format!("{} or null", words(*inner)),
    }
}

/// The example's arguments as a document to send: by name where every one has a name.
fn example(call: &Declaration, text: &str) -> Option<String> {
    let limits = toji_value::json::Limits::CALL;
    let Value::Array(positional) = toji_value::json::parse(text.as_bytes(), &limits).ok()? else {
        return None;
    };
    let args = Args::decode(positional);
    let params = call.signature.params;
    let mut out = Vec::new();
    let value = if params.iter().any(|param| param.kind == ParamKind::Rest) {
        Value::Array(args.encode())
    } else {
        let mut members = args.keywords;
        for (param, value) in params.iter().zip(args.positional) {
            members.insert(param.name, value);
        }
        Value::Struct(members)
    };
    toji_value::write(&value, &mut toji_value::json::Json, &mut out);
    String::from_utf8(out).ok()
}
