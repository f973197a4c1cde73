//! hub (to be filled).
