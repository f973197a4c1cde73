//! Fetches metadata of repositories by HTTP, or from files.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use toji_client::{Client, Options};
use toji_hub::solve::Fetch;

/// How long a connection attempt may take, and a file with its second attempt: people wait for the answer.
const CONNECT: Duration = Duration::from_secs(30);
const TOTAL: Duration = Duration::from_secs(300);

/// The fetcher of this process.
pub(crate) struct Web;

impl Web {
    /// Lets a hub read the external repositories of its tags.
    pub(crate) fn serve(hub: &toji_hub::Hub) {
        hub.solver.fetch_with(Arc::new(Self));
    }
}

impl Fetch for Web {
    fn fetch(&self, url: String, limit: usize) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        Box::pin(async move {
            if let Some(path) = url.strip_prefix("file://") {
                return file(path, limit).await.map_err(|error| format!("{path}: {error}"));
            }
            let options = Options { connect_timeout: CONNECT, ..Options::default() };
            let client = Client::new(&url, options).map_err(|e| e.to_string())?;
            let fetched = tokio::time::timeout(TOTAL, twice(&client, &url, limit)).await;
            fetched.unwrap_or_else(|_| Err(format!("{url} takes too long")))
        })
    }
}

/// Tries once more what may have failed by chance.
async fn twice(client: &Client, url: &str, limit: usize) -> Result<Vec<u8>, String> {
    match client.fetch_bytes(url, limit).await {
        Err(error) if error.is_transient() => client.fetch_bytes(url, limit).await,
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
