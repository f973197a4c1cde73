//! Moments in microseconds, and their one text form.

use toji_types::calendar::{date_of, days_of};

use crate::{Error, Result};

/// A moment in microseconds since 1970-01-01 UTC, the resolution of `TIMESTAMPTZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

const DAY: i64 = 86_400_000_000;
/// Year 1 and year 9999: what the text form can hold.
const RANGE: std::ops::Range<i64> = -719_162 * DAY..2_932_897 * DAY;

impl Time {
    /// From seconds since 1970, rounded to the microsecond.
    ///
    /// Fails outside the years 1 to 9999.
    pub fn from_epoch(seconds: f64) -> Result<Time> {
        let micros = (seconds * 1e6).round();
        if micros >= RANGE.start as f64 && micros < RANGE.end as f64 {
            return Ok(Time(micros as i64));
        }
        Err(Error::Type(format!("timestamp {seconds} out of range")))
    }

    /// Seconds since 1970.
    pub fn epoch(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// From ISO text: a date, optionally a time (`T` or a space between) with fraction, optionally
    /// an offset (`Z`, `+02`, `+02:00`, `+0200`); without one it is UTC.
    pub fn parse(text: &str) -> Result<Time> {
        parse(text.trim()).ok_or_else(|| Error::Type(format!("invalid timestamp: {text:?}")))
    }

    /// Python's `str(datetime)`: no fraction when it is zero.
    pub fn to_text(self) -> String {
        let full = self.to_stored();
        match self.0.rem_euclid(1_000_000) {
            0 => format!("{}+00:00", &full[..19]),
            _ => full,
        }
    }

    /// The fixed-width form that SQLite stores; it sorts as the moments do.
    pub fn to_stored(self) -> String {
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (y, m, d) = date_of(days);
        let (s, us) = (rest / 1_000_000, rest % 1_000_000);
        format!(
            "{y:04}-{m:02}-{d:02} {:02}:{:02}:{:02}.{us:06}+00:00",
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    }
}

fn parse(text: &str) -> Option<Time> {
    let mut p = Scan(text.as_bytes());
    let (y, m, d) = (
        p.number(4, 4)?,
        p.byte(b'-').then(|| p.number(1, 2))??,
        p.byte(b'-').then(|| p.number(1, 2))??,
    );
    if !(1..=12).contains(&m) || d < 1 || d > days_in_month(y, m) || y < 1 {
        return None;
    }
    let mut micros = days_of(y, m, d) * DAY;
    if p.byte(b'T') || p.byte(b' ') {
        micros += p.clock()?;
    }
    while p.byte(b' ') {}
    if !p.byte(b'Z') && !p.0.is_empty() {
        micros -= p.offset()?;
    }
    (p.0.is_empty() && RANGE.contains(&micros)).then_some(Time(micros))
}

/// What is left of the text.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn byte(&mut self, want: u8) -> bool {
        let hit = self.0.first() == Some(&want);
        if hit {
            self.0 = &self.0[1..];
        }
        hit
    }

    fn number(&mut self, min: usize, max: usize) -> Option<i64> {
        let n = self.0.iter().take(max).take_while(|b| b.is_ascii_digit()).count();
        if n < min {
            return None;
        }
        let value = self.0[..n].iter().fold(0, |v, b| v * 10 + i64::from(b - b'0'));
        self.0 = &self.0[n..];
        Some(value)
    }

    fn clock(&mut self) -> Option<i64> {
        let h = self.number(1, 2)?;
        let m = if self.byte(b':') { self.number(2, 2)? } else { return None };
        let s = if self.byte(b':') { self.number(2, 2)? } else { 0 };
        let mut us = 0;
        if self.byte(b'.') {
            let before = self.0.len();
            us = self.number(1, 6)?;
            us *= 10i64.pow(6 - (before - self.0.len()) as u32);
            self.number(0, usize::MAX)?;
        }
        (h <= 24 && m < 60 && s <= 60).then(|| ((h * 60 + m) * 60 + s) * 1_000_000 + us)
    }

    fn offset(&mut self) -> Option<i64> {
        let sign = match self.0.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.0 = &self.0[1..];
        let h = self.number(2, 2)?;
        let m = if self.byte(b':') || !self.0.is_empty() { self.number(2, 2)? } else { 0 };
        (h < 16 && m < 60).then_some(sign * (h * 60 + m) * 60_000_000)
    }
}

fn days_in_month(y: i64, m: i64) -> i64 {
    match m {
        2 if y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms() {
        for (given, text) in [
            ("2026-11-22 02:53:08.214251+00:00", "2026-11-22 02:53:08.214251+00:00"),
            ("2023-11-14T22:15:00Z", "2023-11-14 22:15:00+00:00"),
            ("2024-02-29", "2024-02-29 00:00:00+00:00"),
            ("2024-03-01 01:30:00+02:00", "2024-02-29 23:30:00+00:00"),
            ("1969-12-31 23:59:59.5-0030", "1970-01-01 00:29:59.500000+00:00"),
            ("2024-01-01 1:02", "2024-01-01 01:02:00+00:00"),
        ] {
            assert_eq!(Time::parse(given).unwrap().to_text(), text, "{given}");
        }
        for bad in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-01-01 25:00",
            "2024-01-01 x",
            "now",
            "0000-01-01",
        ] {
            assert!(Time::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn days_round_trip() {
        for days in (-719_162..2_932_896).step_by(97) {
            let (y, m, d) = date_of(days);
            assert_eq!(days_of(y, m, d), days);
        }
        assert_eq!(
            Time::from_epoch(1795315988.214251).unwrap().to_text(),
            "2026-11-22 02:53:08.214251+00:00"
        );
        assert!(Time::from_epoch(1e300).is_err());
        assert!(Time::from_epoch(f64::NAN).is_err());
    }
}
