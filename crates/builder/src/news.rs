//! News from the hub about repositories, so that who waits for one need not ask all the time.

use std::time::Duration;

use toji_proto::events::events_client::EventsClient;
use toji_proto::events::{Event, WatchRequest};
use toji_proto::tonic::{Request, Status, Streaming};

use crate::channel::connect;
use crate::config::Config;

/// What may make a repository ready or a build part of a tag.
const KINDS: [&str; 5] = ["repo.*", "tag.*", "build.*", "task.*", "target.*"];
/// How long to ask in vain when news come.
const QUIET: Duration = Duration::from_secs(10);
/// How often to ask when no news come.
const PAUSE: Duration = Duration::from_millis(500);
/// How long to let the events of one change come in, for one question about all of them.
const BURST: Duration = Duration::from_millis(20);

/// A stream of events, as long as the hub gives one.
pub(crate) struct News(Option<Streaming<Event>>);

impl News {
    /// Begins to listen; a hub without events is asked from time to time instead.
    pub(crate) async fn listen(config: &Config) -> Self {
        match open(config).await {
            Ok(stream) => News(Some(stream)),
            Err(reason) => {
                tracing::debug!(reason, "no news from the hub");
                News(None)
            }
        }
    }

    /// Returns when something has happened, or a while later.
    pub(crate) async fn next(&mut self) {
        let Some(stream) = &mut self.0 else {
            return tokio::time::sleep(PAUSE).await;
        };
        let first = tokio::time::timeout(QUIET, stream.message()).await;
        let going_on = match first {
            Ok(message) => is_news(&message),
            Err(_) => return,
        };
        if !going_on || tokio::time::timeout(BURST, drained(stream)).await.is_ok() {
            self.0 = None;
        }
    }
}

/// Takes everything until the stream is lost.
async fn drained(stream: &mut Streaming<Event>) {
    while is_news(&stream.message().await) {}
}

fn is_news(message: &Result<Option<Event>, Status>) -> bool {
    matches!(message, Ok(Some(_)))
}

async fn open(config: &Config) -> Result<Streaming<Event>, String> {
    let channel = connect(config).await.map_err(|failed| failed.reason)?;
    let kinds = KINDS.iter().map(|kind| (*kind).to_owned()).collect();
    let request = WatchRequest { kinds, ..WatchRequest::default() };
    let answer = EventsClient::new(channel).watch(Request::new(request)).await;
    Ok(answer.map_err(|e| e.to_string())?.into_inner())
}
