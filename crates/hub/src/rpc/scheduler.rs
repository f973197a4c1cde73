//! The scheduler, as its administrators see it.

use toji_api::scheduler::*;
use toji_db::scheduler as sql;
use toji_db::view::View;
use toji_value::{Fault, FromValue, Value, map};

use crate::Call;
use crate::dispatch::Handle;
use crate::scheduler::explain;

/// Runs a query that the caller composed.
pub(super) async fn view(
    call: &mut Call,
    view: &View,
    clauses: &Value,
    fields: &Value,
    opts: &Value,
) -> Result<Value, Fault> {
    let query = view.query(call.tx.engine(), clauses, fields, opts).map_err(Fault::parameter)?;
    Ok(query.run(&mut call.tx).await?)
}

/// The caller's options; without any, in the order of ids.
fn ordered(opts: Value) -> Value {
    if opts.is_nil() { map! { "order" => "id" }.into() } else { opts }
}

impl Handle for SchedulerDoRun {
    async fn handle(self, call: &mut Call) -> Result<bool, Fault> {
        crate::scheduler::run_now(call, self.force.0).await
    }
}

impl Handle for SchedulerGetHostData {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let host = Option::<i64>::from_value(self.host_id)?;
        let rows = sql::host_data(&mut call.tx, host).await?;
        Ok(Value::Array(rows.into_iter().map(|row| Value::Struct(row.into_map())).collect()))
    }
}

impl Handle for SchedulerGetLogMessages {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        view(call, &sql::LOG, &self.clauses, &self.fields, &ordered(self.opts)).await
    }
}

impl Handle for SchedulerGetTaskRefusals {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        view(call, &sql::REFUSALS, &self.clauses, &self.fields, &Value::Nil).await
    }
}

impl Handle for SchedulerGetTaskRuns {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        view(call, &sql::RUNS, &self.clauses, &self.fields, &ordered(self.opts)).await
    }
}

impl Handle for SchedulerExplain {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        explain::task(call, self.task_id).await
    }
}

impl Handle for SchedulerForecast {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        explain::forecast(call, &self.hosts).await
    }
}
