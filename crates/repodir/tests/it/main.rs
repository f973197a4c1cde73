//! Repositories in directories: broken input, readers beside writers, writers beside writers.

mod lies;
mod states;
mod support;
