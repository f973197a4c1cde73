//! Running one task from its opening to its result.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toji_client::{Client, args, task_response};
use toji_sandbox::CancellationToken;
use toji_value::{Args, Fault, Value, code, list};
use tokio::sync::Mutex;

use crate::context::{Context, Shared, Signals, is_unknown_method, upload_dir};
use crate::failure::{Failure, Whose, chain};
use crate::logs::Logs;
use crate::tasks::{self, Method};
use crate::{explain, failed};

/// How long the rest of a stopped task's logs may take on its way to the hub.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A task that was given to this host.
pub(crate) struct Worker {
    pub(crate) id: i64,
    /// What is to be done, where the hub has told it.
    pub(crate) method: String,
    /// The daemon's session: for what happens before and after the task's own.
    pub(crate) hub: Client,
    pub(crate) shared: Arc<Shared>,
    pub(crate) cancel: CancellationToken,
    pub(crate) signals: Arc<Signals>,
}

/// Who does a task.
#[derive(Clone, Copy)]
enum Work {
    Own(&'static Method),
    /// A plugin, and the weight that it gives the task.
    Plugin(f64),
}

impl Work {
    fn weight(self) -> f64 {
        match self {
            Work::Own(method) => method.weight,
            Work::Plugin(weight) => weight,
        }
    }
}

impl Worker {
    /// Opens the task, runs it, reports the result, cleans up; tells whether the hub knows how it ended.
    pub(crate) async fn run(self) -> bool {
        let id = self.id;
        if let Err(error) = self.take().await {
            tracing::error!(task = id, error = chain(&error), "the task could not be handled");
            return false;
        }
        true
    }

    async fn take(&self) -> Result<(), toji_client::Error> {
        let opened = self.open().await?;
        if opened.is_nil() {
            tracing::info!(task = self.id, "the task is not to be had");
            return Ok(());
        }
        let session = self.hub.later_subsession().await;
        let info = match with_request(opened) {
            Some(info) => info,
            None => session.call("getTaskInfo", args!(self.id; "request" => true)).await?,
        };
        let name = info.get("method").as_str().unwrap_or_default();
        let plugin = || self.shared.plugins.task(name).map(|(_, weight)| Work::Plugin(weight));
        let Some(work) = tasks::find(name).map(Work::Own).or_else(plugin) else {
            if tasks::vm::is_for_vm_host(name) {
                tracing::info!(task = self.id, method = name, "refused: not a VM host");
                tasks::vm::refuse(&session, self.id, &info).await?;
                return session.logout().await;
            }
            tracing::warn!(task = self.id, method = name, "refused: no handler");
            let call = args!(self.id; "soft" => false, "msg" => "no handler for method");
            session.call("host.refuseTask", call).await?;
            return session.logout().await;
        };
        tracing::info!(task = self.id, method = name, "opened");
        if !matches!(work, Work::Own(method) if method.name() == self.method) {
            self.hub.call("host.setTaskWeight", (self.id, work.weight())).await?;
        }
        let outcome = match info.get("request").clone() {
            Value::Array(request) => self.handle(&session, work, info, request).await,
            _ => Some(Err(Failure::generic("the task has no request"))),
        };
        let reported = self.report(&session, outcome).await;
        crate::buildroot::clean_mock(&self.shared.config, Some(self.id)).await;
        reported?;
        session.logout().await
    }

    /// Opens the task, because somebody waits for it; its weight goes along where the method is known.
    async fn open(&self) -> Result<Value, toji_client::Error> {
        let Some(method) = tasks::find(&self.method) else {
            return self.hub.call("host.openTask", (self.id,)).await;
        };
        let mut calls = self.hub.multicall();
        calls.add("host.openTask", (self.id,));
        calls.add("host.setTaskWeight", (self.id, method.weight));
        let mut results = calls.send().await?.into_iter();
        // the weight of a task that is not to be had cannot be set
        results.next().unwrap_or(Ok(Value::Nil)).map_err(toji_client::Error::Fault)
    }

    /// Runs the handler in a directory of its own; `None` when the task was taken away meanwhile.
    async fn handle(
        &self,
        session: &Client,
        what: Work,
        info: Value,
        request: Vec<Value>,
    ) -> Option<Result<Value, Failure>> {
        let work = work_dir(&self.shared.config.workdir, self.id);
        if let Err(failure) = fresh(&work) {
            return Some(Err(failure));
        }
        let dir = upload_dir(self.id);
        let task = Arc::new(Context {
            id: self.id,
            info,
            hub: session.clone(),
            shared: self.shared.clone(),
            work: work.clone(),
            logs: Logs::start(
                session.clone(),
                work.clone(),
                dir,
                self.shared.config.log_timestamps,
            ),
            cancel: self.cancel.clone(),
            signals: self.signals.clone(),
            token: Mutex::default(),
        });
        let running = async {
            let mut result = match what {
                Work::Own(method) => {
                    let values = Args::decode(request).bind(&method.signature)?;
                    (method.run)(task.clone(), values).await
                }
                Work::Plugin(_) => {
                    let name = task.info.get("method").display();
                    tasks::plugin::run(&task, &name, request).await
                }
            };
            if let Err(failure) = &mut result {
                explain::add(&task, failure).await;
            }
            // Whoever sees the task's end can read its logs to the end.
            let flushed = task.logs.flush().await;
            let value = result?;
            flushed?;
            Ok(value)
        };
        let outcome = self.cancel.run_until_cancelled(running).await;
        // What a handler makes of its cancellation is no result.
        let outcome = outcome.filter(|_| !self.cancel.is_cancelled());
        if outcome.is_none() {
            // The end of the log of a task that goes to another builder; of one that was cancelled it is refused.
            let _ = tokio::time::timeout(LAST_WORDS, task.logs.flush()).await;
        }
        drop(task);
        if let Some(Err(_)) = &outcome
            && let Err(error) = failed::keep(&self.shared.config.workdir, &work)
        {
            tracing::warn!(error = chain(&error), "a failed buildroot was not kept");
        }
        remove(&work).await;
        outcome
    }

    async fn report(
        &self,
        session: &Client,
        outcome: Option<Result<Value, Failure>>,
    ) -> Result<(), toji_client::Error> {
        let (call, response) = match outcome {
            None => {
                tracing::info!(task = self.id, "stopped");
                return Ok(());
            }
            Some(Ok(value)) => ("host.closeTask", task_response(Ok(&value))),
            Some(Err(Failure(fault, Whose::Builder))) => {
                tracing::warn!(task = self.id, reason = fault.message, "this builder failed");
                return self.give_back(session, fault).await;
            }
            Some(Err(Failure(fault, Whose::Task))) => {
                tracing::info!(task = self.id, fault = fault.message, "failed");
                ("host.failTask", task_response(Err(&fault)))
            }
        };
        // A task that made no calls has no session of its own.
        let own = session.session().await.is_some();
        let session = if own { session } else { &self.hub };
        match session.call(call, (self.id, response)).await {
            // What the hub does not take (a result that is too long) would never end the task.
            Err(toji_client::Error::Fault(refused)) if refused.code == code::GENERIC => {
                let text = format!("the hub refused the result: {}", refused.message);
                tracing::warn!(task = self.id, text);
                let response = task_response(Err(&Fault::generic(text)));
                session.call("host.failTask", (self.id, response)).await.map(drop)
            }
            // It was taken, and only the answer was lost.
            Err(toji_client::Error::Fault(fault)) if fault.code == code::RETRY => Ok(()),
            other => other.map(drop),
        }
    }

    /// Has another builder try the task; the hub counts how often that happens.
    ///
    /// A hub of Koji's does not count: there a task is refused once, and fails when it comes back.
    async fn give_back(&self, session: &Client, fault: Fault) -> Result<(), toji_client::Error> {
        match session.call("host.returnTask", (self.id, fault.message.as_str())).await {
            Err(error) if is_unknown_method(&error) => {}
            other => return other.map(drop),
        }
        let ours = session.call("host.getID", ()).await?;
        let asked = args!(Value::Array(vec![list!["task_id", self.id]]));
        let refusals = session.call("scheduler.getTaskRefusals", asked).await?;
        let mut refusals = refusals.as_array().unwrap_or_default().iter();
        if refusals.any(|refusal| *refusal.get("host_id") == ours) {
            let response = task_response(Err(&fault));
            return session.call("host.failTask", (self.id, response)).await.map(drop);
        }
        let call = args!(self.id; "soft" => true, "msg" => fault.message);
        session.call("host.refuseTask", call).await.map(drop)
    }
}

/// The record of a task that was opened, with its arguments; nothing if they are not in it.
fn with_request(mut opened: Value) -> Option<Value> {
    let info = opened.as_struct_mut()?;
    let request = toji_client::task_request(info.value("request").as_str()?)?;
    info.insert("request", Value::Array(request));
    Some(opened)
}

/// Where a task works.
pub(crate) fn work_dir(top: &Path, id: i64) -> PathBuf {
    top.join(upload_dir(id))
}

fn fresh(dir: &Path) -> Result<(), Failure> {
    toji_sandbox::remove_tree(dir)
        .and_then(|()| std::fs::create_dir_all(dir))
        .map_err(|e| Failure::own(format!("cannot use {}: {e}", dir.display())))
}

async fn remove(dir: &Path) {
    let path = dir.to_owned();
    let clean = move || {
        toji_sandbox::remove_tree(&path)?;
        // The directory above is shared with tasks of similar numbers; the last one takes it away.
        let _ = path.parent().map(std::fs::remove_dir);
        std::io::Result::Ok(())
    };
    let removed = tokio::task::spawn_blocking(clean).await;
    let problem = match removed {
        Ok(Ok(())) => return,
        Ok(Err(error)) => chain(&error),
        Err(error) => chain(&error),
    };
    tracing::warn!(dir = %dir.display(), error = problem, "a work directory was not removed");
}
