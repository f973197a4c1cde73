//! The connection that shows that this program lives.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Target, error, gone, tuned};
use crate::Result;
use crate::db::Inner;
use crate::presence::CLASS;

/// Before a lost connection is made anew; longer after each failure.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Starts the task that holds the program's lock; it ends with the database handle. The answer comes, or its sender
/// goes, when the first attempt is over.
pub(crate) fn stay(inner: &Arc<Inner>, number: i32) -> oneshot::Receiver<()> {
    let weak = Arc::downgrade(inner);
    let (tell, known) = oneshot::channel();
    tokio::spawn(async move {
        let (mut pause, mut tell) = (PAUSE, Some(tell));
        while let Some(inner) = weak.upgrade() {
            let url = inner.url.clone();
            drop(inner);
            match stay_once(&url, &weak, number, &mut tell).await {
                Ok(()) => pause = PAUSE,
                Err(error) => tracing::warn!(%error, "other hubs cannot see that this one lives"),
            }
            drop(tell.take());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    });
    known
}

/// Holds the lock until the connection ends.
async fn stay_once(
    url: &str,
    inner: &Weak<Inner>,
    number: i32,
    tell: &mut Option<oneshot::Sender<()>>,
) -> Result<()> {
    let Target { config, tls, .. } = tuned(url)?;
    let (client, connection) = config.connect(tls).await.map_err(error)?;
    let mut driver = tokio::spawn(connection);
    // Where the server has not noticed yet that an earlier connection is lost, that one shows that the program lives.
    let locked = client.execute("SELECT pg_advisory_lock($1, $2)", &[&CLASS, &number]).await;
    let present = |number| {
        if let Some(inner) = inner.upgrade() {
            inner.present.store(number, Ordering::Relaxed);
        }
    };
    if locked.is_ok() {
        present(number);
        let _ = tell.take().map(|tell| tell.send(()));
        tokio::select! {
            _ = &mut driver => {}
            () = gone(inner) => {}
        }
        present(0);
    }
    driver.abort();
    locked.map(drop).map_err(error)
}
