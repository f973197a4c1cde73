//! repodata (to be filled).
