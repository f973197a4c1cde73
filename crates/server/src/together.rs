//! The requests of a connection of HTTP/2, done within the connection's own task.
//!
//! In tasks of their own each part of an answer (head, message, trailers) wakes the connection on another processor, which sends it at once: three
//! system calls for an answer of one packet. Within one task the parts are there together when the connection is next polled. What takes long
//! is done elsewhere in any case: statements, changes, large documents.

use std::pin::Pin;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hyper::rt::Executor;
use tokio::sync::mpsc;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes a connection's work.
#[derive(Clone)]
pub(crate) struct Together(mpsc::UnboundedSender<Work>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Together {
    fn execute(&self, work: F) {
        // Without a receiver the connection has ended.
        self.0.send(Box::pin(work)).ok();
    }
}

/// The work of a connection.
pub(crate) struct Works {
    come: mpsc::UnboundedReceiver<Work>,
    running: FuturesUnordered<Work>,
}

/// Where a connection puts its work, and who does it.
pub(crate) fn pair() -> (Together, Works) {
    let (sender, come) = mpsc::unbounded_channel();
    (Together(sender), Works { come, running: FuturesUnordered::new() })
}

impl Works {
    /// Does what comes until the connection ends; what is not done then has nobody who wants it.
    pub(crate) async fn until<T>(mut self, connection: impl Future<Output = T>) -> T {
        tokio::pin!(connection);
        loop {
            tokio::select! {
                biased;
                Some(work) = self.come.recv() => self.running.push(work),
                Some(()) = self.running.next() => {}
                done = &mut connection => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn work_is_done_beside_the_connection() {
        let (together, works) = pair();
        let (tell, told) = oneshot::channel();
        let (never, dropped) = oneshot::channel::<()>();
        together.execute(async move {
            let _never = never;
            std::future::pending::<()>().await;
        });
        let connection = async move {
            together.execute(async move { tell.send(7).unwrap() });
            told.await.unwrap()
        };
        assert_eq!(works.until(connection).await, 7);
        assert!(dropped.await.is_err());
    }
}
