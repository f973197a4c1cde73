//! Signing: jobs for signers outside, which hold the keys; the hub takes signatures that verify, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use toji_db::rpm as rpms;
use toji_db::signing::{self as db, State};
use toji_db::{Row, Time};
use toji_rpmfile::{Limits, Package, splice, tag};
use toji_value::{Fault, FromValue, Value, map};

use crate::lookup::fit;
use crate::rpm::signature;
use crate::{Call, build, keys, policy, rpm};

/// How long a signer has for what it took, in seconds.
const LEASE: f64 = 300.0;
/// Most jobs that are given to a signer at once.
const MOST: i64 = 50;
/// Most RPMs that one request names.
const MOST_RPMS: usize = 5_000;
/// Longest reason that is kept, in characters.
const REASON: usize = 1_000;

/// Asks for signatures on the RPMs of a build, or on some that are named.
///
/// # Errors
/// When the policy refuses, and for RPMs, builds and keys that there are not.
pub(crate) async fn request(
    call: &mut Call,
    info: &Value,
    named: &Value,
    key: &str,
    label: Option<String>,
) -> Result<Vec<i64>, Fault> {
    let user = call.login()?.user_id;
    let certificate = keys::one(call, key).await?;
    let named = Option::<Vec<Value>>::from_value(named.clone())?.unwrap_or_default();
    if named.len() > MOST_RPMS {
        return Err(Fault::parameter(format!("more than {MOST_RPMS} RPMs at once")));
    }
    let mut found: Vec<(i64, i64)> = Vec::new();
    if !info.is_nil() {
        let build = build::need(call, info).await?;
        let filter = rpms::Filter { build: Some(build.id), ..rpms::Filter::default() };
        let all = rpms::list(&mut call.tx, filter, &toji_db::QueryOpts::default()).await?;
        let ids = all.as_array().unwrap_or_default().iter().filter_map(|r| r.get("id").as_int());
        found.extend(ids.map(|id| (id, build.id)));
    }
    for one in &named {
        let one = rpm::need(call, one).await?;
        let external = one.int("external_repo_id").is_some_and(|id| id != 0);
        let (Some(id), Some(build)) = (one.int("id"), one.int("build_id").filter(|_| !external))
        else {
            return Err(Fault::generic(format!(
                "Not an internal rpm: {}",
                one.value("name").display()
            )));
        };
        found.push((id, build));
    }
    if found.is_empty() {
        return Err(Fault::generic("There is nothing to sign"));
    }
    let mut builds: Vec<i64> = found.iter().map(|(_, build)| *build).collect();
    builds.sort_unstable();
    builds.dedup();
    for id in builds {
        let facts = map! {
            "build" => id, "key" => certificate.fingerprint(), "user_id" => user,
            "label" => label.clone(),
        };
        let facts = policy::data(&facts.into())?;
        call.assert_policy("signing", &facts, false).await?;
    }
    let ids: Vec<i64> = found.into_iter().map(|(id, _)| id).collect();
    let mut prints: Vec<String> =
        certificate.parts().iter().map(|part| part.fingerprint.clone()).collect();
    prints.push(certificate.fingerprint());
    let covered = db::covered(&mut call.tx, &ids, &prints).await?;
    let ids: Vec<i64> = ids.into_iter().filter(|id| !covered.contains(id)).collect();
    let label = label.filter(|label| !label.is_empty()).map(|label| label.to_lowercase());
    if let Some(label) = &label {
        toji_store::join(&[label]).map_err(|e| Fault::generic(e.to_string()))?;
    }
    let print = certificate.fingerprint();
    let jobs = db::add(&mut call.tx, &ids, &print, user, label.as_deref()).await?;
    if !jobs.is_empty() {
        let body = map! { "fingerprint" => print, "jobs" => jobs.clone() };
        call.emit("signing.request", "signing", body);
    }
    Ok(jobs)
}

/// Gives jobs to a signer; the answer of `signing.take`.
///
/// # Errors
/// When the database fails.
pub(crate) async fn take(
    call: &mut Call,
    prints: &[String],
    limit: i64,
) -> Result<Vec<Value>, Fault> {
    let signer = call.login()?.user_id;
    let prints: Vec<String> = prints.iter().map(|print| print.to_lowercase()).collect();
    let now = call.now();
    let (at, end) = (Time::from_epoch(now)?, Time::from_epoch(now + LEASE)?);
    let limit = limit.clamp(1, MOST);
    let mut rows = db::take(&mut call.tx, &prints, signer, at, end, limit).await?;
    rows.sort_by_key(|row| row.get::<i64>("id").unwrap_or(0));
    let mut jobs = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, rpm_id): (i64, i64) = (row.get("id")?, row.get("rpm_id")?);
        match package(call, rpm_id).await {
            Ok((nvra, build, package)) => {
                let header = package.header().as_bytes();
                let size = i64::try_from(header.len()).unwrap_or(i64::MAX);
                jobs.push(Value::from(map! {
                    "id" => id, "turn" => row.value("turn"), "rpm_id" => rpm_id, "nvra" => nvra,
                    "build" => build, "fingerprint" => row.value("fingerprint"),
                    "header_size" => size, "header_sha256" => hex::encode(Sha256::digest(header)),
                    "expires" => now + LEASE,
                }));
            }
            // One package that is gone must not keep a signer from the others.
            Err(fault) => end_as(call, id, State::Failed, &fault.message).await?,
        }
    }
    Ok(jobs)
}

/// The name of an RPM, that of its build, and its headers.
async fn package(call: &mut Call, id: i64) -> Result<(String, String, Package), Fault> {
    let (nvra, build, path) = signature::find(call, &id.into()).await?;
    let missing = || Fault::generic(format!("No such path: {}", path.display()));
    let package = rpm::read(call, path.clone()).await?.ok_or_else(missing)?;
    let digests = [tag::PAYLOADSHA256, tag::PAYLOADSHA512, tag::PAYLOADSHA3_256];
    if !digests.iter().any(|tag| package.header().has(*tag)) {
        let text = "its header has no digest of the payload, so a signature of the header would not cover that";
        return Err(Fault::generic(format!("{nvra} cannot be signed: {text}")));
    }
    Ok((nvra, build, package))
}

/// A job that the caller holds.
async fn held(call: &mut Call, id: i64, turn: i64, lock: bool) -> Result<Row, Fault> {
    let signer = call.login()?.user_id;
    let id = fit(id);
    let row = match lock {
        true => db::lock(&mut call.tx, id).await?,
        false => db::get(&mut call.tx, id).await?,
    };
    let own = |row: &Row| {
        row.value("state").as_str() == Some(State::Taken.name())
            && row.value("signer").as_int() == Some(signer)
            && row.value("turn").as_int() == Some(turn)
    };
    row.filter(own).ok_or_else(|| Fault::generic(format!("Job {id} is not yours")))
}

/// The main header of a job's RPM; the answer of `signing.header`.
///
/// # Errors
/// When the caller does not hold the job, or the package is gone.
pub(crate) async fn header(call: &mut Call, id: i64, turn: i64) -> Result<Value, Fault> {
    let row = held(call, id, turn, false).await?;
    let (_, _, package) = package(call, row.get("rpm_id")?).await?;
    Ok(STANDARD.encode(package.header().as_bytes()).into())
}

/// Takes the signature of a job; tells under which label it is.
///
/// # Errors
/// When the caller does not hold the job, or the signature does not verify with the key that was asked for.
pub(crate) async fn submit(
    call: &mut Call,
    id: i64,
    turn: i64,
    data: &Value,
) -> Result<String, Fault> {
    let row = held(call, id, turn, false).await?;
    let packet = signature::decode(data, "a signature")?;
    let rpm_id: i64 = row.get("rpm_id")?;
    let (nvra, _, package) = package(call, rpm_id).await?;
    let key: String = row.get("fingerprint")?;
    let certificate = keys::one(call, &key).await?;
    let wrong = |e: &dyn std::fmt::Display| {
        Fault::generic(format!("Signature of {nvra} does not verify: {e}"))
    };
    certificate.verify(&packet, package.header().as_bytes()).map_err(|e| wrong(&e))?;
    let sighdr = splice::sign(package.signature(), &packet, &Limits::default());
    let sighdr = sighdr.map_err(|e| wrong(&e))?;
    // From here on nobody else may end it; what is above read files.
    let row = held(call, id, turn, true).await?;
    let label: Option<String> = row.get("label")?;
    let sigkey = signature::add(call, &rpm_id.into(), sighdr, label).await?;
    signature::write_signed(call, &rpm_id.into(), &sigkey, false).await?;
    db::end(&mut call.tx, fit(id), State::Done, Some(&sigkey), None).await?;
    Ok(sigkey)
}

/// Ends a job that a signer cannot do.
///
/// # Errors
/// When the caller does not hold it.
pub(crate) async fn fail(call: &mut Call, id: i64, turn: i64, reason: &str) -> Result<(), Fault> {
    held(call, id, turn, true).await?;
    end_as(call, fit(id), State::Failed, reason).await
}

/// Cancels a job.
///
/// # Errors
/// When it has ended, and for callers who may not.
pub(crate) async fn cancel(call: &mut Call, id: i64) -> Result<(), Fault> {
    let user = call.login()?.user_id;
    let id = fit(id);
    let row = db::lock(&mut call.tx, id).await?;
    let row = row.ok_or_else(|| Fault::generic(format!("No such job: {id}")))?;
    if row.get::<i64>("user_id")? != user {
        call.assert_perm("sign").await?;
    }
    let state: String = row.get("state")?;
    if ![State::Free, State::Taken].iter().any(|open| open.name() == state) {
        return Err(Fault::generic(format!("Job {id} is {state}")));
    }
    end_as(call, id, State::Canceled, "").await
}

async fn end_as(call: &mut Call, id: i64, state: State, reason: &str) -> Result<(), Fault> {
    let reason: String = reason.chars().take(REASON).collect();
    let reason = Some(reason.as_str()).filter(|reason| !reason.is_empty());
    db::end(&mut call.tx, id, state, None, reason).await?;
    let body = map! { "id" => id, "state" => state.name(), "reason" => reason };
    call.emit("signing.end", "signing", body);
    Ok(())
}
