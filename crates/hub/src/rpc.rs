//! The handlers of the declared calls, one module for each area.

mod archive;
mod build;
mod builder;
mod buildroot;
mod buildroot_task;
mod catalog;
mod external_repo;
mod generator;
mod group;
mod history;
mod host;
mod host_archive;
mod host_build;
mod host_task;
mod import;
mod notification;
mod package;
mod policy;
mod provenance;
mod repo;
mod repo_host;
mod rpm;
mod scheduler;
mod session;
mod sidetag;
mod solve;
mod submit;
mod system;
mod tag;
mod tagged;
mod tagging;
mod target;
mod task;
mod upload;
mod user;

pub use system::KOJI_VERSION;
