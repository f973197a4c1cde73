//! Koji's standard plugins, by the names that `Plugins` has for them.

use toji_plugin::{CALLBACKS, Settings};
use toji_value::{Fault, Map, Value};

use super::{dist_repo, fedora, maven, message};
use crate::Call;

/// A plugin that is compiled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// Logs every callback.
    Echo,
    /// Tells what happens in the form of Koji's message bus plugin.
    Protonmsg,
    /// Tells what happens in the form of Fedora's plugin.
    FedoraMessaging,
    /// Makes dist repositories of tags that ask for it, whenever their content changes.
    Tag2distrepo,
    /// Imports the Maven archives in RPMs.
    Rpm2maven,
    /// Its calls are always there.
    Always,
}

impl BuiltIn {
    pub(crate) fn named(name: &str) -> Option<BuiltIn> {
        Some(match name {
            "echo" => BuiltIn::Echo,
            "protonmsg" => BuiltIn::Protonmsg,
            "koji-fedoramessaging" => BuiltIn::FedoraMessaging,
            "tag2distrepo" => BuiltIn::Tag2distrepo,
            "rpm2maven" => BuiltIn::Rpm2maven,
            "dud" | "kiwi" | "runroot_hub" | "save_failed_tree" | "sidetag_hub" => BuiltIn::Always,
            _ => return None,
        })
    }

    /// The callbacks that it gets.
    pub(crate) fn callbacks(self) -> impl Iterator<Item = &'static str> {
        let own: &'static [&'static str] = match self {
            BuiltIn::Echo => CALLBACKS,
            BuiltIn::Protonmsg => message::CALLBACKS,
            BuiltIn::FedoraMessaging => fedora::CALLBACKS,
            BuiltIn::Tag2distrepo => &["postTag", "postUntag"],
            BuiltIn::Rpm2maven => &["postImport"],
            BuiltIn::Always => &[],
        };
        own.iter().copied()
    }

    pub(crate) fn ignores_errors(self) -> bool {
        self == BuiltIn::Echo
    }

    pub(crate) async fn callback(
        self,
        call: &mut Call,
        name: &str,
        args: &Map,
        settings: &Settings,
    ) -> Result<(), Fault> {
        match self {
            BuiltIn::Echo => {
                let args = Value::from(args.clone()).repr();
                tracing::info!("Called the {name} callback, args: (); kws: {args}");
                Ok(())
            }
            BuiltIn::Protonmsg => message::queue(call, name, args, settings).await,
            BuiltIn::FedoraMessaging => fedora::queue(call, name, args, settings).await,
            BuiltIn::Tag2distrepo => dist_repo::schedule(call, args).await,
            // Boxed: an import within an import.
            BuiltIn::Rpm2maven => Box::pin(maven::import(call, args, settings)).await,
            BuiltIn::Always => Ok(()),
        }
    }
}
