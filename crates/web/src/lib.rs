//! web (to be filled).
