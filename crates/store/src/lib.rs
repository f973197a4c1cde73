//! Files: safe paths below a root, uploads, hashing, and placement that can be undone.
//!
//! Everything here blocks; callers run it on threads for blocking work.

mod area;
pub mod contents;
mod digest;
mod error;
mod fence;
mod inside;
mod local;
pub mod packed;
pub mod parts;
mod passing;
mod path;
mod place;
mod place_new;
pub mod s3;
mod store;
pub mod sums;
mod tree;
mod upload;
pub mod vault;
mod volume;

pub use area::{Area, Entry};
pub use digest::{Algorithm, Hasher, hash, hash_of};
pub use error::{Error, Result};
pub use fence::{Fence, behind};
pub use inside::open_inside;
pub use local::Local;
pub use passing::{passing, replace_link, sweep};
pub use path::{join, normalize};
pub use place::{Step, link_back, place, relative_link, remove_file, remove_tree, undo};
pub use place_new::{Content, Plan, place_new, write_durably};
pub use store::{Incoming, LONGEST, Source, Staged, Store, uploaded};
pub use tree::copy_tree;
pub use upload::{Begin, Upload};
pub use volume::{Item, Kind, Near, Opened, Volume, Volumes};
