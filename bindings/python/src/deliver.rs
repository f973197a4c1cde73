//! Results on their way from the runtime's threads to an event loop, and no further when the interpreter ends.
//!
//! A thread that asks for the interpreter while that is being taken apart is ended by it in the middle of Rust code, which aborts the process. So
//! threads of the runtime touch Python only behind a gate, which is shut before.

use std::sync::{LazyLock, PoisonError, RwLock};

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use toji_client::Error;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use crate::convert::failed;

#[expect(
    clippy::expect_used,
    reason = "without threads nothing can be done, and an import cannot say so"
)]
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("the system gives no threads"));

/// Whether the interpreter ends.
static ENDING: RwLock<bool> = RwLock::new(false);

/// The runtime of all connections.
pub(crate) fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// Touches Python from any thread; nothing is done when the interpreter ends.
pub(crate) fn attached(work: impl FnOnce(Python<'_>)) {
    let ending = ENDING.read().unwrap_or_else(PoisonError::into_inner);
    if !*ending {
        Python::attach(work);
    }
}

/// Shuts the gate, when everybody is through it; called at the exit.
#[pyfunction]
pub(crate) fn shut(py: Python<'_>) {
    py.detach(|| *ENDING.write().unwrap_or_else(PoisonError::into_inner) = true);
}

/// Ends the work of a future that was cancelled.
#[pyclass(frozen)]
struct Ended(AbortHandle);

#[pymethods]
impl Ended {
    fn __call__(&self, _future: &Bound<'_, PyAny>) {
        // Work that is done cannot be aborted any more.
        self.0.abort();
    }
}

/// Starts work, and returns a future of the running loop that has its result.
pub(crate) fn future<'py, T, F>(py: Python<'py>, work: F) -> PyResult<Bound<'py, PyAny>>
where
    T: for<'a> IntoPyObject<'a> + Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
    let future = event_loop.call_method0("create_future")?;
    let settle = py.import("toji_client._munch")?.getattr("settle")?;
    // What runs in the loop sees the context of the caller.
    let context = py.import("contextvars")?.call_method0("copy_context")?;
    let held = [event_loop, future.clone(), settle, context].map(Bound::unbind);
    let task = runtime().spawn(async move {
        let done = work.await;
        attached(move |py| {
            let [event_loop, future, settle, context] = held.map(|object| object.into_bound(py));
            let (value, error) =
                match done.map_err(failed).and_then(|done| done.into_bound_py_any(py)) {
                    Ok(value) => (value, None),
                    Err(error) => (py.None().into_bound(py), Some(error)),
                };
            let keywords = PyDict::new(py);
            // A loop that is closed has nobody who waits.
            let _ = keywords.set_item("context", context).and_then(|()| {
                event_loop.call_method(
                    "call_soon_threadsafe",
                    (settle, future, value, error),
                    Some(&keywords),
                )
            });
        });
    });
    future.call_method1("add_done_callback", (Ended(task.abort_handle()),))?;
    Ok(future)
}
