//! Questions to the dependency solver.

use toji_api::solve::*;
use toji_value::{Fault, Value};

use crate::Call;
use crate::dispatch::Handle;
use crate::solve::{self, Asked};

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
