//! Calls of one message and one answer: their frames and trailers, as the protocol has them.
//!
//! Tonic answers streams here; for these, which are nearly all, its machinery costs more than the call.

use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use toji_proto::hub::wire::Framed;
use toji_proto::tonic::Status;

use crate::door::{self, Unread, off_thread};

const ENCODING: &str = "grpc-encoding";
const ACCEPTED: &str = "grpc-accept-encoding";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const KIND: HeaderValue = HeaderValue::from_static("application/grpc");
/// What is before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Messages below this size are not worth compressing.
const COMPRESS_FROM: usize = 1400;

/// Whether a request says that it is one of gRPC; a page of another site cannot say so without being asked.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Reads the message of a request; `limit` holds for it as it is sent and as it is unpacked.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Status> {
    let too_long = || Status::resource_exhausted("the message is too long");
    let document = door::read_body(body, limit.saturating_add(PREFIX)).await;
    let document = document.map_err(|unread| match unread {
        Unread::TooLong => too_long(),
        Unread::TooSlow => Status::deadline_exceeded("the message does not come"),
        Unread::Empty => Status::invalid_argument("there is no message"),
        Unread::Broken(error) => Status::cancelled(error),
    })?;
    let (packed, message) = unframe(&document)?;
    if !packed {
        return Ok(message);
    }
    if !is_packed(headers)? {
        return Err(Status::internal("a message is compressed, and nothing says how"));
    }
    // How large it will be is not known before.
    let unpacked = off_thread(message.len().saturating_mul(64), move || unpack(&message, limit));
    let unpacked = unpacked.await.map_err(|fault| Status::internal(fault.message))?;
    let unpacked = unpacked.map_err(|_| Status::invalid_argument("the message is not gzip"))?;
    unpacked.ok_or_else(too_long)
}

/// Whether messages of a request may be compressed.
pub(super) fn is_packed(headers: &HeaderMap) -> Result<bool, Status> {
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => Err(Status::unimplemented("only gzip is understood")),
    }
}

/// Takes the prefix away; the rest must be one message.
fn unframe(document: &Bytes) -> Result<(bool, Bytes), Status> {
    let (prefix, _) = document
        .split_first_chunk::<PREFIX>()
        .ok_or_else(|| Status::invalid_argument("the message is cut off"))?;
    let [flag, length @ ..] = prefix;
    let length = u32::from_be_bytes(*length) as usize;
    let message = document.slice(PREFIX..);
    match (flag, length == message.len()) {
        (0 | 1, true) => Ok((*flag == 1, message)),
        (0 | 1, false) => Err(Status::invalid_argument("there must be one whole message")),
        _ => Err(Status::invalid_argument("the message has an unknown flag")),
    }
}

/// The unpacked message; none if it is longer than the limit, of which no more is unpacked.
fn unpack(packed: &[u8], limit: usize) -> std::io::Result<Option<Bytes>> {
    let mut message = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(packed).take(most).read_to_end(&mut message)?;
    Ok((message.len() <= limit).then(|| message.into()))
}

/// Reads a frame, and unpacks what is in it.
///
/// # Panics
/// When more is unpacked than the limit allows.
pub(super) fn fuzz(data: &[u8]) {
    const LIMIT: usize = 10_000;
    if let Ok((true, message)) = unframe(&Bytes::copy_from_slice(data))
        && let Ok(Some(unpacked)) = unpack(&message, LIMIT)
    {
        assert!(unpacked.len() <= LIMIT);
    }
}

/// Whether the client takes compressed answers.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let said = headers.get_all(ACCEPTED).iter().filter_map(|value| value.to_str().ok());
    said.flat_map(|value| value.split(',')).any(|name| name.trim() == "gzip")
}

/// The answer with a message.
pub(super) async fn answer(headers: &HeaderMap, message: Framed) -> Response {
    let gzip = accepts_gzip(headers);
    let message = frame(message, gzip).await;
    begin(Body::new(Unary { message: Some(message), ended: false }), gzip)
}

/// The answer with this body, whose messages may be compressed.
pub(super) fn begin(body: Body, gzip: bool) -> Response {
    let mut response = Response::new(body);
    let answered = response.headers_mut();
    answered.insert(header::CONTENT_TYPE, KIND);
    if gzip {
        answered.insert(ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A message as it is sent: compressed, if that is possible and worth it.
pub(super) async fn frame(message: Framed, gzip: bool) -> Bytes {
    let Framed { buffer, at } = message;
    let whole = Bytes::from(buffer).slice(at..);
    if !gzip || whole.len() < COMPRESS_FROM {
        return whole;
    }
    let plain = whole.clone();
    let packed = off_thread(whole.len(), move || pack(&plain[PREFIX..])).await;
    packed.ok().flatten().unwrap_or(whole)
}

fn pack(message: &[u8]) -> Option<Bytes> {
    let mut out = Vec::with_capacity(PREFIX + message.len() / 4);
    out.extend_from_slice(&[1, 0, 0, 0, 0]);
    let mut encoder = flate2::read::GzEncoder::new(message, flate2::Compression::fast());
    encoder.read_to_end(&mut out).ok()?;
    let length = u32::try_from(out.len() - PREFIX).ok()?;
    out[1..PREFIX].copy_from_slice(&length.to_be_bytes());
    Some(out.into())
}

/// A message, and that all went well.
struct Unary {
    message: Option<Bytes>,
    ended: bool,
}

impl HttpBody for Unary {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_proto::hub::wire::Back;
    use toji_proto::tonic::Code;

    const LIMIT: usize = 100_000;

    fn gzip() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(ACCEPTED, HeaderValue::from_static("identity, gzip"));
        headers
    }

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        let mut out = vec![flag];
        out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        out.extend_from_slice(message);
        out
    }

    async fn code(headers: &HeaderMap, sent: Vec<u8>) -> Result<Bytes, Code> {
        read(headers, Body::from(sent), LIMIT).await.map_err(|status| status.code())
    }

    #[tokio::test]
    async fn messages_are_whole() {
        let none = HeaderMap::new();
        assert_eq!(code(&none, framed(0, b"abc")).await, Ok(Bytes::from_static(b"abc")));
        assert_eq!(code(&none, framed(0, b"")).await, Ok(Bytes::new()));
        let whole = framed(0, b"abc");
        for end in 0..whole.len() {
            assert_eq!(code(&none, whole[..end].to_vec()).await, Err(Code::InvalidArgument));
        }
        let twice = [framed(0, b"abc"), framed(0, b"abc")].concat();
        assert_eq!(code(&none, twice).await, Err(Code::InvalidArgument));
        assert_eq!(code(&none, framed(2, b"abc")).await, Err(Code::InvalidArgument));
        assert_eq!(code(&none, framed(1, b"abc")).await, Err(Code::Internal));
        let mut odd = HeaderMap::new();
        odd.insert(ENCODING, HeaderValue::from_static("snappy"));
        assert_eq!(code(&odd, framed(1, b"abc")).await, Err(Code::Unimplemented));
        assert_eq!(code(&gzip(), framed(1, b"abc")).await, Err(Code::InvalidArgument));
        let long = framed(0, &vec![0; LIMIT + 1]);
        assert_eq!(code(&none, long).await, Err(Code::ResourceExhausted));
    }

    #[tokio::test]
    async fn a_small_message_may_not_become_a_large_one() {
        let fits = pack(&vec![0; LIMIT]).unwrap();
        assert_eq!(code(&gzip(), fits.to_vec()).await.unwrap().len(), LIMIT);
        let bomb = pack(&vec![0; LIMIT + 1]).unwrap();
        assert_eq!(code(&gzip(), bomb.to_vec()).await, Err(Code::ResourceExhausted));
        let mut cut = fits.to_vec();
        cut.truncate(cut.len() - 4);
        let length = (cut.len() - PREFIX) as u32;
        cut[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        assert_eq!(code(&gzip(), cut).await, Err(Code::InvalidArgument));
    }

    #[tokio::test]
    async fn answers_are_compressed_when_it_is_worth_it() {
        use http_body_util::BodyExt as _;
        for (size, packed) in [(10, false), (10_000, true), (2_000_000, true)] {
            let mut back = Back::default();
            back.bytes(1, &vec![b'x'; size]);
            let plain = back.as_bytes().to_vec();
            let response = answer(&gzip(), back.framed()).await;
            assert_eq!(response.headers()[ENCODING], "gzip");
            let sent = response.into_body().collect().await.unwrap();
            assert_eq!(sent.trailers().unwrap()["grpc-status"], "0");
            let sent = sent.to_bytes();
            assert_eq!(sent[0] == 1, packed);
            let (_, message) = unframe(&sent).unwrap();
            let read =
                if packed { unpack(&message, 10_000_000).unwrap().unwrap() } else { message };
            assert!(read == plain);
        }
    }

    #[test]
    fn others_say_what_they_are() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc; charset=x", true),
            ("application/grpc-web", false),
            ("text/plain", false),
        ] {
            let value = HeaderValue::from_static(kind);
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            assert_eq!(is_grpc(&headers), grpc, "{kind}");
        }
        assert!(!is_grpc(&HeaderMap::new()));
    }
}
