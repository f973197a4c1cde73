//! server (to be filled).
