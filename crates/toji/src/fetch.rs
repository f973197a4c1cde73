//! Fetches metadata of repositories by HTTP, or from files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use toji_client::{Client, FileState, Options};
use toji_hub::solve::Fetch;

/// How long a connection attempt may take, and a file with its second attempt: people wait for the answer.
const CONNECT: Duration = Duration::from_secs(30);
const TOTAL: Duration = Duration::from_secs(300);

/// Bytes of a document that is kept, and how many are; what lists a repository's files has some kilobytes.
const SMALL: usize = 64 << 10;
const MOST: usize = 512;

/// A fetcher. It keeps small documents with what their servers said of their state, and asks for them on condition then.
#[derive(Clone, Default)]
pub(crate) struct Web(Arc<Inner>);

#[derive(Default)]
struct Inner {
    client: OnceLock<Client>,
    kept: Mutex<HashMap<String, (FileState, Vec<u8>)>>,
}

impl Web {
    /// Lets a hub read the external repositories of its tags.
    pub(crate) fn serve(hub: &toji_hub::Hub) {
        hub.solver.fetch_with(Arc::new(Self::default()));
    }

    /// The content of a URL of at most `limit` bytes, with its state; `None` if it is still in the given one.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) async fn fetch_if(
        &self,
        url: &str,
        limit: usize,
        before: &FileState,
    ) -> Result<Option<(Vec<u8>, FileState)>, String> {
        let fetched = tokio::time::timeout(TOTAL, twice(self.client()?, url, limit, before)).await;
        fetched.unwrap_or_else(|_| Err(format!("{url} takes too long")))
    }

    /// One client for all, as it keeps connections.
    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.0.client.get() {
            return Ok(client);
        }
        let options = Options { connect_timeout: CONNECT, ..Options::default() };
        // It is given whole URLs, so this one is never asked.
        let client = Client::new("http://localhost/", options).map_err(|e| e.to_string())?;
        Ok(self.0.client.get_or_init(|| client))
    }

    fn kept(&self, url: &str) -> (FileState, Vec<u8>) {
        let kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).cloned().unwrap_or_default()
    }

    fn keep(&self, url: String, state: FileState, text: &[u8]) {
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST {
            kept.clear();
        }
        if text.len() <= SMALL && state != FileState::default() {
            kept.insert(url, (state, text.to_vec()));
        }
    }
}

impl Fetch for Web {
    fn fetch(&self, url: String, limit: usize) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let web = self.clone();
        Box::pin(async move {
            if let Some(path) = url.strip_prefix("file://") {
                return file(path, limit).await.map_err(|error| format!("{path}: {error}"));
            }
            let (state, before) = web.kept(&url);
            match web.fetch_if(&url, limit, &state).await? {
                Some((text, state)) => {
                    web.keep(url, state, &text);
                    Ok(text)
                }
                None => Ok(before),
            }
        })
    }
}

/// Tries once more what may have failed by chance.
async fn twice(
    client: &Client,
    url: &str,
    limit: usize,
    before: &FileState,
) -> Result<Option<(Vec<u8>, FileState)>, String> {
    match client.fetch_if(url, limit, before).await {
        Err(error) if error.is_transient() => client.fetch_if(url, limit, before).await,
        other => other,
    }
    .map_err(|error| error.to_string())
}

async fn file(path: &str, limit: usize) -> std::io::Result<Vec<u8>> {
    let size = tokio::fs::metadata(path).await?.len();
    if usize::try_from(size).is_ok_and(|size| size <= limit) {
        tokio::fs::read(path).await
    } else {
        Err(std::io::Error::other("too long"))
    }
}
