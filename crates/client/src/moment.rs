//! Times as hubs and messages write them.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toji_value::{Map, Value};

/// The first of these members that is a time: seconds since 1970, or text in the forms of PostgreSQL and Python.
pub(crate) fn of(info: &Map, names: &[&str]) -> Option<OffsetDateTime> {
    names.iter().find_map(|name| parse(info.get(name)?))
}

fn parse(value: &Value) -> Option<OffsetDateTime> {
    match value {
        Value::Int(seconds) => OffsetDateTime::from_unix_timestamp(*seconds).ok(),
        // A double is good for microseconds, and out of range becomes none.
        Value::Double(seconds) => {
            let micros = (seconds * 1e6).round() as i128;
            OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1000)?).ok()
        }
        Value::Str(text) | Value::DateTime(text) => text_time(text.trim()),
        _ => None,
    }
}

/// `2026-11-22 10:00:00.123456+00:00` and its variants; without an offset it is UTC, as on every hub.
fn text_time(text: &str) -> Option<OffsetDateTime> {
    let (date, clock) = text.split_once([' ', 'T'])?;
    let date = match date.len() {
        // XML-RPC's own type has no dashes.
        8 if date.is_ascii() => format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
        _ => date.to_owned(),
    };
    let offset = match clock.find(['+', '-', 'Z']) {
        None => "Z",
        // PostgreSQL writes full hours without minutes.
        Some(at) if clock.len() - at == 3 => ":00",
        Some(_) => "",
    };
    OffsetDateTime::parse(&format!("{date}T{clock}{offset}"), &Rfc3339).ok()
}

/// From one time to another; none if they are in the wrong order.
pub(crate) fn between(from: OffsetDateTime, to: OffsetDateTime) -> Duration {
    Duration::try_from(to - from).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_times() {
        let at = |value: Value| parse(&value).map(|at| at.unix_timestamp_nanos() / 1000);
        let wanted = Some(1_795_315_988_214_251);
        assert_eq!(at(1_795_315_988.214251.into()), wanted);
        for text in [
            "2026-11-22 02:53:08.214251",
            "2026-11-22T02:53:08.214251Z",
            "2026-11-22 02:53:08.214251+00",
            "2026-11-22T04:53:08.214251+02:00",
            "20261122T02:53:08.214251",
        ] {
            assert_eq!(at(text.into()), wanted, "{text}");
        }
        for text in ["", "yesterday", "2026-11-22", "2026-13-22 02:53:08", "ü026112 02:53:08"] {
            assert_eq!(at(text.into()), None, "{text}");
        }
        assert_eq!(at(f64::NAN.into()).unwrap_or(0), 0);
        assert_eq!(at(1e300.into()), None);
    }
}
