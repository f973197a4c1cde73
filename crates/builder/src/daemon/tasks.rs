//! The tasks that this host has: taken, stopped, compared with what the hub thinks.

use std::sync::Arc;

use toji_types::state::TaskState;
use toji_value::Value;

use super::{Builder, Result, Running};
use crate::failed;
use crate::failure::chain;
use crate::worker::Worker;

impl Builder {
    pub(super) async fn take_assigned(&mut self) -> Result<()> {
        let tasks = self.hub.call("host.getTasks", ()).await?;
        let ours = |task: &&Value| {
            task.get("state").as_int() == Some(TaskState::Assigned.number())
                && task.get("host_id").as_int() == Some(self.host_id)
        };
        let tasks = tasks.as_array().unwrap_or_default();
        let method = |task: &Value| task.get("method").as_str().unwrap_or_default().to_owned();
        let found: Vec<(i64, String)> = (tasks.iter().filter(ours))
            .filter_map(|task| Some((task.get("id").as_int()?, method(task))))
            .collect();
        found.into_iter().for_each(|(id, method)| self.take(id, method));
        self.tell();
        Ok(())
    }

    pub(super) fn take(&mut self, id: i64, method: String) {
        if self.draining {
            return;
        }
        if let Some(running) = self.running.get_mut(&id) {
            // Perhaps it was taken away and given back: to be looked at when this run of it has ended.
            running.again = true;
            return;
        }
        let work = self.shared.work();
        let running = Running {
            cancel: work.child_token(),
            work,
            signals: Arc::default(),
            weight: 1.0,
            again: false,
        };
        let worker = Worker {
            id,
            method,
            hub: self.hub.clone(),
            shared: self.shared.clone(),
            cancel: running.cancel.clone(),
            signals: running.signals.clone(),
        };
        self.running.insert(id, running);
        self.workers.spawn(async move {
            let known = worker.run().await;
            (id, known)
        });
    }

    pub(super) fn wake(&self, id: i64) {
        if let Some(running) = self.running.get(&id) {
            running.signals.woken.notify_one();
        }
    }

    /// Stops a task that is no longer this host's.
    pub(super) async fn check(&mut self, id: i64) -> Result<()> {
        let Some(running) = self.running.get(&id) else { return Ok(()) };
        let info = self.hub.call("getTaskInfo", (id,)).await?;
        let open = [TaskState::Open, TaskState::Assigned].map(|state| Some(state.number()));
        let ended = [TaskState::Closed, TaskState::Failed].map(|state| Some(state.number()));
        let state = info.get("state").as_int();
        let ours = info.get("host_id").as_int() == Some(self.host_id);
        // A task that has just reported its result ends by itself.
        if !(ours && open.contains(&state) || ended.contains(&state)) {
            tracing::info!(task = id, "taken away");
            running.cancel.cancel();
        }
        Ok(())
    }

    /// Compares what the hub thinks is running here with what is.
    pub(super) async fn sync(&mut self) -> Result<()> {
        let tasks = self.hub.call("host.getHostTasks", ()).await?;
        let mut stale = Vec::new();
        let mut open = Vec::new();
        for task in tasks.as_array().unwrap_or_default() {
            let Some(id) = task.get("id").as_int() else { continue };
            open.push(id);
            match self.running.get_mut(&id) {
                None => stale.push(Value::Int(id)),
                Some(running) => running.weight = task.get("weight").as_f64().unwrap_or(1.0),
            }
            if task.get("alert").truthy() {
                self.wake(id);
            }
        }
        if !stale.is_empty() {
            let tasks = Value::Array(stale.clone()).repr();
            tracing::info!(tasks, "giving back tasks of an earlier life");
            self.hub.call("host.freeTasks", (stale,)).await?;
        }
        let missing: Vec<i64> =
            self.running.keys().copied().filter(|id| !open.contains(id)).collect();
        for id in missing {
            self.check(id).await?;
        }
        Ok(())
    }

    pub(super) async fn ended(
        &mut self,
        ended: std::result::Result<(i64, bool), tokio::task::JoinError>,
    ) -> Result<()> {
        match ended {
            Ok((id, known)) => {
                let ended = self.running.remove(&id);
                if ended.as_ref().is_some_and(|running| running.again) && !self.draining {
                    self.take_assigned().await?;
                }
                if !known || ended.is_some_and(|running| running.work.is_cancelled()) {
                    // What is still this host's is given back.
                    self.sync().await?;
                }
            }
            Err(error) => {
                // A handler that panicked: its task is given back by the next comparison.
                tracing::error!(error = chain(&error), "a task broke off");
                self.running.retain(|_, running| Arc::strong_count(&running.signals) > 1);
                self.sync().await?;
            }
        }
        let config = &self.shared.config;
        let (lifetime, most) =
            (config.failed_buildroot_lifetime, config.failed_buildroot_size << 20);
        if let Err(error) = failed::trim(&config.workdir, lifetime, most) {
            tracing::warn!(error = chain(&error), "failed buildroots were not trimmed");
        }
        if let Err(error) = self.shared.packages.trim() {
            tracing::warn!(error = chain(&error), "the package cache was not trimmed");
        }
        self.tell();
        Ok(())
    }
}
