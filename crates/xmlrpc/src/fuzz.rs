//! The entry for fuzzers: whatever is accepted must survive being written and read again.

use crate::{Limits, parse_call, parse_response, write_call, write_response};

/// Reads arbitrary bytes as a call and as a response.
///
/// # Panics
/// When an accepted document does not come back the same.
pub fn fuzz(data: &[u8]) {
    let limits = Limits { bytes: 1 << 20, depth: 64, elements: 100_000 };
    let mut out = Vec::new();
    if let Ok((method, params)) = parse_call(data, &limits) {
        write_call(&method, &params, &mut out);
        let again = parse_call(&out, &Limits::RESPONSE);
        // Compared as text, because a double may be no number.
        assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>((method, params))));
    }
    out.clear();
    if let Ok(Ok(value)) = parse_response(data, &limits) {
        write_response(&value, &mut out);
        let mut pieces = Vec::new();
        let mut rest = crate::response_pieces(value.clone(), &mut pieces);
        let mut enough = 16;
        while rest.fill(&mut pieces, enough) {
            enough += 16;
        }
        assert_eq!(pieces, out, "whole and by pieces");
        let again = parse_response(&out, &Limits::RESPONSE);
        assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>(Ok::<_, ()>(value))));
    }
}
