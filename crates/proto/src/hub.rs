//! The calls of the hub over gRPC (`toji.hub.v1`), straight from their declarations.
//!
//! No code is generated for them: [`schema`] writes `hub.proto` from the declarations, [`wire`] and [`message`] read and write what it
//! describes. Field numbers are the places of the parameters, from 1.

pub mod message;
pub mod schema;
pub mod wire;

/// The descriptors of all services, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/toji.bin"));

/// The service with a method for each declared call.
pub const HUB: &str = "toji.hub.v1.Hub";
/// The service for calls by name.
pub const CALLS: &str = "toji.hub.v1.Calls";
