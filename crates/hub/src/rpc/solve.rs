//! Questions to the dependency solver.

use toji_api::solve::*;
use toji_value::{Fault, Value};

use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::solve::plan::Wanted;
use crate::solve::{self, Asked};
use crate::{Call, build};

impl Handle for SolveInstall {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Self { tag, arch, packages, event, opts } = self;
        solve::install(call, &Asked::new(tag, arch, event)?, &packages, &opts).await
    }
}

impl Handle for SolveWhy {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Self { tag, arch, name, packages, event, opts } = self;
        solve::why(call, &Asked::new(tag, arch, event)?, name, &packages, &opts).await
    }
}

impl Handle for SolveDepends {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let asked = Asked::new(self.tag, self.arch, self.event)?;
        solve::depends(call, &asked, self.name, self.distance).await
    }
}

impl Handle for SolveLockfile {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = fit(self.buildroot_id);
        match solve::stored::of_buildroot(call, id).await? {
            None if self.strict => Err(Fault::generic(format!("no lockfile of buildroot {id}"))),
            found => Ok(found.unwrap_or_default()),
        }
    }
}

impl Handle for SolveLockfiles {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        let build = build::need(call, &self.build).await?;
        solve::stored::of_build(call, build.id).await
    }
}

impl Handle for HostSetBuildRootLockfile {
    async fn handle(self, call: &mut Call) -> Result<String, Fault> {
        let Self { brootid, lockfile, task_id } = self;
        solve::stored::set(call, fit(brootid), &lockfile, fit(task_id)).await
    }
}

impl Handle for HostPlanRepo {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        solve::plan::repo(call, fit(self.task_id), fit(self.tag)).await
    }
}

impl Handle for HostPlanBuildRoot {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let wanted = Wanted {
            id: fit(self.brootid),
            task_id: fit(self.task_id),
            group: self.group,
            requires: self.requires,
            event: self.event.map(fit),
        };
        solve::plan::buildroot(call, wanted).await
    }
}
