//! Archives: files of builds that are no RPMs.

mod look;

use toji_api::archive::*;
use toji_db::archive::Filter;
use toji_db::{QueryOpts, Row};
use toji_value::{Fault, Map, Value};

use crate::Call;
use crate::dispatch::{Handle, invoke};

/// The id of a build that a caller names.
async fn build_id(call: &mut Call, info: &Value, strict: bool) -> Result<Option<i64>, Fault> {
    let mut args = toji_value::Args { positional: vec![info.clone()], keywords: Map::new() };
    args.keywords.insert("strict", strict);
    // Koji takes the number 0 for none.
    Ok(Box::pin(invoke(call, "findBuildID", args)).await?.as_int().filter(|id| *id != 0))
}

/// The row of a typed build; with `strict` there must be one.
fn typed(row: Option<Row>, info: &Value, kind: &str, strict: bool) -> Result<Value, Fault> {
    match row {
        Some(row) => Ok(row.into_map().into()),
        None if strict => Err(Fault::generic(format!("no such {kind} build: {}", info.display()))),
        None => Ok(Value::Nil),
    }
}

impl Handle for GetMavenBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(id) = build_id(call, &self.build_info, self.strict).await? else {
            return Ok(Value::Nil);
        };
        let row = toji_db::archive::maven_build(&mut call.tx, id).await?;
        typed(row, &self.build_info, "maven", self.strict)
    }
}

impl Handle for GetWinBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(id) = build_id(call, &self.build_info, self.strict).await? else {
            return Ok(Value::Nil);
        };
        let row = toji_db::archive::win_build(&mut call.tx, id).await?;
        typed(row, &self.build_info, "Windows", self.strict)
    }
}

impl Handle for GetImageBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Some(id) = build_id(call, &self.build_info, self.strict).await? else {
            return Ok(Value::Nil);
        };
        let row = toji_db::archive::image_build(&mut call.tx, id).await?;
        typed(row, &self.build_info, "image", self.strict)
    }
}

impl Handle for ListArchives {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if let Some(name) = &self.type_
            && !matches!(name.as_str(), "maven" | "win" | "image")
        {
            if !toji_db::tagged::has_btype(&mut call.tx, name).await? {
                return Err(Fault::generic(format!("unsupported archive type: {name}")));
            }
            if self.type_info.truthy() {
                let text = format!("typeInfo queries not supported for type {name}");
                return Err(Fault::generic(text));
            }
        }
        let filter = Filter {
            build: self.build_id,
            buildroot: self.buildroot_id,
            component_of: self.component_buildroot_id,
            host: self.host_id,
            btype: self.type_,
            filename: self.filename,
            size: self.size,
            checksum: self.checksum,
            checksum_type: self.checksum_type,
            type_info: self.type_info.as_struct().cloned().unwrap_or_default(),
            image: self.image_id,
            archive: self.archive_id,
        };
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let found = toji_db::archive::list(&mut call.tx, &filter, &opts).await?;
        let none = found.as_array().map_or(found.as_int() == Some(0), <[Value]>::is_empty);
        if self.strict && none {
            return Err(Fault::generic("No archives found."));
        }
        Ok(found)
    }
}
