//! The handlers of the declared calls, one module for each area.

mod session;
mod system;

pub use system::KOJI_VERSION;
