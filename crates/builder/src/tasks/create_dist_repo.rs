//! `createdistrepo`: chooses the packages of one arch of a repository for distribution.
//!
//! The hub makes the metadata where the packages are: `host.createDistRepo`.

use std::collections::BTreeMap;
use std::path::Path;

use toji_client::args;
use toji_types::arch::members;
use toji_types::nvr::is_debuginfo;
use toji_types::state::RepoState;
use toji_value::{Map, Value};

use super::{method, take, texts};
use crate::context::{Context, int_of, is_unknown_method};
use crate::failure::{Failure, Result};

method!("createdistrepo", 1.5, [tag, repo_id, arch, keys, opts]);

/// Calls in one request.
const BATCH: usize = 1000;

async fn run(task: &Context, values: Vec<Value>) -> Result<Value> {
    let [tag, repo_id, arch, keys, opts] = take(values)?;
    let repo = task.call("repoInfo", args!(&repo_id; "strict" => true)).await?;
    let state = int_of(&repo, "state")?;
    if state != RepoState::Init.number() {
        let id = int_of(&repo, "id")?;
        return Err(Failure::generic(format!("Repo {id} not in INIT state (got {state})")));
    }
    let keys: Vec<String> = texts(&keys).iter().map(|key| key.to_lowercase()).collect();
    let arch = arch.as_str().ok_or_else(|| Failure::generic("no arch is given"))?;
    let found = copies(task, &tag, arch, &opts).await?;
    let chosen: Vec<Chosen> = found.into_values().map(|copies| choose(copies, &keys)).collect();
    if opts.get("write_signed_rpms").truthy() {
        write_signed(task, &chosen).await?;
    }
    report_missing(task, &chosen, &keys, &opts).await?;
    let skip = opts.get("skip_missing_signatures").truthy();
    let mut list = Map::new();
    for one in chosen.into_iter().filter(|one| !skip || one.key.is_some()) {
        let name = format!("{}.rpm", nvra(&one.rpm));
        let mut entry = one.rpm;
        entry.insert("sigkey", one.key);
        if opts.get("split_debuginfo").truthy()
            && is_debuginfo(entry.str("name").unwrap_or_default())
        {
            entry.insert("_subrepo", "debug");
        }
        list.insert(name, entry);
    }
    let file = task.work.join("kojipkgs");
    let json = Value::Struct(list).to_json().to_string();
    std::fs::write(&file, json).map_err(Failure::local("write the list of packages"))?;
    task.upload(&file, "kojipkgs").await?;
    upload_dictionaries(task, &opts).await?;
    match task.hub.call("host.createDistRepo", (task.id, repo_id, arch)).await {
        Ok(_) => Ok(Value::Nil),
        // A kojid may be there, too.
        Err(error) if is_unknown_method(&error) => {
            Err(Failure::own("the hub does not make repositories for distribution itself"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives the hub the dictionaries for zchunk files, which are in a directory of this machine.
async fn upload_dictionaries(task: &Context, opts: &Value) -> Result<()> {
    let Some(dir) = opts.get("zck_dict_dir").as_str().filter(|dir| !dir.is_empty()) else {
        return Ok(());
    };
    if !opts.get("zck").truthy() {
        return Err(Failure::generic("--zck-dict-dir makes no sense without --zck"));
    }
    let place = Path::new(dir);
    if place.is_file() {
        return Err(Failure::generic(format!("zchunk dir path is file: {dir}")));
    }
    if !place.is_dir() {
        return Err(Failure::generic(format!("zchunk dir path doesn't exist: {dir}")));
    }
    for part in ["primary", "filelists", "other"] {
        let name = format!("{part}.xml.zdict");
        let file = place.join(&name);
        if file.is_file() {
            task.upload(&file, &format!("zdict/{name}")).await?;
        }
    }
    Ok(())
}

/// An RPM with the key of the copy that is taken; no key is the unsigned one.
struct Chosen {
    rpm: Map,
    key: Option<String>,
    available: Vec<String>,
}

/// The signed copies of the tag's RPMs, by RPM and in the order of the listing.
async fn copies(
    task: &Context,
    tag: &Value,
    arch: &str,
    opts: &Value,
) -> Result<BTreeMap<i64, Vec<Map>>> {
    let mut call = args!(tag; "event" => opts.get("event"), "latest" => opts.get("latest"));
    call.keywords.insert("inherit", opts.get("inherit"));
    call.keywords.insert("rpmsigs", true);
    let arches: Vec<Value> = members(arch).into_iter().map(Value::from).collect();
    call.keywords.insert("arch", Value::Array(arches));
    let found = task.call("listTaggedRPMS", call).await?;
    let Some([Value::Array(rpms), Value::Array(builds)]) = found.as_array() else {
        return Err(Failure::generic("listTaggedRPMS answered something else than two lists"));
    };
    if let Some(draft) = builds.iter().find(|build| build.get("draft").truthy()) {
        let nvr = draft.get("nvr").display();
        return Err(Failure::build(format!("Draft build: {nvr} is not allowed")));
    }
    let mut by_rpm: BTreeMap<i64, Vec<Map>> = BTreeMap::new();
    for rpm in rpms {
        let copy = rpm.as_struct().cloned().unwrap_or_default();
        by_rpm.entry(int_of(rpm, "id")?).or_default().push(copy);
    }
    Ok(by_rpm)
}

/// Takes the copy of the first key in the caller's order.
fn choose(copies: Vec<Map>, keys: &[String]) -> Chosen {
    let key_of = |copy: &Map| copy.str("sigkey").unwrap_or_default().to_owned();
    let available: Vec<String> = copies.iter().map(key_of).collect();
    let rank = |copy: &Map| {
        let own = key_of(copy).to_lowercase();
        keys.iter().position(|key| *key == own)
    };
    let best = copies.iter().filter_map(|copy| Some((rank(copy)?, copy))).min_by_key(|(n, _)| *n);
    match best.map(|(_, copy)| copy.clone()) {
        Some(rpm) => {
            let key = Some(key_of(&rpm)).filter(|key| !key.is_empty());
            Chosen { rpm, key, available }
        }
        None => Chosen { rpm: copies.into_iter().next().unwrap_or_default(), key: None, available },
    }
}

fn nvra(rpm: &Map) -> String {
    let part = |key: &str| rpm.value(key).display();
    format!("{}-{}-{}.{}", part("name"), part("version"), part("release"), part("arch"))
}

/// Has the signed copies written that are not there yet.
async fn write_signed(task: &Context, chosen: &[Chosen]) -> Result<()> {
    let mut calls = task.hub.multicall().batch(BATCH);
    let mut named = Vec::new();
    for one in chosen {
        if let Some(key) = &one.key {
            let id = one.rpm.int("id").unwrap_or_default();
            calls.add("host.writeSignedRPM", (id, key.as_str()));
            named.push((id, key));
        }
    }
    if named.is_empty() {
        return Ok(());
    }
    let mut log = task.log("written_signed_rpms.log")?;
    for ((id, key), result) in named.into_iter().zip(calls.send().await?) {
        log.line(match result {
            Ok(_) => format!("Signed RPM {id} is written with {key} key."),
            Err(fault) => format!(
                "FAILED: Signed RPM {id} is not written with {key} key, error: {}",
                fault.message
            ),
        });
    }
    Ok(())
}

/// Lists packages without a wanted signature; they fail the task unless that is allowed.
async fn report_missing(
    task: &Context,
    chosen: &[Chosen],
    keys: &[String],
    opts: &Value,
) -> Result<()> {
    let unsigned_wanted = keys.iter().any(String::is_empty);
    let missing = chosen.iter().filter(|one| one.key.is_none() && !unsigned_wanted);
    let mut lines: Vec<String> = missing
        .map(|one| {
            let list: Vec<Value> = one.available.iter().map(Value::from).collect();
            format!("{}: {}", nvra(&one.rpm), Value::Array(list).repr())
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    lines.sort();
    let skip = opts.get("skip_missing_signatures").truthy();
    let mut log = task.log("missing_signatures.log")?;
    log.line("Some rpms were missing requested signatures.");
    if skip {
        let text =
            "The skip_missing_signatures option was specified, so these files were excluded.";
        log.line(text);
    }
    let wanted: Vec<Value> = keys.iter().map(Value::from).collect();
    log.line(format!("Requested keys: {}\n", Value::Array(wanted).repr()));
    log.line("# RPM name: available keys");
    lines.iter().for_each(|line| log.line(line));
    match skip || opts.get("allow_missing_signatures").truthy() {
        true => Ok(()),
        false => Err(Failure::generic("Unsigned packages found. See missing_signatures.log")),
    }
}

#[cfg(test)]
mod tests {
    use toji_value::map;

    use super::*;

    #[test]
    fn a_repository_has_the_arches_of_its_family() {
        let list = members("i386");
        assert!(["athlon", "i686", "i386"].iter().all(|arch| list.contains(arch)), "{list:?}");
        assert_eq!(list.last(), Some(&"noarch"));
        assert_eq!(members("src"), ["src"]);
        assert_eq!(members("aarch64"), ["aarch64", "noarch"]);
    }

    #[test]
    fn the_first_key_of_the_order_is_taken() {
        let copy = |key: &str| map! { "id" => 1, "sigkey" => key };
        let copies = || vec![copy(""), copy("aaaaaaaa"), copy("BBBBBBBB")];
        let keys = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
        let taken = |wanted: &[&str]| choose(copies(), &keys(wanted)).key;
        assert_eq!(taken(&["bbbbbbbb", "aaaaaaaa"]).as_deref(), Some("BBBBBBBB"));
        assert_eq!(taken(&["cccccccc", "aaaaaaaa"]).as_deref(), Some("aaaaaaaa"));
        assert_eq!(taken(&["cccccccc"]), None);
        assert_eq!(choose(copies(), &keys(&["c"])).available, ["", "aaaaaaaa", "BBBBBBBB"]);
    }
}
