//! types (to be filled).
