//! The build daemon: takes tasks from the hub, runs them and sends back what they made.

mod buildroot;
mod channel;
mod config;
mod context;
mod credential;
mod daemon;
mod error;
mod failed;
mod failure;
mod leave;
mod letters;
mod logs;
mod machine;
mod news;
mod packages;
mod plugins;
mod repository;
mod resolve;
mod resources;
mod rich;
mod salvage;
mod scm;
mod source;
mod stream;
mod tasks;
mod trial;
mod wait;
mod worker;

pub use config::{Buildroots, Config, Kind};
pub use credential::{Enrolment, enrol};
pub use daemon::Builder;
pub use error::Error;
pub use leave::Ending;
pub use toji_mail::{Letter as MailLetter, Server as MailServer};
pub use toji_sandbox::{CancellationToken, Limits};
pub use trial::trial;
