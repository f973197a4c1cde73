//! policy (to be filled).
