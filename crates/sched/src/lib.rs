//! sched (to be filled).
