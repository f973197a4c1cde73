//! Answers that clients and caches may keep, and ask whether they still hold.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::reply::Document;

/// What keeps answers of different callers apart in caches.
const VARY: &str = "Accept-Encoding, Authorization, Koji-Session-Id, Koji-Session-Key";

/// The answer to a GET: with an entity tag if it is not large, and nothing but that if the client has it.
///
/// Everything may change with the next call, so caches must ask each time.
pub(super) fn kept(
    document: Document,
    kind: &'static str,
    headers: &HeaderMap,
    anonymous: bool,
    gzip: bool,
) -> Response {
    let tag = match &document {
        Document::Whole(whole) => tag(whole),
        Document::Begun(..) => None,
    };
    let had = tag.as_ref().is_some_and(|tag| has(headers, tag.as_bytes()));
    let mut response =
        if had { StatusCode::NOT_MODIFIED.into_response() } else { document.answer(kind, gzip) };
    let cache = if anonymous { "public, no-cache" } else { "private, no-cache" };
    let answered = response.headers_mut();
    answered.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    answered.insert(header::VARY, HeaderValue::from_static(VARY));
    if let Some(tag) = tag {
        answered.insert(header::ETAG, tag);
    }
    response
}

/// A weak tag: the same for every encoding.
fn tag(document: &[u8]) -> Option<HeaderValue> {
    let digest = Sha256::digest(document);
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("W/\"{digits}\"")).ok()
}

/// Whether the client has the document with this tag (RFC 9110, 13.1.2).
fn has(headers: &HeaderMap, tag: &[u8]) -> bool {
    let strong = |tag: &[u8]| tag.strip_prefix(b"W/").unwrap_or(tag).to_vec();
    let wanted = strong(tag);
    let said = headers.get_all(header::IF_NONE_MATCH).iter();
    said.flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|said| said == b"*" || strong(said) == wanted)
}
