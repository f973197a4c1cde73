//! Which bytes of a file are asked for (RFC 9110, 14).

use std::ops::Range;

/// More ranges than this are answered with the whole file.
const MOST: usize = 256;

/// What a request asks for of a file.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    /// All of it: no range, none that is understood, or more than is reasonable.
    Whole,
    /// These parts, in this order.
    Parts(Vec<Range<u64>>),
    /// Only what is behind its end.
    Nothing,
}

/// Reads the value of a `Range` header, for a file of so many bytes.
pub(crate) fn asked(value: &str, size: u64) -> Asked {
    let Some((unit, specs)) = value.split_once('=') else { return Asked::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Asked::Whole;
    }
    let mut parts = Vec::new();
    let specs = specs.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    for (n, spec) in specs.enumerate() {
        if n == MOST {
            return Asked::Whole;
        }
        match part(spec, size) {
            Some(part) if part.is_empty() => {}
            Some(part) => parts.push(part),
            None => return Asked::Whole,
        }
    }
    if parts.is_empty() {
        // An empty file has no part at all, and is sent as it is.
        return if size == 0 { Asked::Whole } else { Asked::Nothing };
    }
    // The same bytes again and again: more than the file is long.
    let sum: u64 = parts.iter().map(|part| part.end - part.start).fold(0, u64::saturating_add);
    if sum > size { Asked::Whole } else { Asked::Parts(parts) }
}

/// One part, empty if it is behind the end; nothing if it is not understood.
fn part(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        let length = number(last)?.min(size);
        return Some(size - length..size);
    }
    let first = number(first)?;
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1) };
    if !last.is_empty() && end <= first {
        return None;
    }
    Some(first.min(size)..end.min(size).max(first.min(size)))
}

/// Digits only; a number that is too large is the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_ranges() {
        let one = |value: &str| match asked(value, 100) {
            Asked::Parts(parts) if parts.len() == 1 => parts[0].clone(),
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(one("bytes=0-9"), 0..10);
        assert_eq!(one("bytes=90-"), 90..100);
        assert_eq!(one("bytes=-5"), 95..100);
        assert_eq!(one("bytes=-500"), 0..100);
        assert_eq!(one("bytes=95-1000"), 95..100);
        assert_eq!(one("Bytes = 0 - 0"), 0..1);
        assert_eq!(one("bytes=0-99999999999999999999999"), 0..100);
    }

    #[test]
    fn several_ranges() {
        assert_eq!(asked("bytes=1-2,4-5", 100), Asked::Parts(vec![1..3, 4..6]));
        assert_eq!(asked("bytes=4-5, ,1-2,", 100), Asked::Parts(vec![4..6, 1..3]));
        assert_eq!(asked("bytes=1-2,200-300", 100), Asked::Parts(vec![1..3; 1]));
        assert_eq!(asked("bytes=0-,0-,-100", 100), Asked::Whole);
        let many = format!("bytes={}", vec!["0-0"; MOST + 1].join(","));
        assert_eq!(asked(&many, 1 << 20), Asked::Whole);
    }

    #[test]
    fn others() {
        for value in ["bytes=100-", "bytes=-0", "bytes=200-300,400-"] {
            assert_eq!(asked(value, 100), Asked::Nothing, "{value}");
        }
        for value in [
            "bytes=5-2",
            "lines=1-2",
            "bytes",
            "bytes=a-b",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=--1",
        ] {
            assert_eq!(asked(value, 100), Asked::Whole, "{value}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Whole);
    }
}
