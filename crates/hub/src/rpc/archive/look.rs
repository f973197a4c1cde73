//! Look-ups of archives and of the files in them.

use toji_api::archive::*;
use toji_db::archive as db;
use toji_db::{QueryOpts, Row};
use toji_value::{Fault, Value, list};

use crate::dispatch::Handle;
use crate::lookup::{self, fit};
use crate::tag::{self, When};
use crate::tagged::{self, Filter, Latest};
use crate::{Call, archive, check, listing};

impl Handle for GetArchive {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.strict {
            return Ok(archive::need(call, self.archive_id).await?.into());
        }
        Ok(archive::get(call, self.archive_id).await?.map(Value::from).unwrap_or_default())
    }
}

/// A row that there must be with `strict`.
fn one(row: Option<Row>, strict: bool) -> Result<Value, Fault> {
    match row {
        Some(row) => Ok(row.into_map().into()),
        None if strict => Err(Fault::generic("query returned no rows")),
        None => Ok(Value::Nil),
    }
}

impl Handle for GetMavenArchive {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        one(db::maven_archive(&mut call.tx, fit(self.archive_id)).await?, self.strict)
    }
}

impl Handle for GetWinArchive {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        one(db::win_archive(&mut call.tx, fit(self.archive_id)).await?, self.strict)
    }
}

impl Handle for GetImageArchive {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        one(db::image_archive(&mut call.tx, fit(self.archive_id)).await?, self.strict)
    }
}

impl Handle for ListArchiveFiles {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = archive::list(call, self.archive_id, self.strict).await?;
        listing::apply(found, &QueryOpts::from_value(&self.query_opts)?)
    }
}

impl Handle for GetArchiveFile {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let found = archive::list(call, self.archive_id, self.strict).await?;
        let named = |file: &Value| file.get("name").as_str() == Some(&self.filename);
        match found.into_iter().find(named) {
            Some(file) => Ok(file),
            None if self.strict => {
                let (name, id) = (self.filename, self.archive_id);
                Err(Fault::generic(format!("No such file: {name} in archive#{id}")))
            }
            None => Ok(Value::Nil),
        }
    }
}

impl Handle for ListTaggedArchives {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let event = lookup::event(&self.event)?;
        let when = When::from(event);
        let found = match self.strict {
            true => Some(tag::need(call, &self.tag, when).await?),
            false => tag::find(call, &self.tag, when).await?,
        };
        let Some(tag) = found else { return Ok(list![]) };
        let filter = Filter {
            event,
            package: check::filter(&self.package)?,
            btype: self.type_.clone(),
            ..Filter::default()
        };
        let latest = Latest::of(&self.latest);
        let builds = tagged::builds(call, tag.id, self.inherit, latest, &filter).await?;
        if let Some(name) = &self.type_
            && !matches!(name.as_str(), "maven" | "win")
        {
            return Err(Fault::generic(format!("unsupported archive type: {name}")));
        }
        let btype = self.type_.as_deref();
        let archives = tagged::archives(call, &builds, btype, self.extra).await?;
        let shown = |rows: Vec<Row>| rows.into_iter().map(Row::into_map).collect::<Vec<_>>();
        Ok(list![shown(archives), shown(builds)])
    }
}

impl Handle for GetLatestMavenArchives {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        let event = lookup::event(&self.event)?;
        let tag = call.need(toji_db::lookup::Names::Tag, &self.tag).await?;
        let found = archive::maven::in_tag(call, tag.id, event, self.inherit).await?;
        Ok(found.into_iter().map(Value::from).collect())
    }
}
