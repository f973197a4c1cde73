//! The entry for fuzzers: what the doors read themselves, before any call is known.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::front::{Front, Peer};
use crate::{door, files, grpc, logs};

/// Reads arbitrary bytes as a frame of gRPC, and its lines as the headers that decide who calls, for how long and what part of a file.
pub fn fuzz(data: &[u8]) {
    grpc::fuzz(data);
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(&line[at + 1..]));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let networks = ["10.0.0.0/8", "::/0"].map(|network| network.parse().ok());
    let front = Front {
        proxies: networks.into_iter().flatten().collect(),
        trust_kerberos: true,
        trust_certificate: true,
        ..Front::default()
    };
    let peer = Peer { address: ([10, 0, 0, 1], 1).into(), tls: false, subject: None };
    if let Ok(client) = front.client(&peer, &headers) {
        let _ = door::caller_or_bearer(&headers, &client);
    }
    let _ = (grpc::timeout(&headers), door::assert_json(&headers));
    if let Some(range) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        files::fuzz(range);
    }
    logs::together::fuzz(&String::from_utf8_lossy(data));
    let _ = toji_hub::upload::Params::from_query(&String::from_utf8_lossy(data));
}
