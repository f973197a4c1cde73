//! External repositories: when one of them has new content, the tags that use it have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toji_db::lookup::{self, Names};
use toji_db::{Param, repo as sql, versioned};
use toji_repodata::Repomd;
use toji_types::arch::canonical;
use toji_value::{Fault, Map, Value, map};

use crate::{Call, Hub};

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(60);
/// Bytes of a `repomd.xml`.
const REPOMD: usize = 1 << 20;
/// The key of what is noted, as kojira has it: the newest time stamp in `repomd.xml`.
const NEWEST: &str = "max_ts";

/// Looks until it is ended.
pub(super) async fn serve(hub: Hub) {
    loop {
        if hub.config.repo.check_external_repos
            && hub.solver.fetcher().is_some()
            && let Err(fault) = look(&hub).await
        {
            tracing::warn!(%fault, "looking at external repositories failed");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Looks at each external repository that a tag uses, and notes the newest time stamp of those that are newer; returns how
/// many are. One that cannot be had, or has no time stamps, counts as unchanged.
///
/// # Errors
/// When the database fails.
pub async fn look(hub: &Hub) -> Result<usize, Fault> {
    let mut tx = hub.db.begin();
    let mut used: BTreeMap<i64, String> = BTreeMap::new();
    for row in toji_db::external_repo::uses(&mut tx, None, None, None).await? {
        used.insert(row.get("external_repo_id")?, row.get("url")?);
    }
    let texts = toji_db::host::all_arches(&mut tx).await?;
    let words = texts.iter().flat_map(|text| text.split_whitespace());
    let arches: BTreeSet<&str> = words.map(canonical).collect();
    tx.rollback().await?;
    let (mut seen, mut changed) = (BTreeMap::new(), 0);
    for (id, url) in used {
        let urls: Vec<String> = match url.contains("$arch") {
            true => arches.iter().map(|arch| url.replace("$arch", arch)).collect(),
            false => vec![url.clone()],
        };
        let mut newest = 0;
        for url in urls {
            let at = match seen.get(&url) {
                Some(at) => *at,
                None => stamp(hub, &url).await.unwrap_or_else(|error| {
                    tracing::debug!(url, error, "an external repository cannot be had");
                    0
                }),
            };
            seen.insert(url, at);
            newest = newest.max(at);
        }
        if newest == 0 {
            tracing::warn!(url, "an external repository has no time stamps, or cannot be had");
        } else if note(hub, id, newest).await? {
            tracing::info!(url, newest, "an external repository has changed");
            changed += 1;
        }
    }
    Ok(changed)
}

/// The newest time stamp in a repository's `repomd.xml`.
async fn stamp(hub: &Hub, url: &str) -> Result<i64, String> {
    let fetcher = hub.solver.fetcher().ok_or("this hub cannot fetch")?;
    let place = format!("{}/repodata/repomd.xml", url.trim_end_matches('/'));
    let text = fetcher.fetch(place, REPOMD).await?;
    let repomd = Repomd::parse(text.as_slice(), REPOMD as u64).map_err(|e| e.to_string())?;
    Ok(repomd.records.iter().map(|record| record.timestamp).max().unwrap_or(0))
}

/// Notes a time stamp that is newer than what was noted; tells whether it is.
async fn note(hub: &Hub, id: i64, newest: i64) -> Result<bool, Fault> {
    let older =
        |data: Option<Value>| data.and_then(|data| data.get(NEWEST).as_int()).unwrap_or(0) < newest;
    if !older(sql::external_data(&mut hub.db.begin(), id).await?) {
        return Ok(false);
    }
    let mut call = hub.internal().await?;
    lookup::hold(&mut call.tx, Names::ExternalRepo, id).await?;
    // Another hub may have been quicker, or an administrator may have deleted it.
    let before = sql::external_data(&mut call.tx, id).await?;
    let Some(owner) = super::owner(&mut call).await?.filter(|_| older(before)) else {
        return Ok(false);
    };
    set(&mut call, id, map! { NEWEST => newest }, owner).await?;
    call.commit().await?;
    Ok(true)
}

/// Notes what is known of an external repository, which is held.
///
/// # Errors
/// When the database fails.
pub(crate) async fn set(call: &mut Call, id: i64, data: Map, user: i64) -> Result<(), Fault> {
    let table = "external_repo_data";
    let key = ("external_repo_id", Param::Int(id));
    versioned::revoke(&mut call.tx, table, std::slice::from_ref(&key), user).await?;
    let row = [key, ("data", Param::Json(Value::Struct(data)))];
    versioned::insert(&mut call.tx, table, &row, user).await?;
    call.emit("external_repo.data", &format!("external_repo:{id}"), map! { "id" => id });
    call.signal(toji_bus::Topic::Repositories);
    Ok(())
}
