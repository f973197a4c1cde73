//! The hub: what all calls share.

use std::sync::Arc;

use toji_bus::Bus;
use toji_db::Db;
use toji_db::presence::Identity;
use toji_policy::PolicySet;
use toji_types::PathInfo;
use toji_value::Fault;
use tokio::sync::Notify;

use crate::dispatch::Registry;
use crate::live::Live;
use crate::name::NameRules;
use crate::plugin::Plugins;
use crate::{Clock, Config, Random, SystemClock, SystemRandom};

/// The hub; clones share everything.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

/// What a hub consists of.
pub struct Inner {
    /// The database.
    pub db: Db,
    /// Signals and events within this process.
    pub bus: Bus,
    /// Options.
    pub config: Config,
    /// Where files are.
    pub paths: PathInfo,
    /// The files: those in directories and those in object stores.
    pub store: toji_store::Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys.
    pub random: Arc<dyn Random>,
    /// What takes part in calls.
    pub plugins: Plugins,
    /// The policies, or why they cannot be used: calls that need one fail then.
    pub policies: Result<PolicySet, Fault>,
    pub(crate) names: Result<NameRules, Fault>,
    /// Parts of repositories that are packed already.
    pub chunks: crate::repo::assemble::Chunks,
    /// Builders with a live connection to this process.
    pub live: Arc<Live>,
    /// Pools of the dependency solver.
    pub solver: Arc<crate::solve::Solver>,
    pub(crate) registry: Registry,
    /// Tells that an entry of the journal of imports has come to its end.
    pub(crate) ended: Arc<Notify>,
}

impl std::ops::Deref for Hub {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Hub {
    /// A hub on a database whose schema is up to date, with the plugins of its configuration.
    ///
    /// # Errors
    /// `PluginError` that names the plugin which cannot be loaded.
    pub async fn start(db: Db, bus: Bus, config: Config) -> Result<Self, Fault> {
        let plugins = Plugins::load(&config).await?;
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        Ok(Hub::with_plugins(db, bus, config, clock, random, plugins))
    }

    /// Like [`Hub::start`], but of the plugins only those that are built in.
    pub fn new(db: Db, bus: Bus, config: Config) -> Self {
        Hub::with_outside(db, bus, config, Arc::new(SystemClock), Arc::new(SystemRandom))
    }

    /// A hub with its own time and randomness, for tests and simulations.
    pub fn with_outside(
        db: Db,
        bus: Bus,
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let plugins = Plugins::built_in(&config);
        Hub::with_plugins(db, bus, config, clock, random, plugins)
    }

    fn with_plugins(
        db: Db,
        bus: Bus,
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        plugins: Plugins,
    ) -> Self {
        let paths = PathInfo::new(config.topdir.to_string_lossy().into_owned());
        let store = toji_store::Store::new(&config.topdir, config.object_volumes.clone());
        let policies = crate::policy::load(&config, &plugins);
        let names = NameRules::new(&config);
        let registry = Registry::new(&plugins);
        let chunks = crate::repo::assemble::Chunks::default();
        let mut name = [0; 8];
        random.fill(&mut name);
        let live = Arc::new(Live::new(hex::encode(name)));
        let inner = Inner {
            db,
            bus,
            config,
            paths,
            store,
            clock,
            random,
            plugins,
            policies,
            names,
            chunks,
            live,
            solver: Arc::default(),
            registry,
            ended: Arc::default(),
        };
        Hub(Arc::new(inner))
    }

    /// The same hub with other options, of the plugins only those that are built in: requests that run keep theirs.
    pub fn reconfigured(&self, config: Config) -> Self {
        let (clock, random) = (self.clock.clone(), self.random.clone());
        Hub::with_outside(self.db.clone(), self.bus.clone(), config, clock, random).living(self)
    }

    /// The same hub with other options and all their plugins: requests that run keep theirs.
    ///
    /// # Errors
    /// `PluginError` that names the plugin which cannot be loaded.
    pub async fn reloaded(&self, config: Config) -> Result<Self, Fault> {
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let plugins = Plugins::load(&config).await?;
        let (db, bus) = (self.db.clone(), self.bus.clone());
        Ok(Hub::with_plugins(db, bus, config, clock, random, plugins).living(self))
    }

    /// This hub with the live connections of the one before.
    fn living(mut self, before: &Hub) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.live = before.live.clone();
            inner.solver = before.solver.clone();
            inner.ended = before.ended.clone();
        }
        self
    }

    /// Whether the patterns of names are usable.
    ///
    /// # Errors
    /// `ConfigurationError` that names the option.
    pub fn names(&self) -> Result<(), Fault> {
        self.names.as_ref().map(drop).map_err(Fault::clone)
    }

    /// Refuses everything while `ServerOffline` is set.
    ///
    /// # Errors
    /// `ServerOffline` with `OfflineMessage`.
    pub(crate) fn online(&self) -> Result<(), Fault> {
        self.config.offline.as_ref().map_or(Ok(()), |text| Err(Fault::offline(text.as_str())))
    }

    /// Finishes or undoes imports that a crash interrupted; returns how many there were.
    ///
    /// On a database that other hubs use too, imports of the last ten minutes are left alone unless their hub has certainly
    /// ended: they may be theirs. From now on the others see that this one does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recover(&self) -> Result<usize, toji_value::Fault> {
        let shared = self.db.engine() == toji_db::Engine::Postgres;
        let mut number = [0; 4];
        self.random.fill(&mut number);
        // Above zero.
        let number = i32::from_le_bytes(number) & i32::MAX | 1;
        let (process, trust) = (crate::process::own(), self.config.presence_trust);
        self.db.be_present(Identity { number, process, trust }).await;
        let age = if shared { toji_db::ABANDONED } else { 0.0 };
        let old = crate::build::import::recover(self, age).await?;
        Ok(old + crate::build::import::recover_dead(self).await?)
    }

    /// The time now, seconds since 1970.
    pub fn now(&self) -> f64 {
        self.clock.now()
    }
}
