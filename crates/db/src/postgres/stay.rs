//! The connection that shows that this program lives.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Target, error, tuned};
use crate::db::Inner;
use crate::presence::{CLASS, Identity, boot_time};
use crate::{Error, Result};

/// Before a lost connection is made anew; longer after each failure.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Starts the task that holds the program's lock; it ends with the database handle. The answer comes, or its sender
/// goes, when the first attempt is over.
pub(crate) fn stay(inner: &Arc<Inner>) -> oneshot::Receiver<()> {
    let weak = Arc::downgrade(inner);
    let (tell, known) = oneshot::channel();
    tokio::spawn(async move {
        let (mut pause, mut tell) = (PAUSE, Some(tell));
        while let Some(inner) = weak.upgrade() {
            let (url, own) = (inner.url.clone(), inner.presence.own.get().cloned());
            drop(inner);
            let Some(own) = own else { return };
            match stay_once(&url, &weak, &own, &mut tell).await {
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

/// Holds the lock until the connection ends, and asks all the time whether it does.
async fn stay_once(
    url: &str,
    inner: &Weak<Inner>,
    own: &Identity,
    tell: &mut Option<oneshot::Sender<()>>,
) -> Result<()> {
    let Target { config, tls, .. } = tuned(url)?;
    let (client, connection) = config.connect(tls).await.map_err(error)?;
    let mut driver = tokio::spawn(connection);
    // Where the server has not noticed yet that an earlier connection is lost, that one shows that the program lives; and who
    // takes over what it has left keeps it away until that is done.
    let locked = client.execute("SELECT pg_advisory_lock($1, $2)", &[&CLASS, &own.number]).await;
    let mut done = locked.map(drop).map_err(error);
    let mut times = 1;
    while done.is_ok() && !driver.is_finished() {
        let sent = boot_time();
        // Who is silent for longer than anybody waits for is asked on a new connection.
        let silence = crate::presence::patience(own.trust);
        done = match tokio::time::timeout(silence, client.execute("SELECT 1", &[])).await {
            Ok(answer) => answer.map(drop).map_err(error),
            Err(_) => Err(Error::Lost("no answer in time".to_owned())),
        };
        let Some(program) = inner.upgrade().filter(|_| done.is_ok()) else { break };
        program.presence.known.send_modify(|known| {
            known.times += std::mem::take(&mut times);
            known.confirmed = Some(sent);
        });
        program.presence.held.store(own.number, Ordering::Relaxed);
        drop(program);
        let _ = tell.take().map(|tell| tell.send(()));
        tokio::select! {
            _ = &mut driver => break,
            () = tokio::time::sleep(own.trust / 4) => {}
        }
    }
    if let Some(inner) = inner.upgrade() {
        inner.presence.held.store(0, Ordering::Relaxed);
    }
    driver.abort();
    done
}
