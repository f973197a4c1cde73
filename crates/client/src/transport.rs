//! One HTTP exchange, and the rules for trying it again.

use std::io::Read as _;
use std::time::Duration;

use bytes::Bytes;
use toji_value::{Value, code};
use toji_xmlrpc::{Answer, Limits, parse_response};

use crate::{Error, Options};

/// A request that can be sent again as it is.
pub(crate) struct Request {
    /// What to call it in messages.
    pub(crate) name: String,
    pub(crate) url: reqwest::Url,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// What an exchange gave, and whether it needed more than one attempt.
pub(crate) struct Reply {
    pub(crate) value: Value,
    pub(crate) retried: bool,
}

/// Makes the HTTP client; it keeps its connections open.
pub(crate) fn http(urls: &[&reqwest::Url], options: &Options) -> Result<reqwest::Client, Error> {
    // A second installation is refused, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("toji/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        // A call may take hours, but a hub whose machine or network is gone shows in a minute.
        .tcp_keepalive(Duration::from_secs(20))
        .tcp_keepalive_interval(Duration::from_secs(10))
        .tcp_keepalive_retries(3)
        .tcp_user_timeout(Duration::from_secs(60))
        .tcp_nodelay(true);
    if let Some(pem) = &options.serverca {
        let certificates = reqwest::Certificate::from_pem_bundle(pem)
            .map_err(|e| Error::Settings(format!("certificate authorities: {e}")))?;
        builder = builder.tls_certs_only(certificates);
    } else if urls.iter().all(|url| url.scheme() == "http") {
        // A machine without any certificate authority can still use plain HTTP.
        builder = builder.tls_certs_only([]);
    }
    if options.no_ssl_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(pem) = &options.cert {
        let identity = reqwest::Identity::from_pem(pem)
            .map_err(|e| Error::Settings(format!("client certificate: {e}")))?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|e| Error::Settings(e.to_string()))
}

/// Sends until there is an answer: connection failures are retried with the same call number.
///
/// The hub tells by a `RetryError` fault when it has run a call already and cannot repeat its answer; Toji's repeats what
/// it answered to builders.
pub(crate) async fn exchange(
    http: &reqwest::Client,
    request: &Request,
    options: &Options,
) -> Result<Reply, Error> {
    let retry = options.anon_retry || !request.headers.is_empty();
    let mut failures = 0;
    let mut retried = false;
    loop {
        let pause = match once(http, request, options, retried).await {
            Ok(Ok(value)) => return Ok(Reply { value, retried }),
            Ok(Err(fault)) if fault.code == code::OFFLINE && options.offline_retry => {
                failures = 0;
                tracing::info!(call = request.name, "the hub is offline, waiting");
                options.offline_retry_interval
            }
            // The attempt before this one broke off, and the hub has not noticed yet: it holds the file.
            Ok(Err(fault))
                if fault.code == code::LOCK && retried && failures < options.max_retries =>
            {
                failures += 1;
                tracing::info!(call = request.name, failures, "locked by the attempt before");
                options.retry_interval
            }
            Ok(Err(fault)) => return Err(Error::Fault(fault)),
            Err(error) if retry && error.is_transient() && failures < options.max_retries => {
                failures += 1;
                tracing::info!(
                    call = request.name,
                    failures,
                    error = chain(&error),
                    "trying again"
                );
                if failures == 1 { Duration::ZERO } else { options.retry_interval }
            }
            Err(error) => return Err(error),
        };
        retried = true;
        tokio::time::sleep(pause).await;
    }
}

async fn once(
    http: &reqwest::Client,
    request: &Request,
    options: &Options,
    again: bool,
) -> Result<Answer, Error> {
    let mut post = http
        .post(request.url.clone())
        .timeout(options.timeout)
        .header("Content-Type", request.content_type)
        .header("Accept-Encoding", "gzip")
        .body(request.body.clone());
    for (name, value) in &request.headers {
        post = post.header(*name, value);
    }
    if again {
        // A hub that keeps its answers repeats the one that did not come.
        post = post.header("Toji-Again", "1");
    }
    let failed = |source: reqwest::Error| transport(&request.url, source);
    let response = post.send().await.map_err(failed)?;
    check(&request.url, &response)?;
    let gzip = response.headers().get("Content-Encoding").is_some_and(|v| v == "gzip");
    let body = response.bytes().await.map_err(failed)?;
    let limits = &Limits::RESPONSE;
    if gzip {
        return Ok(parse_response(&unpack(&body, limits.bytes)?, limits)?);
    }
    Ok(parse_response(&body, limits)?)
}

fn unpack(body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut plain = Vec::new();
    // One byte more than allowed lets the parser see that it is too long.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let reader = flate2::read::MultiGzDecoder::new(body);
    reader.take(most).read_to_end(&mut plain).map_err(Error::Compression)?;
    Ok(plain)
}

/// A connection failure, with the address but without its query.
pub(crate) fn transport(url: &reqwest::Url, source: reqwest::Error) -> Error {
    Error::Transport { url: shown(url), source: source.without_url() }
}

/// Refuses answers whose status is not one of success.
pub(crate) fn check(url: &reqwest::Url, response: &reqwest::Response) -> Result<(), Error> {
    if response.status().is_success() {
        return Ok(());
    }
    Err(Error::Status { url: shown(url), status: response.status().as_u16() })
}

fn shown(url: &reqwest::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    let _ = url.set_password(None);
    url.into()
}

/// An error with its causes, for a log line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
