//! Backups: points at which database and store agree, taken while others work, and restored to an empty place.
//!
//! A point is the database at one moment and a list of every file that its rows have. Contents are kept once, by their
//! SHA-256, so a further point adds what is new. `docs/decisions/0027-backup.md` has the reasons.

mod builds;
mod check;
mod manifest;
mod others;
mod point;
mod prune;
mod restore;
mod seen;
mod settle;
mod take;

pub use check::{Depth, check};
pub use manifest::{Entry, Reader};
pub use point::{Damage, Part, Place, Point, newest, points};
pub use prune::{Keep, Pruned, prune};
pub use restore::{Restored, Target, restore};
pub use take::{Options, take};
pub use toji_store::vault::{Access, Vault};
