//! Files: safe paths below a root, uploads, hashing, and placement that can be undone.
//!
//! Everything here blocks; callers run it on threads for blocking work.

mod area;
mod digest;
mod error;
mod path;
mod place;
mod upload;

pub use area::{Area, Entry};
pub use digest::{Algorithm, Hasher, hash};
pub use error::{Error, Result};
pub use path::{join, normalize};
pub use place::{Step, link_back, place, relative_link, remove_file, remove_tree, undo};
pub use upload::{Begin, Upload};
