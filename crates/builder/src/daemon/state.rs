//! What the hub hears about this host: its load, and why it can take no task.

use std::sync::atomic::Ordering;

use toji_client::args;
use toji_proto::builder::Status;
use toji_value::{Value, map};

use super::{Builder, Result, Running};
use crate::config::Kind;
use crate::resources::load_average;

impl Builder {
    /// Tells the hub about this host.
    pub(super) async fn report(&mut self) -> Result<()> {
        self.host = self.hub.call("host.getHost", ()).await?;
        let ready = self.problem().is_none();
        let methods: Vec<Value> = self.shared.plugins.methods().map(Value::from).collect();
        // A builder whose roots show the host, or are mock's, needs repositories.
        let plans = !matches!(self.shared.config.buildroots.kind, Kind::Host | Kind::Mock);
        let maxjobs = self.shared.config.maxjobs;
        let data = map! {"methods" => methods, "maxjobs" => maxjobs, "plans" => plans};
        let call = args!(self.load(), ready; "data" => data);
        self.hub.call("host.updateHost", call).await?;
        self.tell();
        if let Some(credential) = &mut self.credential {
            credential.keep_fresh(&self.hub, &self.shared.config.workdir).await;
        }
        Ok(())
    }

    /// Updates the status that goes over the live connection.
    pub(super) fn tell(&self) {
        let capacity = self.host.get("capacity").as_f64().unwrap_or(0.0);
        let mut task_ids: Vec<i64> = self.running.keys().copied().collect();
        task_ids.sort_unstable();
        let problem = self.problem();
        let status = Status {
            load: self.load(),
            capacity,
            ready: problem.is_none(),
            task_ids,
            problem: problem.unwrap_or_default().to_owned(),
            // they go with each heartbeat
            resources: None,
        };
        self.status.send_if_modified(|old| {
            let changed = *old != status;
            *old = status;
            changed
        });
    }

    /// The tasks that do not only wait for their subtasks.
    pub(super) fn busy(&self) -> impl Iterator<Item = &Running> {
        self.running.values().filter(|r| !r.signals.waiting.load(Ordering::Relaxed))
    }

    pub(super) fn load(&self) -> f64 {
        // The sum of nothing would be -0.0, and be shown so.
        self.busy().fold(0.0, |load, running| load + running.weight)
    }

    /// Why the host can take no task.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let config = &self.shared.config;
        let capacity = self.host.get("capacity").as_f64().unwrap_or(0.0);
        Some(if self.draining {
            "draining"
        } else if !self.host.get("enabled").truthy() {
            "host is disabled"
        } else if self.load() > capacity {
            "over capacity"
        } else if self.busy().count() >= config.maxjobs {
            // Waiting tasks leave room for what they wait for; that no other task comes is the scheduler's part.
            "full queue"
        } else if free_mib(&config.workdir).is_some_and(|free| free < config.minspace) {
            "insufficient disk space"
        } else if config.max_load > 0.0 && load_average().is_some_and(|load| load > config.max_load)
        {
            "load average too high"
        } else {
            return None;
        })
    }
}

fn free_mib(dir: &std::path::Path) -> Option<u64> {
    crate::machine::free_space(dir).map(|bytes| bytes >> 20)
}
