//! Plugins: scripts and programs that take part in what a hub, a builder or a command does.
//!
//! A plugin is a script (rhai, in this process) or a program that speaks JSON lines (see `process`). Both tell in a [`Manifest`] what they take part in: callbacks, added calls, policy
//! tests, task types and commands. [`Plugin::run`] gives an [`Event`] to one; what the plugin asks
//! meanwhile is answered by its [`Host`], in the caller's own transaction.

mod convert;
mod error;
mod event;
mod ini;
mod limits;
mod load;
mod manifest;
mod process;
mod script;

pub use error::Error;
pub use event::{Event, Host, Kind, Place};
pub use ini::{Settings, parse as parse_settings};
pub use limits::Limits;
pub use load::{load, names, settings};
pub use manifest::{CALLBACKS, Callback, Command, Export, ExportParam, Manifest, PolicyTest, Task};

use toji_value::Value;

/// A loaded plugin.
#[derive(Debug)]
pub struct Plugin {
    /// Its name, as `Plugins` lists it.
    pub name: String,
    /// What it takes part in.
    pub manifest: Manifest,
    kind: Loaded,
}

#[derive(Debug)]
enum Loaded {
    Script(script::Script),
    Process(process::Program),
}

impl Plugin {
    /// Gives an event to the plugin and returns what it answers.
    ///
    /// # Errors
    /// What the plugin failed with, or the limit that it broke.
    pub async fn run<H: Host>(&self, event: Event, host: &mut H) -> Result<Value, Error> {
        match &self.kind {
            Loaded::Script(script) => script.run(event, host, None).await,
            Loaded::Process(program) => program.run(event, host).await,
        }
    }

    /// Gives an event to the plugin that is worked on at a place of its own; a program is started for it alone.
    ///
    /// # Errors
    /// What the plugin failed with, or the limit that it broke.
    pub async fn run_at<H: Host>(
        &self,
        event: Event,
        host: &mut H,
        place: Place,
    ) -> Result<Value, Error> {
        match &self.kind {
            Loaded::Script(script) => script.run(event, host, Some(place)).await,
            Loaded::Process(program) => program.run_at(event, host, place).await,
        }
    }
}
