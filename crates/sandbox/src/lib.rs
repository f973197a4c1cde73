//! sandbox (to be filled).
