//! XML-RPC text to and from [`Value`], with Koji's extensions and hardened against hostile input.
//!
//! Beyond plain XML-RPC, `nil`, `i1` … `i8`, `bigint`, `biginteger`, `float` and untyped values are read, with any
//! namespace prefix; integers beyond 32 bits are written as `i8`. The layout of what is written is
//! that of Python's `xmlrpc.client`, byte for byte, but for two things that Python's own reader
//! could not take back: a carriage return is written as `&#13;`, and characters that XML 1.0
//! forbids (most control characters) are left out, as Koji does in the few calls that care.

mod error;
mod fuzz;
mod read;
mod text;
mod write;

pub use error::Error;
#[doc(hidden)]
pub use fuzz::fuzz;
pub use read::{Limits, parse_call, parse_response};
pub use write::{Xml, response_pieces, write_call, write_fault, write_response};

use toji_value::{Fault, Value};

/// What a server answers.
pub type Answer = Result<Value, Fault>;
