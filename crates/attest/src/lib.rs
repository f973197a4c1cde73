//! Statements about builds: SLSA provenance in signed DSSE envelopes, and bills of materials.
//!
//! Nothing here reads files or asks for the time: the hub writes with it, `toji verify` checks with it.

mod dsse;
mod error;
mod key;
pub mod spdx;
pub mod statement;

pub use dsse::{Envelope, PAYLOAD_TYPE, Signature};
pub use error::{Error, Result};
pub use key::{PublicKey, SEED, SigningKey};
pub use statement::{Digests, Resource, Statement};
