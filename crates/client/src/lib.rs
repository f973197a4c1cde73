//! client (to be filled).
