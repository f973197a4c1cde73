//! The handlers of the declared calls, one module for each area.

mod host;
mod package;
mod policy;
mod session;
mod system;
mod tag;
mod tagged;
mod target;
mod upload;
mod user;

pub use system::KOJI_VERSION;
