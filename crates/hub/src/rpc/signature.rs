//! Who has signed RPMs, and the public keys.

use toji_api::signature::*;
use toji_db::rpm::signer::{self as db, Key};
use toji_db::{QueryOpts, Row, key};
use toji_value::{Fault, FromValue, Value, map};

use crate::dispatch::Handle;
use crate::lookup::fit;
use crate::rpm::{signature, signer};
use crate::{Call, keys, rpm};

/// Most signature headers that one call reads.
const MOST: i64 = 5_000;

impl Handle for SignaturesList {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let opts = QueryOpts::from_value(&self.query_opts)?;
        let id = match &self.rpm {
            Value::Nil => None,
            Value::Int(id) => Some(fit(*id)),
            info => match rpm::find(call, info).await? {
                Some(found) => found.int("id"),
                None => return Ok(Value::Array(Vec::new())),
            },
        };
        if id.is_none() && self.key.is_none() {
            return Err(Fault::parameter("either an RPM or a key must be given"));
        }
        let key = self.key.as_deref().map(Key::parse);
        Ok(db::details(&mut call.tx, id, key.as_ref(), &opts).await?)
    }
}

impl Handle for SignaturesIndex {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let after = Option::<Vec<Value>>::from_value(self.after)?.unwrap_or_default();
        let after = match after.as_slice() {
            [] => (0, String::new()),
            [Value::Int(id), Value::Str(label)] => (fit(*id), label.clone()),
            _ => return Err(Fault::parameter("after is the number of an RPM and a label")),
        };
        signer::index(call, after, self.limit.clamp(1, MOST)).await
    }
}

impl Handle for SignaturesVerify {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        signature::verify(call, &self.rpm, self.key.as_deref()).await
    }
}

impl Handle for KeysAdd {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let certificate = keys::certificate(&self.data)?;
        let broken = |e: toji_openpgp::Error| Fault::generic(e.to_string());
        let new = key::New {
            fingerprint: certificate.fingerprint(),
            name: certificate.name(),
            data: certificate.to_bytes().map_err(broken)?,
            user_id: call.login()?.user_id,
            parts: certificate
                .parts()
                .iter()
                .map(|part| (part.fingerprint.clone(), part.key_id.clone(), part.algorithm.clone()))
                .collect(),
        };
        key::put(&mut call.tx, &new).await?;
        tracing::warn!(fingerprint = new.fingerprint, name = new.name, "a public key was added");
        let rows = key::find(&mut call.tx, Some(&Key::Fingerprint(new.fingerprint))).await?;
        shown(call, rows, false).await?.pop().ok_or_else(|| Fault::unexpected("the key is gone"))
    }
}

impl Handle for KeysList {
    async fn handle(self, call: &mut Call) -> Result<Vec<Value>, Fault> {
        let wanted = self.key.as_deref().map(Key::parse);
        let rows = key::find(&mut call.tx, wanted.as_ref()).await?;
        shown(call, rows, self.data).await
    }
}

impl Handle for KeysRemove {
    async fn handle(self, call: &mut Call) -> Result<Value, Fault> {
        let fingerprint = self.fingerprint.to_lowercase();
        if !key::remove(&mut call.tx, &fingerprint).await? {
            return Err(Fault::generic(format!("No such key: {fingerprint}")));
        }
        tracing::warn!(fingerprint, "a public key was removed");
        Ok(Value::Nil)
    }
}

/// Certificates as callers see them.
async fn shown(call: &mut Call, rows: Vec<Row>, data: bool) -> Result<Vec<Value>, Fault> {
    let ids = rows.iter().map(|row| row.get("id")).collect::<Result<Vec<i64>, _>>()?;
    let parts = key::parts(&mut call.tx, &ids).await?;
    let mut all = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(ids) {
        let mut own = Vec::new();
        for part in &parts {
            if part.get::<i64>("key")? == id {
                own.push(Value::from(map! {
                    "fingerprint" => part.value("fingerprint"), "key_id" => part.value("key_id"),
                    "algorithm" => part.value("algorithm"),
                }));
            }
        }
        let mut one = map! {
            "fingerprint" => row.value("fingerprint"), "name" => row.value("name"),
            "added" => row.value("added"), "added_by" => row.value("added_by"), "parts" => own,
        };
        if data {
            let certificate = toji_openpgp::Certificate::parse(&row.get::<Vec<u8>>("data")?);
            let armored = certificate.and_then(|certificate| certificate.to_armored());
            one.insert("data", armored.map_err(|e| Fault::unexpected(e.to_string()))?);
        }
        all.push(one.into());
    }
    Ok(all)
}
