//! Plugins of a builder: task methods that scripts and programs do.

use std::collections::BTreeMap;
use std::time::Duration;

use toji_plugin::{Error as PluginError, Limits, Plugin};

use crate::config::Config;
use crate::error::Error;
use crate::tasks;

/// Koji's plugins for builders whose methods are built in, or need nothing here.
const BUILT_IN: &[&str] = &["kiwi", "runroot", "save_failed_tree", "scmpolicy"];
/// The longest time for a task where no time is set for builds.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The loaded plugins.
#[derive(Debug, Default)]
pub(crate) struct Plugins {
    list: Vec<Plugin>,
    /// For each method its plugin and its weight.
    tasks: BTreeMap<String, (usize, f64)>,
}

impl Plugins {
    /// Loads the plugins of a configuration; those of Koji that are in Python are passed over.
    pub(crate) async fn load(config: &Config) -> Result<Plugins, Error> {
        let limits = Limits::for_tasks(config.limits.wall.unwrap_or(DAY));
        let mut plugins = Plugins::default();
        for name in config.plugins.iter().filter(|name| !BUILT_IN.contains(&name.as_str())) {
            let settings = config.plugin_dir.as_ref().map(|dir| toji_plugin::settings(dir, name));
            let settings = settings.unwrap_or_else(|| Ok(Default::default()))?;
            match toji_plugin::load(&config.plugin_path, name, settings, limits).await {
                Ok(plugin) => plugins.add(plugin),
                Err(error @ PluginError::Python { .. }) => {
                    tracing::warn!("{error}: its tasks are not done by this builder");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(plugins)
    }

    fn add(&mut self, plugin: Plugin) {
        for task in &plugin.manifest.tasks {
            if tasks::find(&task.name).is_some() || self.tasks.contains_key(&task.name) {
                tracing::error!(
                    plugin = plugin.name,
                    method = task.name,
                    "the method exists already"
                );
                continue;
            }
            self.tasks.insert(task.name.clone(), (self.list.len(), task.weight));
        }
        self.list.push(plugin);
    }

    /// The plugin that does a method, and the method's weight.
    pub(crate) fn task(&self, method: &str) -> Option<(&Plugin, f64)> {
        let (at, weight) = self.tasks.get(method)?;
        Some((self.list.get(*at)?, *weight))
    }

    /// All methods that this builder does.
    pub(crate) fn methods(&self) -> impl Iterator<Item = &str> {
        let own = tasks::METHODS.iter().map(|method| method.name());
        own.chain(self.tasks.keys().map(String::as_str))
    }
}
