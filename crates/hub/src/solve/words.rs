//! Questions and answers as the callers of the hub see them.

use toji_solve::{Error, Job, Unsolvable, Want};
use toji_types::Lockfile;
use toji_value::{Args, Fault, FromValue, Value, map};

use super::{Asked, SECONDS, Warm};
use crate::Call;
use crate::dispatch::invoke;

/// Reads what is wanted.
pub(super) async fn job(
    call: &mut Call,
    asked: &Asked,
    packages: &Value,
    opts: &Value,
) -> Result<Job, Fault> {
    let texts = |value: &Value| -> Result<Vec<String>, Fault> {
        Ok(Option::<Vec<String>>::from_value(value.clone())?.unwrap_or_default())
    };
    let mut wants: Vec<Want> = Vec::new();
    for group in texts(opts.get("groups"))? {
        if !group_packages(call, asked, &group, &mut wants).await? {
            return Err(Fault::generic(format!("no such group in the tag: {group}")));
        }
    }
    wants.extend(texts(packages)?.into_iter().map(Want::install));
    wants.extend(texts(opts.get("requires"))?.into_iter().map(Want::Require));
    Ok(Job {
        wants,
        weak: opts.get("weak").truthy(),
        best: opts.get("best").truthy(),
        exclude: texts(opts.get("exclude"))?,
        seconds: Some(SECONDS),
    })
}

/// The mandatory, default and conditional packages of a group of the tag, as `dnf groupinstall` takes them; whether
/// there is such a group.
pub(super) async fn group_packages(
    call: &mut Call,
    asked: &Asked,
    name: &str,
    wants: &mut Vec<Want>,
) -> Result<bool, Fault> {
    let (tag, event) = asked.place(call).await?;
    let keywords = map! { "event" => event, "inherit" => true };
    let args = Args { positional: vec![tag], keywords };
    let groups = Box::pin(invoke(call, "getTagGroups", args)).await?;
    let named = |group: &&Value| group.get("name").as_str() == Some(name);
    let Some(group) = groups.as_array().unwrap_or_default().iter().find(named) else {
        return Ok(false);
    };
    for entry in group.get("packagelist").as_array().unwrap_or_default() {
        let kind = entry.get("type").as_str().unwrap_or("mandatory");
        let (Some(package), false) = (entry.get("package").as_str(), kind == "optional") else {
            continue;
        };
        let with = entry.get("requires").as_str().filter(|_| kind == "conditional");
        let (name, with) = (package.to_owned(), with.map(str::to_owned));
        wants.push(Want::Group { name, with, optional: false });
    }
    Ok(true)
}

/// A plan.
pub(super) fn plan(
    warm: &Warm,
    arch: &str,
    lockfile: &Lockfile,
    skipped: &[String],
) -> Result<Value, Error> {
    let packages = lockfile.packages().iter().map(|package| {
        Value::from(map! {
            "name" => &package.name,
            "epoch" => i64::from(package.epoch),
            "version" => &package.version,
            "release" => &package.release,
            "arch" => &package.arch,
            "digest" => &package.digest,
            "size" => i64::try_from(package.size).unwrap_or(i64::MAX),
            "location" => &package.location,
            "repository" => &package.repository,
        })
    });
    Ok(map! {
        "solved" => true,
        "tag" => &warm.tag,
        "arch" => arch,
        "event" => warm.event,
        "packages" => Value::Array(packages.collect()),
        "skipped" => texts(skipped),
        "digest" => lockfile.digest(),
        "lockfile" => lockfile.to_json()?,
    }
    .into())
}

/// Why there is none.
pub(super) fn no(warm: &Warm, arch: &str, no: &Unsolvable) -> Value {
    let problems = no.problems.iter().map(|problem| {
        let reasons = problem.reasons.iter().map(|reason| {
            Value::from(map! { "text" => &reason.text, "packages" => texts(&reason.packages) })
        });
        Value::Array(reasons.collect())
    });
    map! {
        "solved" => false,
        "tag" => &warm.tag,
        "arch" => arch,
        "event" => warm.event,
        "missing" => texts(&no.missing),
        "problems" => Value::Array(problems.collect()),
        "text" => no.to_string(),
    }
    .into()
}

fn texts(list: &[String]) -> Value {
    Value::Array(list.iter().map(|text| Value::from(text.as_str())).collect())
}
