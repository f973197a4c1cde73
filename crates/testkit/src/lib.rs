//! testkit (to be filled).
