//! The pool of what is asked about: from memory, or made.
//!
//! The database is asked first, and its connection given back before anything is fetched, made or solved.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use toji_solve::{Package, Pool, Repository};
use toji_types::arch::canonical;
use toji_types::lockfile::Source;
use toji_value::{Args, Fault, map};

use super::asked::{Asked, From};
use super::memory::Key;
use super::outside::Kept;
use super::{Warm, allowed, content, outside};
use crate::dispatch::invoke;
use crate::repo::change;
use crate::tag::{self, Tag};
use crate::{Call, Hub};

/// An external repository as the database knows it.
struct Named {
    id: String,
    url: String,
    bare: bool,
}

/// One with its packages.
struct Outside {
    named: Named,
    kept: Kept,
}

/// What a tag is at the event that counts.
struct Place {
    tag: Tag,
    event: i64,
    /// Whether that is what the tag is now.
    current: bool,
    /// Whether an older event may still come, so that the pool is not for others.
    unsettled: bool,
}

/// The pool of what is asked about.
pub(super) async fn warm(call: &mut Call, asked: &Asked) -> Result<Arc<Warm>, Fault> {
    let warm = find_or_make(call, asked).await?;
    warm.idle.store(0, Relaxed);
    Ok(warm)
}

pub(super) async fn find_or_make(call: &mut Call, asked: &Asked) -> Result<Arc<Warm>, Fault> {
    match &asked.from {
        From::Urls(urls) => {
            allowed::urls(call, urls).await?;
            call.tx.rest();
            of_urls(&call.hub.clone(), urls, &asked.arch).await
        }
        From::Tag { .. } | From::Repo(_) => of_tag(call, asked).await,
    }
}

async fn of_tag(call: &mut Call, asked: &Asked) -> Result<Arc<Warm>, Fault> {
    let hub = call.hub.clone();
    let place = find(call, asked).await?;
    let named = repositories(call, &place, &asked.arch).await?;
    call.tx.rest();
    let outside = load(&hub, named).await?;
    let key = Key {
        tag: place.tag.id,
        arch: asked.arch.clone(),
        event: place.event,
        outside: outside.iter().map(|one| one.kept.state.clone()).collect(),
    };
    if let Some(warm) = hub.solver.pool(&key) {
        return Ok(warm);
    }
    let flight = hub.solver.flight(&format!("pool {} {} {}", key.tag, key.arch, key.event));
    let _first = flight.lock().await;
    if let Some(warm) = hub.solver.pool(&key) {
        return Ok(warm);
    }
    let _seat = hub.solver.making.acquire().await.map_err(|e| Fault::unexpected(e.to_string()))?;
    let content = content::of_tag(call, &place.tag, &asked.arch, Some(place.event)).await?;
    call.tx.rest();
    let name = place.tag.name.clone();
    let mut sources = BTreeMap::from([(name.clone(), Source::Hub)]);
    let mut repositories =
        vec![Repository { priority: 0, ..Repository::new(&name, content.packages) }];
    for (number, Outside { named, kept }) in (1..).zip(outside) {
        // a package that the tag builds itself is not taken from elsewhere (Koji's merge of repositories)
        let ours = |p: &&Arc<Package>| named.bare || !content.sources.contains(p.source_name());
        let packages = kept.packages.iter().filter(ours).cloned().collect();
        repositories.push(Repository { priority: number, ..Repository::new(&named.id, packages) });
        sources.insert(named.id, Source::External { url: named.url });
    }
    let (pool, bytes) = make(asked.arch.clone(), repositories).await?;
    let (pool, idle) = (Mutex::new(pool), AtomicU32::new(0));
    let warm = Arc::new(Warm { pool, sources, tag: name, event: place.event, idle });
    if !place.unsettled {
        hub.solver.put(key, bytes, warm.clone(), place.current);
    }
    Ok(warm)
}

/// The tag at the last event that changed it, up to the one that is asked for.
async fn find(call: &mut Call, asked: &Asked) -> Result<Place, Fault> {
    let (tag, event) = asked.place(call).await?;
    let found = tag::need(call, &tag, event.into()).await?;
    let arches = found.config.arches.as_deref().unwrap_or_default();
    let arch = canonical(&asked.arch);
    if !arches.split_whitespace().any(|known| canonical(known) == arch) {
        return Err(Fault::generic(format!("tag {} has no arch {}", found.name, asked.arch)));
    }
    let last = change::last(call, found.id).await?.unwrap_or(0);
    let current = event.is_none_or(|event| event >= last);
    let event = event.filter(|_| !current).unwrap_or(last);
    let unsettled = toji_db::event::is_unsettled(&mut call.tx, event).await?;
    Ok(Place { tag: found, event, current, unsettled })
}

/// A pool and its bytes.
async fn make(arch: String, repositories: Vec<Repository>) -> Result<(Pool, usize), Fault> {
    let made = tokio::task::spawn_blocking(move || Pool::new(&arch, &repositories));
    let made = made.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    let pool = made.map_err(|error| Fault::generic(error.to_string()))?;
    let bytes = pool.memory();
    Ok((pool, bytes))
}

/// The external repositories of a tag for an arch, the first one first.
async fn repositories(call: &mut Call, place: &Place, arch: &str) -> Result<Vec<Named>, Fault> {
    let event = (!place.current).then_some(place.event);
    let args = Args { positional: vec![place.tag.id.into()], keywords: map! { "event" => event } };
    let listed = Box::pin(invoke(call, "getExternalRepoList", args)).await?;
    let arch = canonical(arch);
    let mut found: Vec<Named> = Vec::new();
    for row in listed.as_array().unwrap_or_default() {
        let text = |key: &str| row.get(key).as_str().unwrap_or_default().to_owned();
        let arches = text("arches");
        let fits =
            arches.trim().is_empty() || arches.split_whitespace().any(|a| canonical(a) == arch);
        if fits {
            let url = text("url").replace("$arch", arch);
            let bare = text("merge_mode") == "bare";
            found.push(Named { id: text("external_repo_name"), url, bare });
        }
    }
    Ok(found)
}

/// All of them with their packages, fetched side by side.
async fn load(hub: &Hub, named: Vec<Named>) -> Result<Vec<Outside>, Fault> {
    let all = named.into_iter().map(async |named| {
        let kept = outside::current(hub, &named.url, outside::Whose::Tag).await?;
        Ok(Outside { named, kept })
    });
    futures::future::try_join_all(all).await
}

/// The pool of repositories elsewhere, in the order in which they are given.
async fn of_urls(hub: &Hub, urls: &[(String, String)], arch: &str) -> Result<Arc<Warm>, Fault> {
    let all = urls.iter().map(|(id, url)| async move {
        let kept = outside::current(hub, url, outside::Whose::Caller).await?;
        Ok::<_, Fault>((id, url, kept))
    });
    let all = futures::future::try_join_all(all).await?;
    let states = all.iter().map(|(id, url, kept)| format!("{id} {url} {}", kept.state)).collect();
    let key = Key { tag: 0, arch: arch.to_owned(), event: 0, outside: states };
    if let Some(warm) = hub.solver.pool(&key) {
        return Ok(warm);
    }
    let _seat = hub.solver.making.acquire().await.map_err(|e| Fault::unexpected(e.to_string()))?;
    let repositories =
        all.iter().map(|(id, _, kept)| Repository::new(*id, kept.packages.clone())).collect();
    let (pool, bytes) = make(arch.to_owned(), repositories).await?;
    let external = |(id, url)| (id, Source::External { url });
    let sources = urls.iter().cloned().map(external).collect();
    let (pool, idle) = (Mutex::new(pool), AtomicU32::new(0));
    let warm = Arc::new(Warm { pool, sources, tag: String::new(), event: 0, idle });
    hub.solver.put(key, bytes, warm.clone(), false);
    Ok(warm)
}
