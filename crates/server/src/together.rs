//! The requests of a connection of HTTP/2, done within the connection's own task.
//!
//! In tasks of their own each part of an answer (head, message, trailers) wakes the connection on another processor, which sends it at once: three
//! system calls for an answer of one packet. Within one task the parts are there together when the connection is next polled, and go out together
//! ([`Gathered`]). What takes long is done elsewhere in any case: statements, changes, large documents.
//!
//! Answers wake their connection, and requests the work on them, while the task that does both runs. Were it woken by that, it would be queued once
//! more, and another thread be woken to take it over. So each of the two rings a bell, and the task looks at the bells before it sleeps.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use futures::task::AtomicWaker;
use hyper::rt::Executor;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::task::coop::has_budget_remaining;

use crate::gathered::Gathered;

/// Rounds of a connection before others have their turn.
const ROUNDS: usize = 32;

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
    ///
    /// What the connection writes to `out` in a round is sent at the end of the round.
    pub(crate) async fn until<T, S: AsyncWrite + Unpin>(
        mut self,
        connection: impl Future<Output = T>,
        out: Gathered<S>,
    ) -> T {
        let mut connection = pin!(connection);
        let bells = Arc::new(Bells { rung: AtomicU8::new(ALL), sleeper: AtomicWaker::new() });
        let [of_connection, of_works] =
            [CONNECTION, WORKS].map(|mark| Waker::from(Arc::new(Bell(mark, bells.clone()))));
        std::future::poll_fn(move |cx| {
            bells.sleeper.register(cx.waker());
            for _ in 0..ROUNDS {
                let rung = bells.take();
                if rung & WORKS != 0 {
                    self.go_on(&mut Context::from_waker(&of_works));
                }
                // An answer may have rung just now.
                let rung = rung | bells.rung.fetch_and(!CONNECTION, Ordering::AcqRel);
                if rung & CONNECTION != 0 {
                    let cx = &mut Context::from_waker(&of_connection);
                    if let Poll::Ready(done) = connection.as_mut().poll(cx) {
                        return Poll::Ready(done);
                    }
                    out.poll_send(cx);
                }
                if bells.sleep() {
                    return Poll::Pending;
                }
                if !has_budget_remaining() {
                    break;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    fn go_on(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(work)) = self.come.poll_recv(cx) {
            self.running.push(work);
        }
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
    }
}

const CONNECTION: u8 = 1;
const WORKS: u8 = 2;
const ALL: u8 = CONNECTION | WORKS;
const ASLEEP: u8 = 4;

/// Who wants to be polled, and whether their task sleeps.
struct Bells {
    rung: AtomicU8,
    sleeper: AtomicWaker,
}

impl Bells {
    /// Who has rung; all, if the task was woken by somebody else.
    fn take(&self) -> u8 {
        let rung = self.rung.swap(0, Ordering::AcqRel) & ALL;
        if rung == 0 { ALL } else { rung }
    }

    /// Sleeps, unless somebody has rung.
    fn sleep(&self) -> bool {
        self.rung.compare_exchange(0, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The bell of one of them.
struct Bell(u8, Arc<Bells>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Bell(mark, bells) = &**self;
        if bells.rung.fetch_or(*mark, Ordering::AcqRel) & ASLEEP != 0 {
            bells.sleeper.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    fn nowhere() -> Gathered<tokio::io::DuplexStream> {
        Gathered::new(tokio::io::duplex(1).0, crate::patience::Stage::default())
    }

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
        assert_eq!(works.until(connection, nowhere()).await, 7);
        assert!(dropped.await.is_err());
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_others_wake_the_task() {
        let (together, works) = pair();
        let (ask, asked) = oneshot::channel();
        let (tell, mut told) = mpsc::unbounded_channel();
        let connection = async move {
            together.execute(async move {
                let number: i32 = asked.await.unwrap();
                tell.send(number).unwrap();
                tell.send(number + 1).unwrap();
            });
            (told.recv().await, told.recv().await)
        };
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let cx = &mut Context::from_waker(&waker);
        let mut task = pin!(works.until(connection, nowhere()));
        assert!(task.as_mut().poll(cx).is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        ask.send(7).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(task.as_mut().poll(cx), Poll::Ready((Some(7), Some(8))));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn whoever_never_rests_lets_others_go_on() {
        let (_together, works) = pair();
        let restless = std::future::poll_fn(|cx: &mut Context<'_>| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let mut task = pin!(works.until(restless, nowhere()));
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
