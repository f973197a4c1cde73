//! Calls that look up RPMs and read their headers.

mod checksum;
mod header;
mod sign;

use toji_api::rpm::*;
use toji_db::QueryOpts;
use toji_db::rpm::signer::{self, Key};
use toji_db::rpm::{self as db, Filter};
use toji_value::{Fault, FromValue, Map, Value};

use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::{Call, build, rpm};

impl Handle for GetRPM {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        if self.multi {
            let found = rpm::find_all(call, &self.rpminfo).await?;
            return Ok(Value::Array(found.into_iter().map(Value::Struct).collect()));
        }
        if self.strict {
            return Ok(rpm::need(call, &self.rpminfo).await?.into());
        }
        Ok(rpm::find(call, &self.rpminfo).await?.map(Value::Struct).unwrap_or_default())
    }
}

impl Handle for ListBuildRPMs {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let id = match &self.build {
            Value::Int(id) => *id,
            info => {
                let missing = || Fault::generic(format!("No such build: {}", info.repr()));
                build::find_id(call, info).await?.ok_or_else(missing)?
            }
        };
        let filter = Filter { build: Some(fit(id)), ..Filter::default() };
        Ok(db::list(&mut call.tx, filter, &QueryOpts::default()).await?)
    }
}

impl Handle for ListRPMs {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let arches = match self.arches {
            Value::Nil => None,
            Value::Str(arch) => Some(vec![arch]),
            list @ Value::Array(_) => Some(Vec::<String>::from_value(list)?),
            other => {
                let kind = other.type_name();
                let text = format!("Invalid type for \"arches\" parameter: <class '{kind}'>");
                return Err(Fault::generic(text));
            }
        };
        let filter = Filter {
            build: self.build_id.map(fit),
            buildroot: self.buildroot_id.map(fit),
            component_of: self.component_buildroot_id.map(fit),
            image: self.image_id.map(fit),
            host: self.host_id.map(fit),
            arches,
            draft: self.draft,
        };
        Ok(db::list(&mut call.tx, filter, &opts).await?)
    }
}

impl Handle for QueryRPMSigs {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let id = match &self.rpm_id {
            Value::Nil => None,
            Value::Int(id) => Some(fit(*id)),
            info => match rpm::find(call, info).await? {
                Some(found) => found.int("id"),
                None => return Ok(Value::Array(Vec::new())),
            },
        };
        let key = self.sigkey.as_deref().map(Key::parse);
        Ok(signer::listed(&mut call.tx, id, key.as_ref(), &opts).await?)
    }
}

/// The RPM that a call asks for, if it is one of this system whose file is there.
pub(super) async fn readable(
    call: &mut Call,
    info: &Value,
    strict: bool,
    what: &str,
    missing_file: &str,
) -> Result<Option<(Map, toji_rpmfile::Package)>, Fault> {
    let found = match strict {
        true => Some(rpm::need(call, info).await?),
        false => rpm::find(call, info).await?,
    };
    let Some(found) = found else { return Ok(None) };
    let Some((_, path)) = rpm::located(call, &found).await? else {
        if strict {
            let shown = info.display();
            let text = format!("Can not get {what}, because RPM: {shown} is not internal");
            return Err(Fault::generic(text));
        }
        return Ok(None);
    };
    match rpm::read(call, path).await? {
        Some(package) => Ok(Some((found, package))),
        None if strict => {
            Err(Fault::generic(format!("{missing_file} of {} doesn't exist", info.display())))
        }
        None => Ok(None),
    }
}
