//! value (to be filled).
