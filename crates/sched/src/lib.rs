//! Which task goes to which host: one pure function over a snapshot.
//!
//! [`decide`] follows the rules of Koji's scheduler. It takes `n log n` time in tasks and hosts together,
//! as hosts of one channel and arch share an index that is ordered by load.

mod bins;
mod check;
mod decide;
mod demand;
mod explain;
mod order;
mod queues;
mod snapshot;

pub use check::{Decision, FreeReason, WaitReason, next_check};
pub use decide::decide;
pub use explain::{Obstacle, Queue, forecast, obstacles, position};
pub use queues::Queues;
pub use snapshot::{ActiveState, ActiveTask, Config, FreeTask, Host, Refusal, Served, Snapshot};
