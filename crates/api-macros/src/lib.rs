//! api-macros (to be filled).
