//! What a plugin says of itself.

use toji_value::{FromValue, Map, Value};

/// The callbacks of Koji: those of the hub, then those of builders.
pub const CALLBACKS: &[&str] = &[
    "prePackageListChange",
    "postPackageListChange",
    "preTaskStateChange",
    "postTaskStateChange",
    "preBuildStateChange",
    "postBuildStateChange",
    "preImport",
    "postImport",
    "preRPMSign",
    "postRPMSign",
    "preTag",
    "postTag",
    "preUntag",
    "postUntag",
    "preRepoInit",
    "postRepoInit",
    "preRepoDone",
    "postRepoDone",
    "preBuildPromote",
    "postBuildPromote",
    "preCommit",
    "postCommit",
    "preSCMCheckout",
    "postSCMCheckout",
    "postCreateDistRepo",
    "postCreateRepo",
];

/// What a plugin takes part in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// Callbacks that it gets.
    pub callbacks: Vec<Callback>,
    /// Calls that it adds.
    pub calls: Vec<Export>,
    /// Policy tests that it answers.
    pub tests: Vec<PolicyTest>,
    /// Task methods that it does on builders.
    pub tasks: Vec<Task>,
    /// Commands that it adds.
    pub commands: Vec<Command>,
}

/// A callback that a plugin gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Callback {
    /// One of [`CALLBACKS`].
    pub name: String,
    /// Its failure is logged and nothing more; otherwise it fails the call.
    pub ignore_error: bool,
}

/// A call that a plugin adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The name on the wire.
    pub name: String,
    /// Its parameters, in order.
    pub params: Vec<ExportParam>,
    /// `anonymous`, `login`, `host`, `admin`, or the name of a permission.
    pub access: String,
    /// The documentation.
    pub doc: String,
}

/// A parameter of an added call.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportParam {
    /// The name.
    pub name: String,
    /// The default; none for a parameter that must be given.
    pub default: Option<Value>,
}

/// A policy test that a plugin answers.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyTest {
    /// The word in policies.
    pub name: String,
    /// The policies that may use it; all if empty.
    pub policies: Vec<String>,
}

/// A task method that a plugin does.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The method.
    pub name: String,
    /// How much of a host's capacity it takes.
    pub weight: f64,
}

/// A command that a plugin adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The word on the command line.
    pub name: String,
    /// One line of help.
    pub help: String,
}

impl Manifest {
    /// Whether the plugin gets this callback, and if so whether its failure matters.
    pub fn callback(&self, name: &str) -> Option<&Callback> {
        self.callbacks.iter().find(|c| c.name == name)
    }

    /// Reads what a plugin tells: lists `callbacks`, `calls`, `tests`, `tasks`, `commands`, of names or structs.
    ///
    /// # Errors
    /// A text that names what is wrong.
    pub fn from_value(value: &Value) -> Result<Manifest, String> {
        let map = value.as_struct().ok_or("a manifest is a struct")?;
        let known = ["callbacks", "calls", "tests", "tasks", "commands"];
        if let Some(other) = map.keys().find(|key| !known.contains(key)) {
            return Err(format!("unknown part of a manifest: {other}"));
        }
        Ok(Manifest {
            callbacks: each(map, "callbacks", callback)?,
            calls: each(map, "calls", export)?,
            tests: each(map, "tests", |item| {
                let policies = strings(item.value("policies"))?;
                Ok(PolicyTest { name: name(item)?, policies })
            })?,
            tasks: each(map, "tasks", task)?,
            commands: each(map, "commands", |item| {
                Ok(Command { name: name(item)?, help: text(item, "help")? })
            })?,
        })
    }
}

/// Reads a list of structs; a plain text stands for a struct with that name.
fn each<T>(
    map: &Map,
    part: &str,
    read: impl Fn(&Map) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let wrong = |text: String| format!("{part}: {text}");
    let items = match map.value(part) {
        Value::Nil => return Ok(Vec::new()),
        Value::Array(items) => items,
        other => return Err(wrong(format!("not a list: {}", other.repr()))),
    };
    let read = |item: &Value| match item {
        Value::Str(name) => read(&toji_value::map! { "name" => name }),
        Value::Struct(map) => read(map),
        other => Err(format!("neither a name nor a struct: {}", other.repr())),
    };
    items.iter().map(|item| read(item).map_err(wrong)).collect()
}

fn text(item: &Map, key: &str) -> Result<String, String> {
    match item.value(key) {
        Value::Nil => Ok(String::new()),
        Value::Str(text) => Ok(text.clone()),
        other => Err(format!("{key} is not text: {}", other.repr())),
    }
}

fn name(item: &Map) -> Result<String, String> {
    match text(item, "name")? {
        name if name.is_empty() || name.contains(char::is_whitespace) => {
            Err(format!("not a name: {name:?}"))
        }
        name => Ok(name),
    }
}

fn task(item: &Map) -> Result<Task, String> {
    let name = name(item)?;
    // Its log is a file of this name.
    if name.contains('/') {
        return Err(format!("not a name: {name:?}"));
    }
    let weight = match item.value("weight") {
        Value::Nil => Some(1.0),
        given => given.as_f64().filter(|weight| (0.0..=100.0).contains(weight)),
    };
    Ok(Task { weight: weight.ok_or_else(|| format!("not a weight, for {name}"))?, name })
}

fn strings(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Nil => Ok(Vec::new()),
        other => Vec::<String>::from_value(other.clone()).map_err(|fault| fault.message),
    }
}

fn callback(item: &Map) -> Result<Callback, String> {
    let name = name(item)?;
    if !CALLBACKS.contains(&name.as_str()) {
        return Err(format!("\"{name}\" is not a valid callback type"));
    }
    Ok(Callback { name, ignore_error: item.truthy("ignore_error") })
}

fn export(item: &Map) -> Result<Export, String> {
    let params = match item.value("params") {
        Value::Nil => Vec::new(),
        Value::Array(items) => items.iter().map(param).collect::<Result<_, _>>()?,
        other => return Err(format!("params is not a list: {}", other.repr())),
    };
    let must = |p: &ExportParam| p.default.is_none();
    if params.iter().skip_while(|p| must(p)).any(must) {
        return Err("a parameter without a default follows one that has a default".to_owned());
    }
    let access = match text(item, "access")? {
        access if access.is_empty() => "login".to_owned(),
        access => access,
    };
    Ok(Export { name: name(item)?, params, access, doc: text(item, "doc")? })
}

/// `"name"`, or `["name", default]`.
fn param(item: &Value) -> Result<ExportParam, String> {
    let (name, default) = match item {
        Value::Str(name) => (name, None),
        Value::Array(pair) => match pair.as_slice() {
            [Value::Str(name), default] => (name, Some(default.clone())),
            _ => return Err(format!("not a parameter: {}", item.repr())),
        },
        _ => return Err(format!("not a parameter: {}", item.repr())),
    };
    let simple =
        matches!(default, None | Some(Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Str(_)));
    if name.is_empty() || !simple {
        return Err(format!("not a parameter: {}", item.repr()));
    }
    Ok(ExportParam { name: name.clone(), default })
}
