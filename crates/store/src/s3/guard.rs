//! What stands between the client and the network: answers that say 200 and mean an error, and uploads that must be new.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
    SpawnedReqwestConnector,
};
use tokio::runtime::Handle;

/// Makes clients that talk on the threads of object stores.
#[derive(Debug)]
pub(super) struct Connector {
    inner: SpawnedReqwestConnector,
    fresh: bool,
}

impl Connector {
    /// With `fresh`, uploads in parts are completed, and copies made, only where nothing is yet.
    pub(super) fn new(threads: Handle, fresh: bool) -> Self {
        Connector { inner: SpawnedReqwestConnector::new(threads), fresh }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = self.inner.connect(options)?;
        Ok(HttpClient::new(Guard { inner, fresh: self.fresh }))
    }
}

#[derive(Debug)]
struct Guard {
    inner: HttpClient,
    fresh: bool,
}

/// Requests whose answers are documents: listings, deletions, the begin and the end of uploads in parts, copies.
fn is_document(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let copies = request.headers().contains_key("x-amz-copy-source");
    request.method() == Method::POST || copies || query.contains("list-type=")
}

/// Whether a document is S3's description of an error.
fn is_error(body: &Bytes) -> bool {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]);
    let mut text = text.trim_start();
    if text.starts_with("<?xml") {
        text = text.split_once("?>").map_or("", |(_, rest)| rest).trim_start();
    }
    // The documents of answers are never empty, and never anything but XML.
    !text.starts_with('<') || text.starts_with("<Error>") || text.starts_with("<Error ")
}

#[async_trait::async_trait]
impl HttpService for Guard {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let document = is_document(&request);
        let query = request.uri().query().unwrap_or_default();
        let ends = request.method() == Method::POST && query.contains("uploadId=");
        if self.fresh && (ends || request.headers().contains_key("x-amz-copy-source")) {
            // The header is no part of the signature, and need not be.
            request.headers_mut().insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let removes = !document && request.method() == Method::DELETE;
        let response = self.inner.execute(request).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        if !document && !removes {
            // Whatever is no object has neither: a page of something in between, or an error.
            let known = [header::ETAG, header::LAST_MODIFIED];
            if !known.iter().any(|name| parts.headers.contains_key(name)) {
                parts.status = StatusCode::SERVICE_UNAVAILABLE;
            }
            return Ok(HttpResponse::from_parts(parts, body));
        }
        let body = body.bytes().await?;
        // A removal is answered with nothing.
        if is_error(&body) && !(removes && body.is_empty()) {
            // An empty listing in its place would read as «nothing is there».
            parts.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_from_answers() {
        for (text, wanted) in [
            ("<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>", true),
            ("<Error xmlns=\"x\"><Code>SlowDown</Code></Error>", true),
            ("", true),
            ("   ", true),
            ("upstream failed", true),
            ("<?xml version=\"1.0\"?><ListBucketResult/>", false),
            ("\n<ErrorsOfMine/>", false),
        ] {
            assert_eq!(is_error(&Bytes::from_static(text.as_bytes())), wanted, "{text}");
        }
    }
}
