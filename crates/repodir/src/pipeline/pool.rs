//! Threads that work on jobs from one queue.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use crate::{Error, Result};

/// Jobs go in, results come out in any order.
pub(super) struct Pool<J, D> {
    state: std::sync::Arc<State<J, D>>,
}

struct State<J, D> {
    inner: Mutex<Inner<J, D>>,
    jobs: Condvar,
    done: Condvar,
}

struct Inner<J, D> {
    jobs: VecDeque<J>,
    done: VecDeque<D>,
    stopped: bool,
    workers: usize,
}

impl<J, D> State<J, D> {
    fn lock(&self) -> MutexGuard<'_, Inner<J, D>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who wait that a worker is gone, even by a panic.
struct Present<'a, J, D>(&'a State<J, D>);

impl<J, D> Drop for Present<'_, J, D> {
    fn drop(&mut self) {
        self.0.lock().workers -= 1;
        self.0.done.notify_all();
    }
}

impl<J: Send, D: Send> Pool<J, D> {
    /// Starts the threads.
    pub(super) fn start<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        workers: usize,
        work: &'env (impl Fn(J) -> D + Sync),
    ) -> Self
    where
        J: 'scope,
        D: 'scope,
    {
        let inner = Inner { jobs: VecDeque::new(), done: VecDeque::new(), stopped: false, workers };
        let state = State { inner: Mutex::new(inner), jobs: Condvar::new(), done: Condvar::new() };
        let state = std::sync::Arc::new(state);
        for _ in 0..workers {
            let state = std::sync::Arc::clone(&state);
            scope.spawn(move || {
                let _present = Present(&state);
                while let Some(job) = next(&state) {
                    let done = work(job);
                    state.lock().done.push_back(done);
                    state.done.notify_one();
                }
            });
        }
        Self { state }
    }

    /// Adds a job.
    pub(super) fn give(&self, job: J) {
        self.state.lock().jobs.push_back(job);
        self.state.jobs.notify_one();
    }

    /// Adds a job before all others.
    pub(super) fn give_first(&self, job: J) {
        self.state.lock().jobs.push_front(job);
        self.state.jobs.notify_one();
    }

    /// The next result; an error if nobody is left to make one.
    pub(super) fn take(&self) -> Result<D> {
        let mut inner = self.state.lock();
        loop {
            if let Some(done) = inner.done.pop_front() {
                return Ok(done);
            }
            if inner.workers == 0 {
                return Err(Error::Request("the threads at work have stopped".to_owned()));
            }
            inner = self.state.done.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the threads after the job that each has.
    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.state.jobs.notify_all();
    }
}

fn next<J, D>(state: &State<J, D>) -> Option<J> {
    let mut inner = state.lock();
    loop {
        if inner.stopped {
            return None;
        }
        if let Some(job) = inner.jobs.pop_front() {
            return Some(job);
        }
        inner = state.jobs.wait(inner).unwrap_or_else(PoisonError::into_inner);
    }
}
