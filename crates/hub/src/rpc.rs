//! The handlers of the declared calls, one module for each area.

mod session;
mod system;
mod upload;

pub use system::KOJI_VERSION;
