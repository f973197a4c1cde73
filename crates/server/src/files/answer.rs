//! The answer for a file: validators, conditions and parts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::body::{Pieces, Segment, Source, total};
use super::range::{self, Asked};
use super::{caching, content_type};
use crate::socket::Parts;

/// A file that is to be sent.
pub(crate) struct Opened {
    pub(crate) source: Source,
    /// The length of its content, in bytes.
    pub(crate) size: u64,
    /// When it was last changed.
    pub(crate) modified: Option<SystemTime>,
}

/// What tells one state of a file from another.
struct Validators {
    etag: String,
    date: String,
    /// The date in seconds since 1970.
    seconds: u64,
}

/// What the conditions of a request come to.
enum Verdict {
    Send,
    NotModified,
    Failed,
}

pub(crate) fn answer(
    file: Opened,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
    parts: Option<Parts>,
) -> Response {
    let size = file.size;
    let modified = file.modified.and_then(|m| m.duration_since(UNIX_EPOCH).ok());
    let modified = modified.unwrap_or(Duration::ZERO);
    let etag = format!("\"{:x}-{:x}\"", size, modified.as_nanos());
    let seconds = modified.as_secs();
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    let validators = Validators { etag, date, seconds };
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    set(out, header::ETAG, &validators.etag);
    set(out, header::LAST_MODIFIED, &validators.date);
    set(out, header::CACHE_CONTROL, caching(path));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let kind = content_type(path);
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match validators.verdict(headers) {
        Verdict::Send => {}
        Verdict::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        Verdict::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return response;
        }
    }
    let wanted = text(headers, header::RANGE).filter(|_| validators.range_counts(headers));
    let segments = match wanted.map_or(Asked::Whole, |value| range::asked(value, size)) {
        Asked::Whole => vec![Segment::Part(0, size)],
        Asked::Nothing => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
            return response;
        }
        Asked::Parts(ranges) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            parted(response.headers_mut(), &ranges, size, kind, modified)
        }
    };
    let length = total(&segments);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if method != Method::HEAD && length > 0 {
        *response.body_mut() = Pieces::body(file.source, segments, parts);
    }
    response
}

/// The body for some parts: itself if it is one, each under a head of its own if there are more.
fn parted(
    headers: &mut HeaderMap,
    ranges: &[std::ops::Range<u64>],
    size: u64,
    kind: &str,
    modified: Duration,
) -> Vec<Segment> {
    let place =
        |range: &std::ops::Range<u64>| format!("bytes {}-{}/{size}", range.start, range.end - 1);
    let part = |range: &std::ops::Range<u64>| Segment::Part(range.start, range.end - range.start);
    if let [range] = ranges {
        set(headers, header::CONTENT_RANGE, &place(range));
        return vec![part(range)];
    }
    // Whoever could put this line into a file would gain nothing: lengths of parts are known from their heads.
    let boundary = format!("toji{size:x}part{:x}", modified.as_nanos());
    let mut segments = Vec::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {}\r\n\r\n",
            place(range)
        );
        segments.extend([Segment::Text(head.into()), part(range)]);
    }
    segments.push(Segment::Text(format!("\r\n--{boundary}--\r\n").into()));
    set(headers, header::CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}"));
    segments
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Validators {
    /// The conditions, in the order of RFC 9110 13.2.2. What a reader has is of this state if the dates are equal, as for
    /// nginx: files also become older. Without changes since a date is each file that is not younger.
    fn verdict(&self, headers: &HeaderMap) -> Verdict {
        let holds =
            match (text(headers, header::IF_MATCH), text(headers, header::IF_UNMODIFIED_SINCE)) {
                (Some(tags), _) => self.has(tags, |tag| tag),
                (None, Some(date)) => self.unmodified_since(date),
                (None, None) => true,
            };
        if !holds {
            return Verdict::Failed;
        }
        let known = match (
            text(headers, header::IF_NONE_MATCH),
            text(headers, header::IF_MODIFIED_SINCE),
        ) {
            (Some(tags), _) => self.has(tags, |tag| tag.strip_prefix("W/").unwrap_or(tag)),
            (None, Some(date)) => date == self.date,
            (None, None) => false,
        };
        if known { Verdict::NotModified } else { Verdict::Send }
    }

    /// Whether the file is as old as the date; what is no date does not count (RFC 9110 13.1.4).
    fn unmodified_since(&self, date: &str) -> bool {
        let since = httpdate::parse_http_date(date).ok();
        let since = since.map(|date| date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        since.is_none_or(|since| self.seconds <= since)
    }

    /// Whether a list of tags has this file's.
    fn has(&self, tags: &str, plain: impl Fn(&str) -> &str) -> bool {
        let mut tags = tags.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || plain(tag) == self.etag)
    }

    /// Whether a range is of this state of the file (`If-Range`).
    fn range_counts(&self, headers: &HeaderMap) -> bool {
        let state = headers.get(header::IF_RANGE).map(HeaderValue::as_bytes);
        state.is_none_or(|state| state == self.etag.as_bytes() || state == self.date.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let validators =
            Validators { etag: "\"e\"".into(), date: DATE.into(), seconds: 784_111_777 };
        let status = |name, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            match validators.verdict(&headers) {
                Verdict::Send => 200,
                Verdict::NotModified => 304,
                Verdict::Failed => 412,
            }
        };
        for (name, value, expected) in [
            (header::IF_NONE_MATCH, "\"e\"", 304),
            (header::IF_NONE_MATCH, "\"a\", W/\"e\"", 304),
            (header::IF_NONE_MATCH, "*", 304),
            (header::IF_NONE_MATCH, "\"a\"", 200),
            (header::IF_MODIFIED_SINCE, DATE, 304),
            (header::IF_MODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:38 GMT", 200),
            (header::IF_MATCH, "\"e\"", 200),
            (header::IF_MATCH, "W/\"e\"", 412),
            (header::IF_MATCH, "\"a\"", 412),
            (header::IF_UNMODIFIED_SINCE, DATE, 200),
            (header::IF_UNMODIFIED_SINCE, "Fri, 01 Jan 2100 00:00:00 GMT", 200),
            (header::IF_UNMODIFIED_SINCE, "Sun, 06 Nov 1994 08:49:36 GMT", 412),
            (header::IF_UNMODIFIED_SINCE, "yesterday", 200),
        ] {
            assert_eq!(status(name.clone(), value), expected, "{name}: {value}");
        }
    }
}
