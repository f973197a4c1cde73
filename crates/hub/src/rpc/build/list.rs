//! The listing of builds.

use toji_api::build::ListBuilds;
use toji_db::build::{self as db, Filter, Type};
use toji_db::lookup::Names;
use toji_db::{Param, QueryOpts};
use toji_value::{Fault, FromValue, Map, Value};

use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::{Call, user};

impl Handle for ListBuilds {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let nothing = || Ok(Value::Array(Vec::new()));
        let mut filter = Filter {
            volume: number("volumeID", &self.volume_id)?.map(fit),
            task: number("taskID", &self.task_id)?.map(fit_or_any),
            source: self.source.as_deref().map(like),
            prefix: self.prefix.filter(|p| !p.is_empty()),
            pattern: self.pattern.as_deref().filter(|p| !p.is_empty()).map(like),
            state: number("state", &self.state)?.map(fit),
            draft: self.draft,
            ..Filter::default()
        };
        if !self.package_id.is_nil() {
            let Some(package) = call.find(Names::Package, &self.package_id).await? else {
                return nothing();
            };
            filter.package = Some(package.id);
        }
        if !self.user_id.is_nil() {
            let Some(owner) = user::find(call, &self.user_id).await? else { return nothing() };
            filter.owner = Some(owner.id);
        }
        if !self.promoter.is_nil() {
            let Some(found) = user::find(call, &self.promoter).await? else { return nothing() };
            filter.promoter = Some(found.id);
        }
        if self.cg_id.truthy() {
            let Some(cg) = call.find(Names::ContentGenerator, &self.cg_id).await? else {
                return nothing();
            };
            filter.cg = Some(cg.id);
        }
        for (what, before, moment) in [
            ("created", true, &self.created_before),
            ("created", false, &self.created_after),
            ("completed", true, &self.complete_before),
            ("completed", false, &self.complete_after),
            ("promoted", true, &self.promoted_before),
            ("promoted", false, &self.promoted_after),
        ] {
            if moment.truthy() {
                filter.times.push((what, before, Param::scalar(moment)));
            }
        }
        if let Some(name) = &self.type_ {
            filter.btype = Some(btype(call, name, &self.type_info).await?);
        }
        Ok(db::list(&mut call.tx, filter, &opts).await?)
    }
}

/// A Koji hub answers what is no number with an error of its database (code 1).
fn number(name: &str, value: &Value) -> Result<Option<i64>, Fault> {
    let shown = value.repr();
    let number = Option::<i64>::from_value(value.clone());
    number.map_err(|_| Fault::unexpected(format!("cannot list builds by {name} = {shown}")))
}

fn fit_or_any(task: i64) -> i64 {
    // -1 stands for any task here; a number that no task can have must not become it.
    if task == -1 { -1 } else { i32::try_from(task).map_or(-2, i64::from) }
}

async fn btype(call: &mut Call, name: &str, info: &Value) -> Result<Type, Fault> {
    let details = info.as_struct().filter(|m| !m.is_empty());
    let text = |map: &Map, key: &str| map.get(key).map(Value::display);
    Ok(match name {
        "maven" => {
            let keys = ["group_id", "artifact_id", "version"];
            let given = keys.into_iter().filter_map(|k| Some((k, text(details?, k)?)));
            Type::Maven(given.collect())
        }
        "win" => Type::Win(details.and_then(|map| text(map, "platform"))),
        "image" => Type::Image,
        other => {
            let unknown = || Fault::generic(format!("unsupported build type: {other}"));
            let found = call.find(Names::Btype, &other.into()).await?;
            Type::Other(found.ok_or_else(unknown)?.id)
        }
    })
}

/// A shell pattern as a pattern of ILIKE: `*` and `?` match any text and any character.
fn like(glob: &str) -> String {
    let mut out = String::with_capacity(glob.len());
    for c in glob.chars() {
        match c {
            '*' => out.push('%'),
            '?' => out.push('_'),
            '_' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn globs_become_patterns() {
        assert_eq!(like("a*b?c_d"), r"a%b_c\_d");
    }
}
