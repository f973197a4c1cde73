//! Pools and packages that stay in memory, the least used of which go when room is needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use toji_solve::{Package, Pool};
use tokio::sync::Semaphore;

use super::Warm;
use super::outside::{Failed, Fetch, Kept};

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

/// Failures to fetch that are remembered.
const FAILURES: usize = 1000;

/// The solver's memory.
pub struct Solver {
    bounds: Bounds,
    state: Mutex<State>,
    fetch: OnceLock<Arc<dyn Fetch>>,
    /// Seats of questions, and of pools in the making.
    pub(super) questions: Arc<Semaphore>,
    pub(super) making: Semaphore,
    /// Who fetches or makes something at the moment, by its name: others wait for that.
    flights: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    works: OnceLock<bool>,
    made: AtomicUsize,
}

#[derive(Default)]
struct State {
    clock: u64,
    pools: HashMap<Key, (u64, usize, Arc<Warm>)>,
    packages: HashMap<i64, (u64, Arc<Package>)>,
    package_bytes: usize,
    outside: HashMap<String, (u64, Kept)>,
    /// The last failures, few of them.
    failed: HashMap<String, Failed>,
}

/// What a pool was made of.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// A tag, or 0 for repositories elsewhere.
    pub(super) tag: i64,
    pub(super) arch: String,
    /// The event that last changed the tag before the one that was asked for.
    pub(super) event: i64,
    /// States of the external repositories.
    pub(super) outside: Vec<String>,
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
        Self {
            bounds,
            state: Mutex::default(),
            fetch: OnceLock::new(),
            questions,
            making,
            flights: Mutex::default(),
            works: OnceLock::new(),
            made: AtomicUsize::new(0),
        }
    }

    /// Says how external repositories are fetched; only the first time counts.
    pub fn fetch_with(&self, fetch: Arc<dyn Fetch>) {
        let _ = self.fetch.set(fetch);
    }

    pub(crate) fn fetcher(&self) -> Option<Arc<dyn Fetch>> {
        self.fetch.get().cloned()
    }

    /// How many pools are in memory.
    pub fn pools(&self) -> usize {
        self.state().pools.len()
    }

    /// Whether this process has the solver's library.
    pub fn works(&self) -> bool {
        *self.works.get_or_init(|| Pool::new("x86_64", &[]).is_ok())
    }

    /// The lock of what has this name; it is known as long as somebody holds or wants it.
    pub(super) fn flight(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = flights.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        flights.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        flights.insert(name.to_owned(), Arc::downgrade(&lock));
        lock
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

    pub(super) fn pool(&self, key: &Key) -> Option<Arc<Warm>> {
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

    /// How many pools were made.
    pub fn made(&self) -> usize {
        self.made.load(Relaxed)
    }

    pub(super) fn put(&self, key: Key, bytes: usize, warm: Arc<Warm>, current: bool) {
        self.made.fetch_add(1, Relaxed);
        let mut state = self.state();
        state.clock += 1;
        if current && key.tag != 0 {
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

    /// The pools of tags that are not of the past and not too large, those asked last first: tag and arch.
    pub(super) fn current(&self, most: usize, bytes: usize) -> Vec<(i64, String, Arc<Warm>)> {
        let state = self.state();
        let fits =
            |(key, (_, size, _)): &(&Key, &(u64, usize, Arc<Warm>))| key.tag != 0 && *size <= bytes;
        let mut found: Vec<_> = state.pools.iter().filter(fits).collect();
        found.sort_by_key(|(key, (used, ..))| {
            (std::cmp::Reverse(key.event), std::cmp::Reverse(*used))
        });
        let mut seen = std::collections::HashSet::new();
        found.retain(|(key, _)| seen.insert((key.tag, key.arch.clone())));
        found.sort_by_key(|(_, (used, ..))| std::cmp::Reverse(*used));
        let found = found.into_iter().take(most);
        found.map(|(key, (.., warm))| (key.tag, key.arch.clone(), warm.clone())).collect()
    }

    pub(super) fn outside(&self, url: &str) -> Option<Kept> {
        let mut state = self.state();
        state.clock += 1;
        let clock = state.clock;
        let (used, kept) = state.outside.get_mut(url)?;
        *used = clock;
        Some(kept.clone())
    }

    pub(super) fn put_outside(&self, url: String, kept: Kept) {
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

    pub(super) fn failed(&self, url: &str) -> Option<Failed> {
        self.state().failed.get(url).cloned()
    }

    pub(super) fn put_failed(&self, url: String, failed: Failed) {
        let mut state = self.state();
        if state.failed.len() >= FAILURES {
            let newest = failed.at - 600.0;
            state.failed.retain(|_, old| old.at > newest);
        }
        if state.failed.len() < FAILURES {
            state.failed.insert(url, failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use toji_repodata::reader::{PrimaryEntry, Version};

    use super::*;

    fn package(name: &str) -> Arc<Package> {
        let version = Version { epoch: "0".into(), version: "1".into(), release: "1".into() };
        let entry = PrimaryEntry {
            name: name.into(),
            arch: "noarch".into(),
            version,
            checksum_type: "sha256".into(),
            checksum: "a".repeat(64),
            href: format!("{name}.rpm"),
            ..PrimaryEntry::default()
        };
        Arc::new(Package::new(&entry).unwrap())
    }

    fn key(tag: i64, event: i64) -> Key {
        Key { tag, arch: "x86_64".to_owned(), event, outside: Vec::new() }
    }

    fn warm() -> Arc<Warm> {
        let pool = Mutex::new(Pool::new("x86_64", &[]).unwrap());
        let (tag, idle) = (String::new(), AtomicU32::new(0));
        Arc::new(Warm { pool, sources: Default::default(), tag, event: 0, idle })
    }

    fn solver(pools: usize, pool_bytes: usize, package_bytes: usize) -> Solver {
        Solver::new(Bounds { pools, pool_bytes, package_bytes })
    }

    #[test]
    fn pools_are_bounded_by_number_and_bytes() {
        let few = solver(2, 1000, 0);
        few.put(key(1, 1), 1, warm(), false);
        few.put(key(2, 1), 1, warm(), false);
        assert!(few.pool(&key(1, 1)).is_some(), "used last");
        few.put(key(3, 1), 1, warm(), false);
        assert!(few.pool(&key(2, 1)).is_none() && few.pool(&key(1, 1)).is_some());
        let small = solver(10, 100, 0);
        small.put(key(1, 1), 60, warm(), false);
        small.put(key(2, 1), 60, warm(), false);
        assert_eq!(small.pools(), 1);
        // One that is larger than all room is there until the next one.
        small.put(key(3, 1), 500, warm(), false);
        assert!(small.pools() == 1 && small.pool(&key(3, 1)).is_some());
        // What a tag was before makes room at once.
        small.put(key(4, 1), 10, warm(), true);
        small.put(key(4, 2), 10, warm(), true);
        assert!(small.pool(&key(4, 1)).is_none() && small.pool(&key(4, 2)).is_some());
    }

    #[test]
    fn packages_are_bounded_by_bytes() {
        let one = package("a").memory();
        let solver = solver(1, 0, 10 * one);
        for id in 0..1000 {
            solver.keep(id, package("a"));
            let state = solver.state();
            assert!(state.package_bytes <= 10 * one);
            let real: usize = state.packages.values().map(|(_, p)| p.memory()).sum();
            assert_eq!(state.package_bytes, real);
        }
        assert!(solver.package(999).is_some() && solver.package(0).is_none());
    }

    #[test]
    fn repositories_outside_are_bounded_by_bytes_and_failures_by_number() {
        let one = package("a").memory();
        let solver = solver(1, 0, 3 * one);
        let kept = |at: f64| Kept { state: "s".to_owned(), at, packages: vec![package("a")] };
        for number in 0..20 {
            solver.put_outside(format!("https://h/{number}"), kept(0.0));
        }
        assert_eq!(solver.state().outside.len(), 3);
        assert!(
            solver.outside("https://h/19").is_some() && solver.outside("https://h/0").is_none()
        );
        for number in 0..2 * FAILURES {
            solver.put_failed(format!("https://h/{number}"), Failed::new(0.0, "gone"));
        }
        assert_eq!(solver.state().failed.len(), FAILURES);
        solver.put_failed("https://h/later".to_owned(), Failed::new(10_000.0, "gone"));
        assert_eq!(solver.state().failed.len(), 1);
    }
}
