//! The solver's answers beside dnf's, its words, and its limits.

mod ask;
mod dnf;
mod equality;
mod limits;
mod questions;
mod universe;
