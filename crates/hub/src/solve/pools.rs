//! Pools and packages that stay in memory, the least used of which go when room is needed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use toji_solve::{Package, Pool, Repository};
use toji_types::arch::canonical;
use toji_types::lockfile::Source;
use toji_value::{Args, Fault, map};
use tokio::sync::Semaphore;

use super::outside::{self, Fetch, Kept};
use super::{Asked, Warm, content};
use crate::Call;
use crate::dispatch::invoke;
use crate::repo::change;
use crate::tag::{self, Tag};

/// How much stays in memory.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Pools, and their bytes without their packages.
    pub pools: usize,
    /// As above.
    pub pool_bytes: usize,
    /// Bytes of packages, of tags and of external repositories each.
    pub package_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { pools: 32, pool_bytes: 1 << 30, package_bytes: 512 << 20 }
    }
}

/// Seconds for which an external repository is not looked at again.
const FRESH: f64 = 120.0;

/// The solver's memory.
pub struct Solver {
    bounds: Bounds,
    state: Mutex<State>,
    fetch: OnceLock<Arc<dyn Fetch>>,
    /// Seats of questions, and of pools in the making.
    pub(super) questions: Arc<Semaphore>,
    making: Semaphore,
}

#[derive(Default)]
struct State {
    clock: u64,
    pools: HashMap<Key, (u64, usize, Arc<Warm>)>,
    packages: HashMap<i64, (u64, Arc<Package>)>,
    package_bytes: usize,
    outside: HashMap<String, (u64, Kept)>,
}

/// What a pool was made of.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    tag: i64,
    arch: String,
    /// The event that last changed the tag, or the one that was asked for.
    event: i64,
    /// States of the external repositories.
    outside: Vec<String>,
}

impl Default for Solver {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
}

impl Solver {
    /// A memory that is empty.
    pub fn new(bounds: Bounds) -> Self {
        let (questions, making) = (Arc::new(Semaphore::new(4)), Semaphore::new(2));
        Self { bounds, state: Mutex::default(), fetch: OnceLock::new(), questions, making }
    }

    /// Says how external repositories are fetched; only the first time counts.
    pub fn fetch_with(&self, fetch: Arc<dyn Fetch>) {
        let _ = self.fetch.set(fetch);
    }

    pub(super) fn fetcher(&self) -> Option<Arc<dyn Fetch>> {
        self.fetch.get().cloned()
    }

    /// How many pools are in memory.
    pub fn pools(&self) -> usize {
        self.state().pools.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn package(&self, rpm_id: i64) -> Option<Arc<Package>> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let (used, package) = state.packages.get_mut(&rpm_id)?;
        *used = clock;
        Some(package.clone())
    }

    pub(super) fn keep(&self, rpm_id: i64, package: Arc<Package>) {
        let mut state = self.state();
        state.clock += 1;
        state.package_bytes += package.memory();
        let clock = state.clock;
        if let Some((_, old)) = state.packages.insert(rpm_id, (clock, package)) {
            state.package_bytes -= old.memory();
        }
        if state.package_bytes > self.bounds.package_bytes {
            // the older half goes, so that this is seldom needed
            let mut uses: Vec<u64> = state.packages.values().map(|(used, _)| *used).collect();
            uses.sort_unstable();
            let median = uses.get(uses.len() / 2).copied().unwrap_or(0);
            state.packages.retain(|_, (used, _)| *used > median);
            state.package_bytes = state.packages.values().map(|(_, p)| p.memory()).sum();
        }
    }

    fn pool(&self, key: &Key) -> Option<Arc<Warm>> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let (used, _, warm) = state.pools.get_mut(key)?;
        *used = clock;
        let worn = warm.pool.try_lock().is_ok_and(|pool| pool.is_worn());
        let warm = warm.clone();
        if worn {
            state.pools.remove(key);
            return None;
        }
        Some(warm)
    }

    fn put(&self, key: Key, bytes: usize, warm: Arc<Warm>, current: bool) {
        let mut state = self.state();
        state.clock += 1;
        if current {
            // what the tag was before is seldom asked for again
            state.pools.retain(|old, _| (old.tag, &old.arch) != (key.tag, &key.arch));
        }
        let clock = state.clock;
        state.pools.insert(key, (clock, bytes, warm));
        loop {
            let total: usize = state.pools.values().map(|(_, bytes, _)| *bytes).sum();
            let many = state.pools.len() > self.bounds.pools || total > self.bounds.pool_bytes;
            let oldest = state.pools.iter().min_by_key(|(_, (used, ..))| *used);
            match oldest.map(|(key, _)| key.clone()) {
                Some(key) if many && state.pools.len() > 1 => drop(state.pools.remove(&key)),
                _ => return,
            }
        }
    }

    fn outside(&self, url: &str) -> Option<Kept> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let (used, kept) = state.outside.get_mut(url)?;
        *used = clock;
        Some(kept.clone())
    }

    fn put_outside(&self, url: String, kept: Kept) {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        state.outside.insert(url, (clock, kept));
        loop {
            let bytes: usize =
                state.outside.values().flat_map(|(_, k)| &k.packages).map(|p| p.memory()).sum();
            let oldest = state.outside.iter().min_by_key(|(_, (used, _))| *used);
            match oldest.map(|(url, _)| url.clone()) {
                Some(url) if bytes > self.bounds.package_bytes && state.outside.len() > 1 => {
                    state.outside.remove(&url);
                }
                _ => return,
            }
        }
    }
}

/// One external repository of a tag.
struct Outside {
    id: String,
    url: String,
    bare: bool,
    kept: Kept,
}

/// The pool of what is asked about: from memory, or made.
pub(super) async fn warm(call: &mut Call, asked: &Asked) -> Result<Arc<Warm>, Fault> {
    let found = tag::need(call, &asked.tag, asked.event.into()).await?;
    let arches = found.config.arches.as_deref().unwrap_or_default();
    let arch = canonical(&asked.arch).to_owned();
    if !arches.split_whitespace().any(|known| canonical(known) == arch) {
        return Err(Fault::generic(format!("tag {} has no arch {}", found.name, asked.arch)));
    }
    let outside = repositories(call, asked, &found, &arch).await?;
    let event = match asked.event {
        Some(event) => event,
        None => change::last(call, found.id).await?.unwrap_or(0),
    };
    let states = outside.iter().map(|one| one.kept.state.clone()).collect();
    let key = Key { tag: found.id, arch: asked.arch.clone(), event, outside: states };
    if let Some(warm) = call.hub.solver.pool(&key) {
        return Ok(warm);
    }
    let hub = call.hub.clone();
    let _seat = hub.solver.making.acquire().await.map_err(|e| Fault::unexpected(e.to_string()))?;
    if let Some(warm) = hub.solver.pool(&key) {
        return Ok(warm);
    }
    let content = content::of_tag(call, &found, &asked.arch, asked.event).await?;
    let mut sources = BTreeMap::from([(found.name.clone(), Source::Hub)]);
    let mut repositories =
        vec![Repository { priority: 0, ..Repository::new(&found.name, content.packages) }];
    for (place, one) in (1..).zip(outside) {
        // a package that the tag builds itself is not taken from elsewhere (Koji's merge of repositories)
        let ours = |p: &&Arc<Package>| one.bare || !content.sources.contains(p.source_name());
        let packages = one.kept.packages.iter().filter(ours).cloned().collect();
        repositories.push(Repository { priority: place, ..Repository::new(&one.id, packages) });
        sources.insert(one.id, Source::External { url: one.url });
    }
    let arch = asked.arch.clone();
    let made = tokio::task::spawn_blocking(move || Pool::new(&arch, &repositories));
    let made = made.await.map_err(|error| Fault::unexpected(error.to_string()))?;
    let pool = made.map_err(|error| Fault::generic(error.to_string()))?;
    let bytes = pool.memory();
    let warm = Arc::new(Warm { pool: Mutex::new(pool), sources, tag: found.name.clone(), event });
    hub.solver.put(key, bytes, warm.clone(), asked.event.is_none());
    Ok(warm)
}

/// The external repositories of a tag for an arch, the first one first.
async fn repositories(
    call: &mut Call,
    asked: &Asked,
    tag: &Tag,
    arch: &str,
) -> Result<Vec<Outside>, Fault> {
    let keywords = map! { "event" => asked.event };
    let args = Args { positional: vec![tag.id.into()], keywords };
    let listed = Box::pin(invoke(call, "getExternalRepoList", args)).await?;
    let mut found: Vec<Outside> = Vec::new();
    for row in listed.as_array().unwrap_or_default() {
        let text = |key: &str| row.get(key).as_str().unwrap_or_default().to_owned();
        let arches = text("arches");
        let fits =
            arches.trim().is_empty() || arches.split_whitespace().any(|a| canonical(a) == arch);
        if !fits {
            continue;
        }
        let url = text("url").replace("$arch", arch);
        let kept = match call.hub.solver.outside(&url) {
            Some(kept) if call.now() - kept.at < FRESH => kept,
            before => {
                let kept = outside::load(call, &url, before).await?;
                call.hub.solver.put_outside(url.clone(), kept.clone());
                kept
            }
        };
        let bare = text("merge_mode") == "bare";
        found.push(Outside { id: text("external_repo_name"), url, bare, kept });
    }
    Ok(found)
}
