//! builder (to be filled).
