//! Plugins of the hub: who gets which callback, added calls, policy tests, and Koji's standard plugins.

mod added;
mod built_in;
mod dist_repo;
pub(crate) mod fedora;
mod maven;
mod message;

pub(crate) use added::declaration;
pub(crate) use built_in::BuiltIn;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use toji_plugin::{Event, Export, Host, Kind, Limits, Plugin, Settings};
use toji_policy::{Catalog, Data};
use toji_value::{Args, Fault, Map, Value, code};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use crate::batch::is_multicall;
use crate::dispatch::{invoke, make_task};
use crate::policy::value_of;
use crate::{Call, Config, Request};

/// How deep calls of plugins may lead to further ones, by callbacks or by calls that plugins add.
const MAX_DEPTH: u8 = 16;

/// The plugins of a hub.
#[derive(Debug, Default)]
pub struct Plugins {
    list: Vec<Entry>,
    /// For each callback, the plugins that get it in their order, and whether failure is ignored.
    callbacks: HashMap<String, Vec<(usize, bool)>>,
    tests: HashMap<String, usize>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    settings: Settings,
    work: Kept,
}

/// How a plugin is there.
#[derive(Debug)]
enum Kept {
    BuiltIn(BuiltIn),
    Loaded(Box<Plugin>),
}

impl Entry {
    fn new(config: &Config, name: &str, work: Kept) -> Entry {
        Entry { name: name.to_owned(), settings: settings(config, name), work }
    }
}

/// What the plugin's own file says, as values.
fn settings(config: &Config, name: &str) -> Settings {
    let sections = config.plugin_options.get(name).into_iter().flatten();
    let section = |(name, values): (&String, &BTreeMap<String, String>)| {
        let values = values.iter().map(|(key, value)| (key.clone().into(), Value::from(value)));
        (name.clone().into(), Value::from(values.collect::<Map>()))
    };
    sections.map(section).collect()
}

impl Plugins {
    /// Those plugins of a configuration that are built in.
    pub fn built_in(config: &Config) -> Plugins {
        let mut plugins = Plugins::default();
        for name in &config.plugins {
            if let Some(found) = BuiltIn::named(name) {
                plugins.add(Entry::new(config, name, Kept::BuiltIn(found)));
            }
        }
        plugins
    }

    /// The plugins of a configuration, in its order; those that are not built in are loaded.
    ///
    /// # Errors
    /// `PluginError` that names the plugin.
    pub async fn load(config: &Config) -> Result<Plugins, Fault> {
        let mut plugins = Plugins::default();
        for name in &config.plugins {
            let work = match BuiltIn::named(name) {
                Some(found) => Kept::BuiltIn(found),
                None => {
                    let (path, settings) = (&config.plugin_path, settings(config, name));
                    let plugin = toji_plugin::load(path, name, settings, Limits::default()).await;
                    Kept::Loaded(Box::new(plugin.map_err(toji_plugin::Error::into_fault)?))
                }
            };
            plugins.add(Entry::new(config, name, work));
        }
        Ok(plugins)
    }

    fn add(&mut self, entry: Entry) {
        let at = self.list.len();
        if self.list.iter().any(|other| other.name == entry.name) {
            return;
        }
        let callbacks: Vec<(String, bool)> = match &entry.work {
            Kept::BuiltIn(found) => {
                let ignore = found.ignores_errors();
                found.callbacks().map(|name| (name.to_owned(), ignore)).collect()
            }
            Kept::Loaded(plugin) => {
                let all = plugin.manifest.callbacks.iter();
                all.map(|callback| (callback.name.clone(), callback.ignore_error)).collect()
            }
        };
        for (name, ignore) in callbacks {
            self.callbacks.entry(name).or_default().push((at, ignore));
        }
        if let Kept::Loaded(plugin) = &entry.work {
            for test in &plugin.manifest.tests {
                self.tests.insert(test.name.clone(), at);
            }
        }
        self.list.push(entry);
    }

    /// The calls that plugins add, with the number of their plugin.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (usize, &Export)> {
        self.list.iter().enumerate().flat_map(|(at, entry)| {
            let calls = match &entry.work {
                Kept::BuiltIn(_) => &[],
                Kept::Loaded(plugin) => plugin.manifest.calls.as_slice(),
            };
            calls.iter().map(move |call| (at, call))
        })
    }

    /// The tests that a policy may use: the hub's, and over them those of plugins.
    pub(crate) fn catalog(&self, policy: &str) -> Catalog {
        let tests = self.list.iter().filter_map(|entry| match &entry.work {
            Kept::BuiltIn(_) => None,
            Kept::Loaded(plugin) => Some(&plugin.manifest.tests),
        });
        tests.flatten().fold(Catalog::hub(), |catalog, test| {
            let here = test.policies.is_empty() || test.policies.iter().any(|p| p == policy);
            if here { catalog.external(&test.name) } else { catalog }
        })
    }
}

/// What a plugin asks of the hub while it works: calls in the same transaction, by the same caller.
struct Within<'c> {
    call: &'c mut Call,
    plugin: &'c Plugin,
}

impl Host for Within<'_> {
    async fn call(&mut self, method: &str, args: Args) -> Result<Value, Fault> {
        let wanted = args.positional.first().and_then(Value::as_str);
        let own = method == "makeTask"
            && self.plugin.manifest.tasks.iter().any(|task| Some(task.name.as_str()) == wanted);
        ask(self.call, method, args, own).await
    }
}

type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'c>>;

/// A call of a plugin; what it changed is taken back when it fails, so that the plugin may go on.
///
/// Boxed, because the method may be a plugin's own, or run callbacks again.
pub(crate) fn nested<'c>(call: &'c mut Call, method: &'c str, args: Args) -> Work<'c, Value> {
    ask(call, method, args, false)
}

/// As [`nested`]; with `own` it makes a task of the plugin's own, for which its caller needs no permission.
fn ask<'c>(call: &'c mut Call, method: &'c str, args: Args, own: bool) -> Work<'c, Value> {
    Box::pin(async move {
        if is_multicall(method) {
            return Err(Fault::generic("a plugin cannot make a multicall"));
        }
        if call.depth >= MAX_DEPTH {
            let message = format!("{method} in a plugin: callbacks lead to callbacks");
            return Err(Fault { code: code::CALLBACK, message });
        }
        let before = std::mem::replace(&mut call.method, method.to_owned());
        let mark = call.mark().await?;
        call.depth += 1;
        let answer = apart(call, method.to_owned(), args, own).await;
        call.depth -= 1;
        call.method = before;
        match &answer {
            Ok(_) => call.keep(mark).await?,
            Err(_) => call.undo(mark).await?,
        }
        answer
    })
}

/// Runs a method in a task of its own: it begins with an empty stack, however deep the call is.
async fn apart(
    call: &mut Call,
    method: String,
    args: Args,
    own_task: bool,
) -> Result<Value, Fault> {
    let mut nobody = Call::new(call.hub.clone(), call.hub.db.begin(), Request::default());
    // Should the task end without giving the call back, nothing of it may be committed.
    nobody.tx.abandon();
    nobody.depth = call.depth;
    let mut own = std::mem::replace(call, nobody);
    let work = async move {
        let answer = match own_task {
            true => make_task(&mut own, args).await,
            false => invoke(&mut own, &method, args).await,
        };
        (own, answer)
    };
    match AbortOnDropHandle::new(tokio::spawn(work.in_current_span())).await {
        Ok((own, answer)) => {
            *call = own;
            answer
        }
        Err(_) => {
            Err(Fault::unexpected("a call of a plugin ended early, the hub's log tells more"))
        }
    }
}

impl Call {
    /// Whether a plugin gets this callback; what it is told need not be gathered otherwise.
    pub fn listens(&self, callback: &str) -> bool {
        self.hub.plugins.callbacks.contains_key(callback)
    }

    /// Runs a callback: `args` are what Koji's plugins get as keywords.
    ///
    /// # Errors
    /// `CallbackError` when a plugin fails that was not registered to be ignored.
    pub async fn callback(
        &mut self,
        name: &'static str,
        args: impl FnOnce() -> Map + Send,
    ) -> Result<(), Fault> {
        if !self.listens(name) {
            return Ok(());
        }
        run(self, name, args()).await
    }

    /// Answers a policy test of a plugin; nothing if no plugin has it.
    ///
    /// # Errors
    /// `GenericError` when the plugin fails.
    pub(crate) async fn plugin_test(
        &mut self,
        name: &str,
        words: &[String],
        data: &Data,
    ) -> Result<Option<bool>, Fault> {
        let hub = self.hub.clone();
        let entry = hub.plugins.tests.get(name).and_then(|at| hub.plugins.list.get(*at));
        let Some(Entry { work: Kept::Loaded(plugin), .. }) = entry else { return Ok(None) };
        let words = Value::Array(words.iter().map(Value::from).collect());
        let data: Map =
            data.iter().map(|(key, field)| (key.to_owned().into(), value_of(field))).collect();
        let event =
            Event { kind: Kind::Test, name: name.to_owned(), args: vec![words, data.into()] };
        let answer = plugin.run(event, &mut Within { call: self, plugin }).await;
        let answer = answer.map_err(|error| {
            Fault::generic(format!("policy test {name} of plugin {}: {error}", plugin.name))
        })?;
        Ok(Some(answer.truthy()))
    }
}

/// Runs an added call.
pub(crate) async fn call(
    call: &mut Call,
    plugin: usize,
    name: &str,
    args: Vec<Value>,
) -> Result<Value, Fault> {
    let hub = call.hub.clone();
    let Some(Entry { work: Kept::Loaded(plugin), .. }) = hub.plugins.list.get(plugin) else {
        return Err(Fault::generic(format!("Invalid method: {name}")));
    };
    let event = Event { kind: Kind::Call, name: name.to_owned(), args };
    plugin.run(event, &mut Within { call, plugin }).await.map_err(|error| match error {
        toji_plugin::Error::Failed(text) => Fault::generic(text),
        other => other.into_fault(),
    })
}

/// Boxed, because what a plugin calls may run callbacks again.
fn run<'c>(call: &'c mut Call, name: &'static str, args: Map) -> Work<'c, ()> {
    Box::pin(async move {
        let hub = call.hub.clone();
        let listeners = hub.plugins.callbacks.get(name).map(Vec::as_slice).unwrap_or_default();
        for (at, ignore) in listeners {
            let Some(entry) = hub.plugins.list.get(*at) else { continue };
            let mark = if *ignore { Some(call.mark().await?) } else { None };
            let done = deliver(call, entry, name, &args).await;
            match (done, mark) {
                (Ok(()), Some(mark)) => call.keep(mark).await?,
                (Ok(()), None) => {}
                (Err(text), Some(mark)) => {
                    call.undo(mark).await?;
                    tracing::warn!(plugin = entry.name, callback = name, "callback failed: {text}");
                }
                (Err(text), None) => {
                    let plugin = &entry.name;
                    let text = format!("Error running {name} callback from {plugin}:\n{text}");
                    return Err(Fault { code: code::CALLBACK, message: text });
                }
            }
        }
        Ok(())
    })
}

async fn deliver(
    call: &mut Call,
    entry: &Entry,
    name: &'static str,
    args: &Map,
) -> Result<(), String> {
    match &entry.work {
        Kept::BuiltIn(found) => {
            found.callback(call, name, args, &entry.settings).await.map_err(|f| f.message)
        }
        Kept::Loaded(plugin) => {
            let args = vec![Value::from(name), args.clone().into()];
            let event = Event { kind: Kind::Callback, name: name.to_owned(), args };
            let done = plugin.run(event, &mut Within { call, plugin }).await;
            done.map(drop).map_err(|error| error.to_string())
        }
    }
}
