//! Listings of builds and RPMs of a tag.

use toji_api::tagged::*;
use toji_db::Row;
use toji_db::lookup::Names;
use toji_value::{Fault, Value, list};

use crate::dispatch::Handle;
use crate::tag::{self, When};
use crate::tagged::{self, Filter, Latest, RpmFilter};
use crate::{Call, check, lookup};

impl Handle for ListTagged {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = lookup::event(&self.event)?;
        let Some(tag_id) = tag_id(call, &self.tag, event, self.strict).await? else {
            return Ok(list![]);
        };
        let filter = Filter {
            event,
            package: check::filter(&self.package)?,
            owner: check::filter(&self.owner)?,
            btype: self.type_,
            draft: self.draft,
            extra: self.extra,
        };
        let latest = Latest::of(&self.latest);
        let mut builds = tagged::builds(call, tag_id, self.inherit, latest, &filter).await?;
        if let Some(prefix) = check::filter(&self.prefix)? {
            let prefix = prefix.to_lowercase();
            builds.retain(|row| {
                let name = row.value("package_name").as_str();
                name.is_some_and(|name| name.to_lowercase().starts_with(&prefix))
            });
        }
        Ok(shown(builds))
    }
}

/// The tag, now or at the event; without `strict` a missing one is nothing.
async fn tag_id(
    call: &mut Call,
    info: &Value,
    event: Option<i64>,
    strict: bool,
) -> Result<Option<i64>, Fault> {
    let when = When::from(event);
    if strict {
        return Ok(Some(tag::need(call, info, when).await?.id));
    }
    Ok(tag::find(call, info, when).await?.map(|tag| tag.id))
}

fn shown(rows: Vec<Row>) -> Value {
    Value::Array(rows.into_iter().map(|row| row.into_map().into()).collect())
}

impl Handle for ListTaggedRPMS {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = lookup::event(&self.event)?;
        let Some(tag_id) = tag_id(call, &self.tag, event, self.strict).await? else {
            return Ok(list![]);
        };
        let filter = Filter {
            event,
            package: check::filter(&self.package)?,
            owner: check::filter(&self.owner)?,
            btype: self.type_,
            draft: self.draft,
            extra: false,
        };
        let rpm_filter = RpmFilter {
            arches: arches(&self.arch)?,
            signatures: self.rpmsigs,
            extra: self.extra,
            draft: self.draft,
        };
        let latest = Latest::of(&self.latest);
        let builds = tagged::builds(call, tag_id, self.inherit, latest, &filter).await?;
        let rpms = tagged::rpms(call, &builds, &rpm_filter).await?;
        Ok(list![shown(rpms), shown(builds)])
    }
}

/// One arch or several; nothing is all.
fn arches(arch: &Value) -> Result<Option<Vec<String>>, Fault> {
    let wrong =
        || Fault::generic(format!("Invalid type for arch option: <class '{}'>", arch.type_name()));
    match arch {
        value if !value.truthy() => Ok(None),
        Value::Str(arch) => Ok(Some(vec![arch.clone()])),
        Value::Array(arches) => {
            let names = arches.iter().map(|a| a.as_str().map(str::to_owned));
            names.collect::<Option<Vec<_>>>().map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

/// The tag of a latest-listing: an id is taken as it is, even of a deleted tag.
async fn any_tag_id(call: &mut Call, info: &Value) -> Result<i64, Fault> {
    match info {
        Value::Int(id) => Ok(*id),
        other => Ok(call.need(Names::Tag, other).await?.id),
    }
}

impl Handle for GetLatestBuilds {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = lookup::event(&self.event)?;
        let tag_id = any_tag_id(call, &self.tag).await?;
        let filter = Filter {
            event,
            package: check::filter(&self.package)?,
            btype: self.type_,
            draft: self.draft,
            ..Filter::default()
        };
        Ok(shown(tagged::builds(call, tag_id, true, Latest::Newest(1), &filter).await?))
    }
}

impl Handle for GetLatestRPMS {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = lookup::event(&self.event)?;
        let tag_id = any_tag_id(call, &self.tag).await?;
        let filter = Filter {
            event,
            package: check::filter(&self.package)?,
            btype: self.type_,
            draft: self.draft,
            ..Filter::default()
        };
        let rpm_filter = RpmFilter {
            arches: arches(&self.arch)?,
            signatures: self.rpmsigs,
            extra: true,
            draft: self.draft,
        };
        let builds = tagged::builds(call, tag_id, true, Latest::Newest(1), &filter).await?;
        let rpms = tagged::rpms(call, &builds, &rpm_filter).await?;
        Ok(list![shown(rpms), shown(builds)])
    }
}
