//! Uploads that go straight to the hub's object store, where it offers that.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::stream;
use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use toji_value::Value;
use tokio::io::AsyncReadExt as _;

use crate::transport::{chain, check, transport};
use crate::upload::digest_of;
use crate::{Client, Error, Upload, Uploaded, args};

/// For how long a hub that takes no such uploads is not asked again.
const PAUSE: Duration = Duration::from_secs(600);
/// How often a file is sent whose sending fails.
const TRIES: usize = 3;
/// The length of what is read and sent at a time, in bytes.
const CHUNK: usize = 1 << 18;

/// Leave to send a file.
struct Ticket {
    name: String,
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Client {
    /// Uploads a local file to the hub's object store without a way through the hub, which then reads and compares it.
    ///
    /// Returns nothing when that cannot be, for whatever reason: the hub has no such store or is Koji's, the store cannot be
    /// reached from here, the file is too long. Then [`Client::upload`] goes the ordinary way; it tries this one first itself.
    ///
    /// # Errors
    /// When the local file cannot be read.
    pub async fn upload_direct(
        &self,
        file: &Path,
        to: &Upload<'_>,
    ) -> Result<Option<Uploaded>, Error> {
        let failed = |source| Error::File { path: file.to_owned(), source };
        let length = tokio::fs::metadata(file).await.map_err(failed)?.len();
        if length == 0 || !self.offers_direct(to).await {
            return Ok(None);
        }
        let (size, sha256) = digest_of(file).await.map_err(failed)?;
        for _ in 0..TRIES {
            let Some(ticket) = self.ticket(to, size, &sha256).await else { return Ok(None) };
            match self.send_with(&ticket, file, size, to).await {
                // Whatever the answer was: if it is there whole, the hub says so.
                Ok(()) | Err(Error::Status { .. }) => {}
                Err(error @ Error::File { .. }) => return Err(error),
                Err(error) => {
                    tracing::info!(file = to.name, error = chain(&error), "sending again");
                    if matches!(&error, Error::Transport { source, .. } if source.is_connect()) {
                        // Nobody waits for it once more with each file.
                        self.shared.no_direct(Instant::now() + PAUSE);
                        return Ok(None);
                    }
                }
            }
            let mut call = args!(to.path, to.name, ticket.name.as_str(), size, sha256.as_str());
            call.keywords.insert("overwrite", to.overwrite);
            match self.call("uploads.finish", call).await {
                Ok(_) => return Ok(Some(Uploaded { size, sha256, resumed: 0 })),
                Err(error) => {
                    tracing::info!(file = to.name, error = chain(&error), "not uploaded directly");
                }
            }
        }
        Ok(None)
    }

    /// Whether the hub has an object store for this; asked once in a while if it has none.
    async fn offers_direct(&self, to: &Upload<'_>) -> bool {
        if self.shared.is_without_direct() {
            return false;
        }
        let mut call = args!(to.path, to.name, 1);
        if let Some(volume) = to.volume {
            call.keywords.insert("volume", volume);
        }
        let offered = match self.call("uploads.begin", call).await {
            Ok(answer) => answer.get("direct").truthy(),
            // What is wrong with this one is told by the ordinary way.
            Err(error) if !error.fault().is_some_and(is_unknown) => return false,
            Err(_) => false,
        };
        if !offered && to.volume.is_none() {
            self.shared.no_direct(Instant::now() + PAUSE);
        }
        offered
    }

    async fn ticket(&self, to: &Upload<'_>, size: u64, sha256: &str) -> Option<Ticket> {
        let mut call = args!(to.path, to.name, size, sha256);
        call.keywords.insert("overwrite", to.overwrite);
        if let Some(volume) = to.volume {
            call.keywords.insert("volume", volume);
        }
        let answer = self.call("uploads.begin", call).await.ok()?;
        if !answer.get("direct").truthy() {
            tracing::debug!(
                file = to.name,
                reason = answer.get("reason").display(),
                "not directly"
            );
            return None;
        }
        read_ticket(&answer)
    }

    async fn send_with(
        &self,
        ticket: &Ticket,
        file: &Path,
        size: u64,
        to: &Upload<'_>,
    ) -> Result<(), Error> {
        let failed = |source| Error::File { path: file.to_owned(), source };
        let source = tokio::fs::File::open(file).await.map_err(failed)?.take(size);
        let watch = to.watcher.begin(Some(size));
        watch.at(0);
        let pieces =
            stream::try_unfold((source, 0, watch), async |(mut source, mut done, watch)| {
                let mut piece = Vec::with_capacity(CHUNK);
                (&mut source).take(CHUNK as u64).read_to_end(&mut piece).await?;
                done += piece.len() as u64;
                watch.at(done);
                let next = (!piece.is_empty()).then_some((piece, (source, done, watch)));
                Ok::<_, std::io::Error>(next)
            });
        let http = &self.shared.http;
        let mut request = http.request(ticket.method.clone(), ticket.url.clone());
        for (name, value) in &ticket.headers {
            request = request.header(name, value);
        }
        // Object stores take nothing whose length they are not told.
        request = request.header(CONTENT_LENGTH, size).body(reqwest::Body::wrap_stream(pieces));
        let sent = request.timeout(self.shared.options.timeout).send().await;
        check(&ticket.url, &sent.map_err(|e| transport(&ticket.url, e))?)
    }
}

fn read_ticket(answer: &Value) -> Option<Ticket> {
    let text = |key: &str| answer.get(key).as_str();
    let headers = answer.get("headers").as_struct()?.iter().map(|(name, value)| {
        Some((name.parse().ok()?, HeaderValue::from_str(value.as_str()?).ok()?))
    });
    Some(Ticket {
        name: text("ticket")?.to_owned(),
        method: text("method")?.parse().ok()?,
        url: Url::parse(text("url")?).ok()?,
        headers: headers.collect::<Option<_>>()?,
    })
}

fn is_unknown(fault: &toji_value::Fault) -> bool {
    fault.message.starts_with("Invalid method")
}
