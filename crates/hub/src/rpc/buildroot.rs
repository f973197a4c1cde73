//! Calls about buildroots.

use toji_api::buildroot::*;
use toji_db::{QueryOpts, buildroot as db};
use toji_types::{BrState, arch};
use toji_value::{Fault, FromValue, Value};

use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::{Call, buildroot, task};

impl Handle for GetBuildroot {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = self.buildroot_id;
        let filter = db::Filter { ids: Some(vec![fit(id)]), ..db::Filter::default() };
        let found = db::list(&mut call.tx, filter, &QueryOpts::default()).await?;
        match found {
            Value::Array(mut rows) if !rows.is_empty() => Ok(rows.remove(0)),
            _ if self.strict => Err(Fault::generic(format!("No such buildroot: {id}"))),
            _ => Ok(Value::Nil),
        }
    }
}

impl Handle for GetBuildrootListing {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        if self.id.is_nil() {
            return Err(Fault::generic("buildroot not specified"));
        }
        let id = i64::from_value(self.id)?;
        if !db::exists(&mut call.tx, fit(id)).await? {
            return Err(Fault::generic(format!("no buildroot with ID: {id}")));
        }
        Ok(db::installed(&mut call.tx, id).await?)
    }
}

impl Handle for ListBuildroots {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let mut filter = db::Filter {
            rpm: self.rpm_id.map(fit),
            archive: self.archive_id.map(fit),
            task: self.task_id.map(fit),
            repo: self.repo_id.filter(|id| *id != 0).map(fit),
            ..db::Filter::default()
        };
        // A Koji hub looks at the content first: where nothing matches that, it never sees that a
        // host or tag is no number.
        let (host, tag) = (number(&self.host_id), number(&self.tag_id));
        let (Ok(host), Ok(tag)) = (host, tag) else {
            let narrow = filter.is_narrow();
            let all = QueryOpts { count_only: true, ..QueryOpts::default() };
            if narrow && db::list(&mut call.tx, filter, &all).await? == Value::Int(0) {
                return crate::listing::apply(Vec::new(), &opts);
            }
            return Err(Fault::unexpected("hosts and tags of buildroots are asked for by number"));
        };
        filter.ids = numbers(self.buildroot_id)?;
        filter.host = host;
        filter.tag = tag;
        filter.states = numbers(self.state)?;
        Ok(db::list(&mut call.tx, filter, &opts).await?)
    }
}

/// A number, or nothing for nil.
fn number(value: &Value) -> Result<Option<i64>, Fault> {
    Ok(Option::<i64>::from_value(value.clone())?.map(fit))
}

/// One number or a list of them.
fn numbers(value: Value) -> Result<Option<Vec<i64>>, Fault> {
    let list = match value {
        Value::Nil => return Ok(None),
        Value::Array(items) => items,
        one => vec![one],
    };
    list.into_iter().map(|v| i64::from_value(v).map(fit)).collect::<Result<_, _>>().map(Some)
}

impl Handle for HostNewBuildRoot {
    async fn handle(self, call: &mut Call) -> Result<i64, Fault> {
        let host = call.host_id().await?;
        let Some(task_id) = self.task_id else {
            return Err(Fault::generic("a buildroot belongs to a task"));
        };
        task::lock_held(call, task_id).await?;
        let arch =
            arch::parse_stored_list(&self.arch).map_err(|e| Fault::generic(e.to_string()))?;
        let arch = arch.join(" ");
        Ok(db::insert(&mut call.tx, host, self.repo, task_id, &arch).await?)
    }
}

impl Handle for HostSetBuildRootState {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let from = buildroot::lock_own(call, self.brootid, self.task_id).await?;
        let to = match &self.state {
            Value::Str(name) => BrState::from_name(name),
            other => other.as_int().and_then(|n| BrState::try_from(n).ok()),
        };
        let unknown = || Fault::generic(format!("no such buildroot state: {}", self.state.repr()));
        buildroot::set_state(call, self.brootid, from, to.ok_or_else(unknown)?).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostSetBuildRootList {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let state = buildroot::lock_own(call, self.brootid, self.task_id).await?;
        expect(self.brootid, state, BrState::Init)?;
        buildroot::install(call, self.brootid, &self.rpmlist, false).await?;
        Ok(Value::Nil)
    }
}

impl Handle for HostUpdateBuildRootList {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let state = buildroot::lock_own(call, self.brootid, self.task_id).await?;
        expect(self.brootid, state, BrState::Building)?;
        buildroot::install(call, self.brootid, &self.rpmlist, true).await?;
        Ok(Value::Nil)
    }
}

fn expect(id: i64, state: BrState, wanted: BrState) -> Result<(), Fault> {
    if state == wanted {
        return Ok(());
    }
    let number = state.number();
    Err(Fault::generic(format!("buildroot {id} in wrong state {number}")))
}
