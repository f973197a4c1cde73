//! The rules of the hub and the handler of each remote call; knows no HTTP, XML or gRPC.
//!
//! Start at [`Hub::call`]: it opens a transaction, validates the session, checks the access that
//! the declaration asks for, runs the handler, commits, and then tells others what happened.

pub mod archive;
pub mod audit;
pub mod batch;
pub mod build;
mod builder;
pub mod buildroot;
mod call;
pub mod check;
pub mod config;
pub mod courier;
mod dispatch;
pub mod events;
pub mod files;
pub mod forward;
pub mod fragment;
pub mod gc;
pub mod generator;
pub mod group;
pub mod history;
pub mod host;
mod hub;
pub mod identity;
pub mod json;
mod keys;
mod lease;
pub mod listing;
pub mod live;
pub mod lookup;
pub mod name;
mod outside;
pub mod package;
pub mod plugin;
pub mod policy;
mod process;
pub mod relay;
pub mod repo;
pub mod repod;
mod rpc;
pub mod rpm;
pub mod scheduler;
pub mod session;
pub mod sidetag;
mod signing;
pub mod solve;
pub mod statement;
pub mod tag;
pub mod tagged;
pub mod tagging;
pub mod target;
pub mod task;
pub mod upload;
pub mod user;
pub mod volume;

pub use call::{Call, Request, SessionKey};
pub use config::Config;
pub use dispatch::Handle;
pub use hub::Hub;
pub use identity::{Identity, Subject};
pub use outside::{Clock, Random, SystemClock, SystemRandom};
pub use rpc::KOJI_VERSION;
