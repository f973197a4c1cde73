//! Builds of other types than RPM that users import, and their archives.

use toji_api::import::*;
use toji_value::{Fault, FromValue, Map, Value};

use crate::archive::file::{self, Wanted};
use crate::archive::import::{self, Incoming};
use crate::archive::kind::Kinds;
use crate::build::intake::{At, Intake};
use crate::build::{self, Build, fresh, typed};
use crate::dispatch::Handle;
use crate::rpm::external;
use crate::{Call, check};

/// The build that a caller names, made if there is none.
async fn build_for(call: &mut Call, info: &Value) -> Result<Build, Fault> {
    if let Some(found) = build::find(call, info).await? {
        typed::reject_draft(found.draft)?;
        return Ok(found);
    }
    let kind = info.type_name();
    let wrong = || Fault::generic(format!("Invalid type for build_info: <class '{kind}'>"));
    let info = info.as_struct().ok_or_else(wrong)?;
    typed::reject_draft(info.truthy("draft"))?;
    let mut data = Map::new();
    for key in ["name", "version", "release", "epoch"] {
        let missing = || Fault::generic(format!("Build info doesn't have mandatory '{key}' key"));
        data.insert(key, info.get(key).ok_or_else(missing)?);
    }
    let id = fresh::make(call, data).await?;
    build::by_id(call, id).await?.ok_or_else(|| Fault::generic(format!("No such build: {id}")))
}

pub(super) fn need_maven(call: &Call) -> Result<(), Fault> {
    enabled(call.hub.config.enable_maven, "Maven")
}

pub(super) fn need_win(call: &Call) -> Result<(), Fault> {
    enabled(call.hub.config.enable_win, "Windows")
}

fn enabled(on: bool, what: &str) -> Result<(), Fault> {
    if on { Ok(()) } else { Err(Fault::generic(format!("{what} support not enabled"))) }
}

impl Handle for CreateMavenBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_maven(call)?;
        let build = build_for(call, &self.build_info).await?;
        typed::make_maven(call, build.id, &self.maven_info).await?;
        Ok(Value::Nil)
    }
}

impl Handle for CreateWinBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        need_win(call)?;
        let build = build_for(call, &self.build_info).await?;
        typed::make_win(call, build.id, &self.win_info).await?;
        Ok(Value::Nil)
    }
}

impl Handle for CreateImageBuild {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let build = build_for(call, &self.build_info).await?;
        typed::make_image(call, build.id).await?;
        Ok(Value::Nil)
    }
}

impl Handle for ImportArchive {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        match self.type_.as_str() {
            "maven" => {
                need_maven(call)?;
                call.assert_perm("maven-import").await?;
            }
            "win" => {
                need_win(call)?;
                call.assert_perm("win-import").await?;
            }
            "image" => call.assert_perm("image-import").await?,
            other => return Err(Fault::generic(format!("unsupported archive type: {other}"))),
        }
        let build = build::need(call, &self.buildinfo).await?;
        import_one(call, &build, &self.filepath, &self.type_, &self.type_info).await?;
        Ok(Value::Nil)
    }
}

/// Imports one uploaded file into a build of its type.
pub(super) async fn import_one(
    call: &mut Call,
    build: &Build,
    rel: &str,
    btype: &str,
    info: &Value,
) -> Result<(), Fault> {
    typed::reject_draft(build.draft)?;
    let wanted = Wanted { rel: rel.to_owned(), verify: None, maven: btype == "maven" };
    let found = file::need(call, wanted).await?;
    let kind = Kinds::read(call).await?.need(&found.name)?;
    let btype = import::btype(call, btype).await?;
    import::check_type(call, build.id, &btype).await?;
    let content = import::content(&btype.name, info, None)?;
    let mut intake = Intake::new(call, At::of(build, &build.volume))?;
    intake.archive(call, Incoming::new(found, kind, btype, content)).await?;
    let journal = intake.place(call, Some(build.id)).await?;
    build::import::place::hold(call, build).await?;
    intake.enter(call, build, journal).await.map(drop)
}

impl Handle for AddExternalRPM {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        external::add(call, &self.rpminfo, &self.external_repo, self.strict).await?;
        Ok(Value::Nil)
    }
}

/// A mapping, as the host calls want their results.
pub(super) fn results(value: &Value) -> Result<Map, Fault> {
    check::mapping(value)?;
    Map::from_value(value.clone())
}
