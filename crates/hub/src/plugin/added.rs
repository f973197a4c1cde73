//! Declarations of the calls that plugins add.

use toji_api::{Access, Declaration, Type};
use toji_plugin::Export;
use toji_value::{Default as Preset, Param, ParamKind, Signature, Value};

/// The declaration of an added call.
///
/// Declarations live as long as the process, like those that are compiled in: plugins are loaded
/// once, when the hub starts.
pub(crate) fn declaration(export: &Export) -> Declaration {
    let params: Vec<Param> = export
        .params
        .iter()
        .map(|param| Param {
            name: forever(&param.name),
            default: param.default.as_ref().map(preset),
            kind: ParamKind::Plain,
        })
        .collect();
    let name = forever(&export.name);
    Declaration {
        types: Box::leak(vec![Type::Any; params.len()].into()),
        signature: Signature { name, python: name, params: Box::leak(params.into()) },
        type_name: name,
        output: Type::Any,
        access: match export.access.as_str() {
            "anonymous" => Access::Anonymous,
            "login" => Access::Login,
            "host" => Access::Host,
            "admin" => Access::Admin,
            permission => Access::Permission(forever(permission)),
        },
        writes: true,
        doc: forever(&export.doc),
        example: None,
    }
}

fn forever(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn preset(value: &Value) -> Preset {
    match value {
        Value::Bool(b) => Preset::Bool(*b),
        Value::Int(i) => Preset::Int(*i),
        Value::Str(s) => Preset::Str(forever(s)),
        _ => Preset::Nil,
    }
}
