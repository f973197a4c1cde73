//! Tasks of plugins: a script or a program gets the parameters, its output is the task's log, its answer the result.

use std::time::Duration;

use toji_plugin::{Event, Host, Kind, Place};
use toji_value::{Args, Fault, Map, Value};

use super::texts;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::wait::Wait;

/// The pause between two looks at what the plugin has written.
const PACE: Duration = Duration::from_millis(200);

/// Runs the plugin's function for a method; when the task is taken away, a program is killed with all that it started.
pub(crate) async fn run(task: &Context, method: &str, request: Vec<Value>) -> Result<Value> {
    let none = || Failure::generic(format!("no plugin for {method}"));
    let (plugin, _) = task.shared.plugins.task(method).ok_or_else(none)?;
    let Args { positional, keywords } = Args::decode(request);
    let args = vec![task.id.into(), Value::Array(positional), keywords.into()];
    let event = Event { kind: Kind::Task, name: method.to_owned(), args };
    let log = task.log(&format!("{method}.log"))?;
    let dir = task.make_dir("plugin")?;
    let unusable = Failure::local("cannot write the log");
    let place = Place { dir, log: log.file().map_err(unusable)? };
    let mut room = Room { task };
    let working = plugin.run_at(event, &mut room, place);
    tokio::pin!(working);
    let mut look = tokio::time::interval(PACE);
    loop {
        tokio::select! {
            done = &mut working => {
                return done.map_err(|error| match error {
                    toji_plugin::Error::Fault(fault) => fault.into(),
                    other => Failure::generic(format!("plugin {}: {other}", plugin.name)),
                });
            }
            _ = look.tick() => log.grown(),
        }
    }
}

/// What a plugin may ask for while it works: calls in the task's session, and what only the builder can do.
struct Room<'t> {
    task: &'t Context,
}

impl Host for Room<'_> {
    async fn call(&mut self, method: &str, args: Args) -> Result<Value, Fault> {
        let done = match method {
            "builder.upload" => self.upload(args).await,
            "builder.subtask" => self.subtask(args).await,
            "builder.wait" => self.wait(args).await,
            _ => self.task.call(method, args).await,
        };
        done.map_err(|Failure(fault, _)| fault)
    }
}

impl Room<'_> {
    /// Uploads a file of the working directory: its path, and the name it gets.
    async fn upload(&self, args: Args) -> Result<Value> {
        let mut given = args.positional.iter().map(Value::as_str);
        let wrong = || Failure::generic("builder.upload takes a path and a name");
        let path = given.next().flatten().ok_or_else(wrong)?;
        let name = given.next().unwrap_or_else(|| path.rsplit('/').next()).ok_or_else(wrong)?;
        let dir = self.task.make_dir("plugin")?;
        let found = std::fs::canonicalize(dir.join(path));
        let found = found.map_err(Failure::local(format!("no file {path}")))?;
        let dir = std::fs::canonicalize(&dir).map_err(Failure::local("no working directory"))?;
        if !found.starts_with(&dir) {
            return Err(Failure::generic(format!("not in the working directory: {path}")));
        }
        Ok(self.task.upload(&found, name).await?.into())
    }

    /// Makes a child task: its method, the list of its parameters, and the options of `host.subtask`.
    async fn subtask(&self, args: Args) -> Result<Value> {
        let wrong = || Failure::generic("builder.subtask takes a method, a list and options");
        let mut given = args.positional.into_iter();
        let method = given.next().ok_or_else(wrong)?;
        let params = given.next().unwrap_or_else(|| Value::Array(Vec::new()));
        let (Some(method), Value::Array(params)) = (method.as_str(), params) else {
            return Err(wrong());
        };
        let opts = match given.next() {
            None | Some(Value::Nil) => Map::new(),
            Some(Value::Struct(opts)) => opts,
            Some(_) => return Err(wrong()),
        };
        Ok(self.task.subtask(method, params, opts).await?.into())
    }

    /// Waits for child tasks; their results by number, as text.
    async fn wait(&self, args: Args) -> Result<Value> {
        let given = args.positional.first().cloned().unwrap_or_default();
        let ids: Vec<i64> =
            given.as_array().unwrap_or_default().iter().filter_map(Value::as_int).collect();
        if ids.is_empty() || !texts(&given).is_empty() {
            return Err(Failure::generic("builder.wait takes a list of task ids"));
        }
        let results = self.task.wait(&ids, Wait::STRICT).await?;
        let results = results.into_iter().map(|(id, result)| (id.to_string().into(), result));
        Ok(results.collect::<Map>().into())
    }
}
