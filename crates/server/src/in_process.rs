//! The web pages' view of a hub in the same process.

use toji_bus::{Listener, Topic};
use toji_hub::{Hub, Request};
use toji_value::{Args, Fault, Value};
use toji_web::{Backend, BoxFuture, Waiter};
use tokio_util::sync::CancellationToken;

use crate::crowd;

/// Answers the pages' calls as an anonymous caller.
pub struct InProcess {
    /// Whose calls they are.
    pub hub: Hub,
    /// Ends long answers when the server shuts down.
    pub stop: CancellationToken,
}

impl Backend for InProcess {
    fn call<'a>(&'a self, method: &'a str, args: Args) -> BoxFuture<'a, Result<Value, Fault>> {
        Box::pin(async move { crowd::call(&self.hub, &Request::default(), method, args).await.1 })
    }

    fn watch_task(&self, task_id: i64) -> Box<dyn Waiter> {
        Box::new(TaskWaiter(self.hub.bus.listen(Topic::Task(task_id))))
    }

    fn draining(&self) -> BoxFuture<'static, ()> {
        let stop = self.stop.clone();
        Box::pin(async move { stop.cancelled().await })
    }
}

struct TaskWaiter(Listener);

impl Waiter for TaskWaiter {
    fn wait(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.wait())
    }
}
