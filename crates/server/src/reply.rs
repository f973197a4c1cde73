//! Documents on their way to a client: small ones whole, large ones in pieces as the client takes them.

use std::io::Write as _;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use flate2::write::GzEncoder;
use futures::stream;
use toji_value::{Pieces, Syntax};

/// Documents below this size are not worth compressing.
const COMPRESS_FROM: usize = 1400;
/// Documents up to this size are written as a whole.
pub(crate) const WHOLE: usize = 256 << 10;
/// Pieces of larger ones have about this size; the values they were made of are given up with them.
const PIECE: usize = 64 << 10;

/// A document.
pub(crate) enum Document {
    /// All of it.
    Whole(Vec<u8>),
    /// Its beginning, and where the rest comes from.
    Begun(Vec<u8>, Box<dyn Source>),
}

/// Where pieces come from.
pub(crate) trait Source: Send {
    /// Appends about so much; false when nothing is left.
    fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> bool;
}

impl<S: Syntax + Send> Source for Pieces<S> {
    fn fill(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        Pieces::fill(self, out, enough)
    }
}

impl Document {
    /// The document that begins with `out` and goes on with these pieces.
    pub(crate) fn new<S: Syntax + Send + 'static>(mut out: Vec<u8>, mut rest: Pieces<S>) -> Self {
        if rest.fill(&mut out, WHOLE) {
            Document::Begun(out, Box::new(rest))
        } else {
            Document::Whole(out)
        }
    }

    /// The answer with this document.
    pub(crate) fn answer(self, kind: &'static str, gzip: bool) -> Response {
        let (body, gzip) = match self {
            Document::Whole(whole) if gzip && whole.len() >= COMPRESS_FROM => compress(whole),
            Document::Whole(whole) => (Body::from(whole), false),
            Document::Begun(begin, source) => (flow(begin, source, gzip), gzip),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// The fastest level: the answers are short-lived and the wire is near.
fn encoder(capacity: usize) -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::with_capacity(capacity), flate2::Compression::fast())
}

fn compress(document: Vec<u8>) -> (Body, bool) {
    let mut encoder = encoder(document.len() / 4);
    match encoder.write_all(&document).and_then(|()| encoder.finish()) {
        Ok(compressed) => (Body::from(compressed), true),
        Err(_) => (Body::from(document), false),
    }
}

/// A body whose pieces are made when the client has taken those before.
fn flow(begin: Vec<u8>, source: Box<dyn Source>, gzip: bool) -> Body {
    let state = Flow { piece: begin, source: Some(source), gzip: gzip.then(|| encoder(PIECE)) };
    Body::from_stream(stream::unfold(state, |mut state| async move {
        Some((state.next().transpose()?, state))
    }))
}

struct Flow {
    /// What is written and not sent.
    piece: Vec<u8>,
    /// Where more comes from, until it has ended.
    source: Option<Box<dyn Source>>,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Flow {
    fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            let more = self.source.as_mut().is_some_and(|s| s.fill(&mut self.piece, PIECE));
            if !more {
                self.source = None;
            }
            let mut piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE + 1024));
            if let Some(encoder) = &mut self.gzip {
                encoder.write_all(&piece)?;
                piece = std::mem::take(encoder.get_mut());
                if !more && let Some(encoder) = self.gzip.take() {
                    let mut rest = encoder.finish()?;
                    piece.append(&mut rest);
                }
            }
            if !piece.is_empty() {
                return Ok(Some(Bytes::from(piece)));
            }
            if !more {
                return Ok(None);
            }
        }
    }
}

/// Whether the client takes compressed answers.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .any(|item| {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            name.trim() == "gzip" && weight.trim() != "q=0"
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::Value;
    use toji_value::json::Json;

    #[tokio::test]
    async fn large_documents_come_in_pieces() {
        let rows: Vec<Value> = (0..200_000).map(|n| Value::from(format!("row {n}"))).collect();
        let mut whole = Vec::new();
        toji_value::write(&Value::Array(rows.clone()), &mut Json, &mut whole);
        for gzip in [false, true] {
            let pieces = Pieces::new(Value::Array(rows.clone()), Json, b"");
            let document = Document::new(Vec::new(), pieces);
            assert!(matches!(document, Document::Begun(..)));
            let response = document.answer("application/json", gzip);
            assert_eq!(response.headers().contains_key(header::CONTENT_ENCODING), gzip);
            let sent = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            let mut read = Vec::new();
            if gzip {
                use std::io::Read as _;
                flate2::read::GzDecoder::new(&sent[..]).read_to_end(&mut read).unwrap();
            } else {
                read.extend_from_slice(&sent);
            }
            assert!(read == whole, "{} and {} bytes", read.len(), whole.len());
        }
    }
}
