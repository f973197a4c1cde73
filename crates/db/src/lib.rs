//! db (to be filled).
