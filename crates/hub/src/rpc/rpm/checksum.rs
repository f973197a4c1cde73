//! Checksums of the signed copies of RPMs.

use std::io::BufReader;
use std::path::PathBuf;

use toji_api::rpm::GetRPMChecksums;
use toji_db::rpm as db;
use toji_rpmfile::{Limits, splice};
use toji_store::{Algorithm, Hasher, Store};
use toji_types::ChecksumType;
use toji_value::{Fault, Map, Value};

use crate::dispatch::Handle;
use crate::{Call, rpm};

impl Handle for GetRPMChecksums {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let Value::Int(id) = self.rpm_id else {
            return Err(Fault::generic("rpm_id must be an integer"));
        };
        let found = rpm::need(call, &self.rpm_id).await?;
        let types = types(call, &self.checksum_types)?;
        let numbers: Vec<i64> = types.iter().map(|t| t.number()).collect();
        let keys = db::sigkeys(&mut call.tx, id).await?;
        let mut sums = Map::new();
        for key in &keys {
            let empty = types.iter().map(|t| (t.name().into(), Value::Nil)).collect::<Map>();
            sums.insert(key.clone(), empty);
        }
        for row in db::checksums(&mut call.tx, id, &numbers).await? {
            let key: String = row.get("sigkey")?;
            let kind = ChecksumType::try_from(row.get::<i64>("checksum_type")?);
            let known = sums.get_mut(&key).and_then(Value::as_struct_mut);
            if let (Ok(kind), Some(known)) = (kind, known) {
                known.insert(kind.name(), row.value("checksum"));
            }
        }
        if !self.cacheonly {
            complete(call, id, &found, &keys, &types, &mut sums).await?;
        }
        Ok(sums.into())
    }
}

/// The types that are asked for; those of the configuration if none are.
fn types(call: &Call, value: &Value) -> Result<Vec<ChecksumType>, Fault> {
    if !value.truthy() {
        return rpm::checksum::defaults(call);
    }
    let names = value.as_array();
    let names = names.ok_or_else(|| Fault::generic("checksum_type must be a list"))?;
    names.iter().map(|name| rpm::checksum::named(&name.display())).collect()
}

/// Computes and keeps the checksums that are not known.
async fn complete(
    call: &mut Call,
    id: i64,
    found: &Map,
    keys: &[String],
    types: &[ChecksumType],
    sums: &mut Map,
) -> Result<(), Fault> {
    for key in keys {
        let Some(known) = sums.get_mut(key).and_then(Value::as_struct_mut) else { continue };
        let missing: Vec<ChecksumType> =
            types.iter().copied().filter(|t| known.value(t.name()).is_nil()).collect();
        if missing.is_empty() {
            continue;
        }
        let Some((build, path)) = rpm::located(call, found).await? else { return Ok(()) };
        let dir = call.hub.paths.build(build.at());
        let named = rpm::named(found)?;
        let signed = format!("{dir}/{}", call.hub.paths.signed(named, key)).into();
        let sighdr = format!("{dir}/{}", call.hub.paths.sighdr(named, key)).into();
        let wanted = missing.clone();
        let store = call.hub.store.clone();
        let work = move || compute(&store, &path, signed, sighdr, &wanted);
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|_| Fault::unexpected("hashing of an rpm ended early"))??;
        for (kind, sum) in missing.into_iter().zip(done) {
            db::insert_checksum(&mut call.tx, id, key, kind.number(), &sum).await?;
            known.insert(kind.name(), sum);
        }
    }
    Ok(())
}

/// Checksums of a signed copy: of the file if it is there, else of what it would be.
fn compute(
    store: &Store,
    path: &std::path::Path,
    signed: PathBuf,
    sighdr: PathBuf,
    types: &[ChecksumType],
) -> Result<Vec<String>, Fault> {
    let algorithms: Vec<Algorithm> = types.iter().map(|t| rpm::checksum::algorithm(*t)).collect();
    let wrong = |e: &dyn std::fmt::Display| Fault::generic(format!("{}: {e}", path.display()));
    if store.exists(&signed).map_err(|e| wrong(&e))? {
        let hashed = store.hash(&signed, &algorithms);
        return hashed.map(|(sums, _)| sums).map_err(|e| Fault::generic(e.to_string()));
    }
    let header = store.read(&sighdr).map_err(|e| wrong(&e))?;
    let mut sums = Vec::with_capacity(types.len());
    for algorithm in algorithms {
        let source = BufReader::new(store.open(path).map_err(|e| wrong(&e))?);
        let mut hasher = Hasher::new(algorithm);
        splice::replace_signature(&header, source, &mut hasher, &Limits::default())
            .map_err(|e| wrong(&e))?;
        sums.push(hasher.finish());
    }
    Ok(sums)
}
