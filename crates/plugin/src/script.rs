//! Plugins written in rhai: each event runs one function, within limits.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::packages::{Package as _, StandardPackage};
use rhai::{
    AST, Array, CallFnOptions, Dynamic, Engine, EvalAltResult, FnPtr, Map as Object, Module,
    Position, Scope, Shared,
};
use toji_value::{Args, Fault, Map, Value, map};
use tokio::sync::mpsc;

use crate::convert::{from_script, to_script};
use crate::{Error, Event, Host, Kind, Limits, Manifest, Place, Settings};

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// A loaded script.
pub(crate) struct Script {
    name: Arc<str>,
    ast: Arc<AST>,
    functions: HashMap<(&'static str, String), String>,
    settings: Arc<Value>,
    limits: Limits,
    library: Shared<Module>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A call that a script waits for.
struct Ask {
    method: String,
    args: Args,
    answer: std::sync::mpsc::Sender<Result<Value, Fault>>,
}

/// What the script registered: its part of the manifest, name, function and options.
type Registered = Arc<Mutex<Vec<(Kind, Map, String)>>>;

/// Stops a script whose caller has gone.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Script {
    /// Compiles a script and runs its top level, which registers functions.
    pub(crate) fn load(
        name: &str,
        source: &str,
        settings: Settings,
        limits: Limits,
    ) -> Result<(Script, Manifest), Error> {
        let wrong = |text: String| Error::Manifest { name: name.to_owned(), text };
        let library = StandardPackage::new().as_shared_module();
        let settings = Arc::new(Value::from(settings));
        let name: Arc<str> = name.into();
        let found = Registered::default();
        let mut engine = engine(&name, &library, &settings, &limits);
        offer_registration(&mut engine, &found);
        let ast = engine.compile(source).map_err(|error| wrong(error.to_string()))?;
        engine.run_ast(&ast).map_err(|error| wrong(error.to_string()))?;
        let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        let mut functions = HashMap::new();
        let mut parts: HashMap<Kind, Vec<Value>> = HashMap::new();
        for (kind, item, function) in found {
            let key = (kind.name(), item.str("name").unwrap_or_default().to_owned());
            if functions.insert(key, function).is_some() {
                return Err(wrong(format!("registered twice: {}", item.value("name").display())));
            }
            parts.entry(kind).or_default().push(item.into());
        }
        let mut part = |kind| Value::Array(parts.remove(&kind).unwrap_or_default());
        let manifest = map! {
            "callbacks" => part(Kind::Callback), "calls" => part(Kind::Call),
            "tests" => part(Kind::Test), "tasks" => part(Kind::Task),
            "commands" => part(Kind::Command),
        };
        let manifest = Manifest::from_value(&manifest.into()).map_err(wrong)?;
        let script = Script { name, ast: Arc::new(ast), functions, settings, limits, library };
        Ok((script, manifest))
    }

    pub(crate) async fn run<H: Host>(
        &self,
        event: Event,
        host: &mut H,
        place: Option<Place>,
    ) -> Result<Value, Error> {
        let missing = || Error::Failed(format!("no function for {}", event.name));
        let key = (event.kind.name(), event.name.clone());
        let function = self.functions.get(&key).cloned().ok_or_else(missing)?;
        let (asks, mut asked) = mpsc::channel::<Ask>(1);
        let stop = Arc::new(AtomicBool::new(false));
        let _stop = Stop(stop.clone());
        let mut engine = engine(&self.name, &self.library, &self.settings, &self.limits);
        engine.on_progress(move |_| stop.load(Ordering::Relaxed).then_some(Dynamic::UNIT));
        offer_hub(&mut engine, asks);
        if let Some(place) = place {
            print_to(&mut engine, place.log);
        }
        let ast = self.ast.clone();
        let mut work = tokio::task::spawn_blocking(move || {
            let args: Array = event.args.iter().map(to_script).collect();
            let options = CallFnOptions::new().eval_ast(false);
            let mut scope = Scope::new();
            let answer: Fallible<Dynamic> =
                engine.call_fn_with_options(options, &mut scope, &ast, function, args);
            answer.map(from_script).map_err(|error| failure(&error))
        });
        let serve = async {
            loop {
                tokio::select! {
                    biased;
                    Some(ask) = asked.recv() => {
                        let answer = host.call(&ask.method, ask.args).await;
                        // A script that has ended meanwhile does not wait any more.
                        ask.answer.send(answer).ok();
                    }
                    ended = &mut work => return ended,
                }
            }
        };
        match tokio::time::timeout(self.limits.time, serve).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(Error::Failed(error.to_string())),
            Err(_) => Err(Error::TooSlow(self.limits.time)),
        }
    }
}

/// An engine without files, modules and time, with limits and what every script may use.
fn engine(
    name: &Arc<str>,
    library: &Shared<Module>,
    settings: &Arc<Value>,
    limits: &Limits,
) -> Engine {
    let mut engine = Engine::new_raw();
    engine.register_global_module(library.clone());
    engine.set_max_operations(limits.operations);
    engine.set_max_call_levels(32);
    engine.set_max_expr_depths(64, 64);
    engine.set_max_variables(128);
    engine.set_max_functions(256);
    engine.set_max_string_size(limits.text);
    engine.set_max_array_size(limits.text / 16);
    engine.set_max_map_size(limits.text / 16);
    engine.disable_symbol("eval");
    let (plugin, told) = (name.clone(), name.clone());
    engine.on_print(move |text| tracing::info!(plugin = &*plugin, "{text}"));
    engine.on_debug(move |text, _, _| tracing::debug!(plugin = &*told, "{text}"));
    let settings = settings.clone();
    engine.register_fn("settings", move || to_script(&settings));
    engine
}

/// What the script prints goes to a file; what cannot be written is lost.
fn print_to(engine: &mut Engine, log: File) {
    let printed = Arc::new(log);
    let also = printed.clone();
    engine.on_print(move |text| drop(writeln!(&*printed, "{text}")));
    engine.on_debug(move |text, _, _| drop(writeln!(&*also, "{text}")));
}

/// `hub(method, args)` and `hub(method, args, keywords)`.
fn offer_hub(engine: &mut Engine, asks: mpsc::Sender<Ask>) {
    let again = asks.clone();
    engine.register_fn("hub", move |method: &str, args: Array| {
        ask(&again, method, args, Object::new())
    });
    engine.register_fn("hub", move |method: &str, args: Array, keywords: Object| {
        ask(&asks, method, args, keywords)
    });
}

fn ask(asks: &mpsc::Sender<Ask>, method: &str, args: Array, keywords: Object) -> Fallible<Dynamic> {
    let gone = || Box::new(EvalAltResult::ErrorTerminated(Dynamic::UNIT, Position::NONE));
    let keywords = match from_script(keywords.into()) {
        Value::Struct(map) => map,
        _ => Map::new(),
    };
    let args = Args { positional: args.into_iter().map(from_script).collect(), keywords };
    let (answer, answered) = std::sync::mpsc::channel();
    asks.blocking_send(Ask { method: method.to_owned(), args, answer }).map_err(|_| gone())?;
    match answered.recv() {
        Ok(Ok(value)) => Ok(to_script(&value)),
        Ok(Err(fault)) => {
            let thrown = map! { "code" => i64::from(fault.code), "message" => fault.message };
            let thrown = to_script(&thrown.into());
            Err(Box::new(EvalAltResult::ErrorRuntime(thrown, Position::NONE)))
        }
        Err(_) => Err(gone()),
    }
}

/// `callback`, `rpc`, `policy_test`, `task` and `command`: a name, a function, and options.
fn offer_registration(engine: &mut Engine, found: &Registered) {
    let words = [
        ("callback", Kind::Callback),
        ("rpc", Kind::Call),
        ("policy_test", Kind::Test),
        ("task", Kind::Task),
        ("command", Kind::Command),
    ];
    for (word, kind) in words {
        let (plain, optional) = (found.clone(), found.clone());
        engine.register_fn(word, move |name: &str, function: FnPtr| {
            register(&plain, kind, name, &function, Object::new())
        });
        engine.register_fn(word, move |name: &str, function: FnPtr, options: Object| {
            register(&optional, kind, name, &function, options)
        });
    }
}

fn register(
    found: &Registered,
    kind: Kind,
    name: &str,
    function: &FnPtr,
    options: Object,
) -> Fallible<()> {
    if function.is_curried() {
        return Err("a function for events cannot capture variables".into());
    }
    let mut item = match from_script(options.into()) {
        Value::Struct(map) => map,
        _ => Map::new(),
    };
    item.insert("name", name);
    let entry = (kind, item, function.fn_name().to_owned());
    found.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    Ok(())
}

/// What went wrong, with the innermost words; a thrown struct of code and message is a fault.
fn failure(error: &EvalAltResult) -> Error {
    let mut inner = error;
    while let EvalAltResult::ErrorInFunctionCall(_, _, next, _) = inner {
        inner = next;
    }
    match inner {
        EvalAltResult::ErrorRuntime(thrown, _) => match from_script(thrown.clone()) {
            Value::Struct(map) => {
                let code = map.int("code").and_then(|code| i32::try_from(code).ok());
                match (code, map.str("message")) {
                    (Some(code), Some(text)) => {
                        Error::Fault(Fault { code, message: text.to_owned() })
                    }
                    _ => Error::Failed(Value::from(map).repr()),
                }
            }
            Value::Str(text) => Error::Failed(text),
            other => Error::Failed(other.repr()),
        },
        EvalAltResult::ErrorTooManyOperations(_)
        | EvalAltResult::ErrorTooManyVariables(_)
        | EvalAltResult::ErrorStackOverflow(_)
        | EvalAltResult::ErrorDataTooLarge(..) => Error::Limit(inner.to_string()),
        _ => Error::Failed(error.to_string()),
    }
}
