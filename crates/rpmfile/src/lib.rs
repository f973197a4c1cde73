//! rpmfile (to be filled).
