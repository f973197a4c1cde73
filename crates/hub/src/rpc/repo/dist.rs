//! Repositories for distribution.

use toji_api::repo::DistRepo;
use toji_api::repo_host::{HostCreateDistRepo, HostDistRepoMove};
use toji_value::{Fault, Value, map};

use crate::dispatch::Handle;
use crate::repo::dist::{self, metadata, place};
use crate::{Call, policy, task};

impl Handle for DistRepo {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        if !call.has_perm("dist-repo").await? && !call.has_perm("admin").await? {
            let facts = policy::data(&map! { "tag" => &self.tag }.into())?;
            call.assert_policy("dist_repo", &facts, false).await?;
        }
        dist::request(call, &self.tag, &self.keys, self.task_opts).await
    }
}

impl Handle for HostDistRepoMove {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        place::arch(call, self.repo_id, &self.uploadpath, &self.arch).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostCreateDistRepo {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        task::check_open(call, self.task_id).await?;
        let count = metadata::make(call, self.task_id, self.repo_id, &self.arch).await?;
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }
}
