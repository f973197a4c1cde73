//! What is given to a plugin, and who answers what it asks.

use std::fs::File;
use std::future::Future;
use std::path::PathBuf;

use toji_value::{Args, Fault, Value};

/// What kind of event a plugin gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A callback of the hub or of a builder; arguments are keywords.
    Callback,
    /// An added call; arguments are in the declared order.
    Call,
    /// A policy test; arguments are its words and the policy's data.
    Test,
    /// A task; arguments are its number, the list of its parameters and a struct of those with names.
    Task,
    /// A command; arguments are its words.
    Command,
}

impl Kind {
    /// The name in the protocol of programs.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Callback => "callback",
            Kind::Call => "call",
            Kind::Test => "test",
            Kind::Task => "task",
            Kind::Command => "command",
        }
    }
}

/// Something that happens, for one plugin.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// The callback, call, test, task method or command.
    pub name: String,
    /// Its arguments.
    pub args: Vec<Value>,
}

/// Where an event is worked on.
#[derive(Debug)]
pub struct Place {
    /// The working directory of a program.
    pub dir: PathBuf,
    /// What a program writes to its standard error, and a script prints.
    pub log: File,
}

/// Answers the calls that a plugin makes while it works.
pub trait Host: Send {
    /// Calls a method of the hub on behalf of the plugin.
    fn call(
        &mut self,
        method: &str,
        args: Args,
    ) -> impl Future<Output = Result<Value, Fault>> + Send;
}
