//! proto (to be filled).
