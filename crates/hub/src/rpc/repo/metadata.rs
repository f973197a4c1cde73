//! The job that makes the metadata of RPMs without any.

use toji_api::repo::{RepoMetadataJob, RepoSetMetadataJob};
use toji_bus::Topic;
use toji_db::fragment as sql;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::fragment::job;

/// So many failures are named at most.
const MOST: i64 = 10_000;

impl Handle for RepoMetadataJob {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        job::show(call, self.failures.clamp(0, MOST)).await
    }
}

impl Handle for RepoSetMetadataJob {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        for (name, value, most) in
            [("rate", self.rate, 1_000_000), ("workers", self.workers, job::MOST_WORKERS)]
        {
            let least = i64::from(name == "workers");
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(Fault::parameter(format!("{name} must be from {least} to {most}")));
            }
        }
        sql::set_job(&mut call.tx, self.paused, self.rate, self.workers).await?;
        if self.retry {
            job::retry(call).await?;
        }
        call.signal(Topic::Metadata);
        job::show(call, 0).await
    }
}
