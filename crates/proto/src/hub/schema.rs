//! `hub.proto`: written from the declarations, kept in the repository, and only ever grown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toji_api::{Declaration, Type};
use toji_value::ParamKind;

const HEAD: &str =
    "// Written from the declarations of the calls by `./x contract api --write`; not by hand.
syntax = \"proto3\";

package toji.hub.v1;

import \"toji/hub/v1/value.proto\";

";

/// The text for all declared calls.
pub fn text() -> String {
    let mut calls: Vec<&Declaration> = toji_api::declarations().collect();
    calls.sort_by_key(|call| call.type_name);
    let mut out = HEAD.to_owned();
    out.push_str("// The calls of the hub, with their parameters as fields. What is left out has its default; nil is a value of its own.\n");
    out.push_str("// Faults are statuses with a google.rpc.ErrorInfo of the domain koji: faultCode and the name of the class.\n");
    out.push_str("service Hub {\n");
    for (at, call) in calls.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let name = call.type_name;
        comment(&mut out, &format!("{}: {}", call.signature.name, call.doc));
        let _ = writeln!(out, "  rpc {name}({name}Request) returns ({name}Response);");
    }
    out.push_str("}\n");
    for call in calls {
        messages(&mut out, call);
    }
    out
}

fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "  //{}{line}", if line.is_empty() { "" } else { " " });
    }
}

fn messages(out: &mut String, call: &Declaration) {
    let name = call.type_name;
    let params = call.signature.params;
    if params.is_empty() {
        let _ = writeln!(out, "\nmessage {name}Request {{}}");
    } else {
        let _ = writeln!(out, "\nmessage {name}Request {{");
        for (at, (param, kind)) in params.iter().zip(call.types).enumerate() {
            let kind = match param.kind {
                ParamKind::Rest => "repeated Value".to_owned(),
                ParamKind::Keywords => "map<string, Value>".to_owned(),
                ParamKind::Plain | ParamKind::Named => field(*kind, true),
            };
            let _ = writeln!(out, "  {kind} {} = {};", param.name, at + 1);
        }
        out.push_str("}\n");
    }
    let kind = match call.output {
        Type::List => "repeated Value".to_owned(),
        kind => field(kind, matches!(kind, Type::Maybe(_))),
    };
    let _ = writeln!(out, "\nmessage {name}Response {{\n  {kind} result = 1;\n}}");
}

fn field(kind: Type, absent: bool) -> String {
    let name = match kind.inner() {
        Type::Any | Type::Maybe(_) => return "Value".to_owned(),
        Type::List => return "List".to_owned(),
        Type::Struct => return "Struct".to_owned(),
        Type::Bool => "bool",
        Type::Int => "int64",
        Type::Double => "double",
        Type::Str => "string",
    };
    if absent { format!("optional {name}") } else { name.to_owned() }
}

/// What programs made from `old` would miss in `new`: methods and fields, with their types and numbers.
pub fn broken(old: &str, new: &str) -> Vec<String> {
    let new = blocks(new);
    let mut missing = Vec::new();
    for (block, lines) in blocks(old) {
        let Some(now) = new.get(block) else {
            missing.push(block.to_owned());
            continue;
        };
        let gone = lines.into_iter().filter(|line| !now.contains(line));
        missing.extend(gone.map(|line| format!("{block} {line}")));
    }
    missing
}

/// The lines of each message and service.
fn blocks(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut blocks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut block = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix('{').or(line.strip_suffix("{}")) {
            block = name.trim();
            blocks.entry(block).or_default();
        } else if line.ends_with(';') && !line.starts_with("//") {
            blocks.entry(block).or_default().push(line);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_would_miss_is_found() {
        let old = "message A {\n  bool x = 1;\n  // y\n  int64 y = 2;\n}\nmessage B {}\nservice S {\n  rpc A(B) returns (B);\n}\n";
        assert_eq!(broken(old, old), Vec::<String>::new());
        let grown = old.replace("int64 y = 2;", "int64 y = 2;\n  bool z = 3;") + "message C {}\n";
        assert_eq!(broken(old, &grown), Vec::<String>::new());
        assert_eq!(broken(old, &old.replace("int64 y", "string y")), ["message A int64 y = 2;"]);
        assert_eq!(broken(old, &old.replace("y = 2", "y = 3")), ["message A int64 y = 2;"]);
        assert_eq!(broken(old, &old.replace("message B {}\n", "")), ["message B"]);
        assert_eq!(
            broken(old, &old.replace("rpc A(B)", "rpc A(A)")),
            ["service S rpc A(B) returns (B);"]
        );
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = toji_api::declarations().map(|call| call.type_name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
