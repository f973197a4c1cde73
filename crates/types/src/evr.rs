//! The order of RPM versions.

use std::cmp::Ordering;

/// Epoch, version and release; compares as RPM does, a missing epoch being 0.
#[derive(Debug, Clone, Default)]
pub struct Evr {
    /// `None` if the package has no epoch.
    pub epoch: Option<i64>,
    /// Upstream's version.
    pub version: String,
    /// The packager's release; empty in a dependency that gives none.
    pub release: String,
}

impl Evr {
    /// Splits `[epoch:]version[-release]`; an epoch that is not a number makes it `None`.
    pub fn parse(text: &str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((e, rest)) if e.bytes().all(|b| b.is_ascii_digit()) => {
                (if e.is_empty() { Some(0) } else { e.parse().ok() }, rest)
            }
            _ => (None, text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch, version: version.to_owned(), release: release.to_owned() }
    }
}

impl Ord for Evr {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(
            (self.epoch, &self.version, &self.release),
            (other.epoch, &other.version, &other.release),
        )
    }
}

impl PartialOrd for Evr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Evr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Evr {}

/// Compares two (epoch, version, release); a missing epoch is 0.
pub fn compare(a: (Option<i64>, &str, &str), b: (Option<i64>, &str, &str)) -> Ordering {
    a.0.unwrap_or(0)
        .cmp(&b.0.unwrap_or(0))
        .then_with(|| compare_segments(a.1, b.1))
        .then_with(|| compare_segments(a.2, b.2))
}

/// Compares two version or release strings by RPM's segment rules, with `~` and `^`.
pub fn compare_segments(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    if a == b {
        return Ordering::Equal;
    }
    loop {
        a = skip_separators(a);
        b = skip_separators(b);
        match (a.first(), b.first()) {
            // a tilde sorts before everything, also before the end
            (Some(b'~'), Some(b'~')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            // a caret sorts after the end, but before any other continuation
            (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'^'), None) => return Ordering::Greater,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(_), Some(_)) => {}
        }
        let numeric = a[0].is_ascii_digit();
        let (segment_a, rest_a) = take_segment(a, numeric);
        let (segment_b, rest_b) = take_segment(b, numeric);
        if segment_b.is_empty() {
            // a number is newer than letters
            return if numeric { Ordering::Greater } else { Ordering::Less };
        }
        let order =
            if numeric { compare_numbers(segment_a, segment_b) } else { segment_a.cmp(segment_b) };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

fn skip_separators(s: &[u8]) -> &[u8] {
    let n = s.iter().position(|c| c.is_ascii_alphanumeric() || *c == b'~' || *c == b'^');
    &s[n.unwrap_or(s.len())..]
}

fn take_segment(s: &[u8], numeric: bool) -> (&[u8], &[u8]) {
    let member = |c: &u8| {
        if numeric { c.is_ascii_digit() } else { c.is_ascii_alphabetic() }
    };
    let n = s.iter().position(|c| !member(c)).unwrap_or(s.len());
    s.split_at(n)
}

fn compare_numbers(a: &[u8], b: &[u8]) -> Ordering {
    let trim = |s: &[u8]| {
        let n = s.iter().position(|c| *c != b'0').unwrap_or(s.len());
        s[n..].to_vec()
    };
    let (a, b) = (trim(a), trim(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_table_of_rpm() {
        let table = [
            ("1.0", "1.0", 0),
            ("1.0", "2.0", -1),
            ("2.0.1", "2.0.1", 0),
            ("2.0", "2.0.1", -1),
            ("2.0.1a", "2.0.1", 1),
            ("5.5p1", "5.5p2", -1),
            ("5.5p10", "5.5p1", 1),
            ("10xyz", "10.1xyz", -1),
            ("xyz10", "xyz10.1", -1),
            ("xyz.4", "8", -1),
            ("8", "xyz.4", 1),
            ("5.5p2", "5.6p1", -1),
            ("6.0.rc1", "6.0", 1),
            ("10b2", "10a1", 1),
            ("1.0aa", "1.0a", 1),
            ("10.0001", "10.0039", -1),
            ("10.0001", "10.1", 0),
            ("4.999.9", "5.0", -1),
            ("20101121", "20101122", -1),
            ("2_0", "2.0", 0),
            ("a+", "a_", 0),
            ("+", "_", 0),
            ("1.0~rc1", "1.0", -1),
            ("1.0~rc1", "1.0~rc2", -1),
            ("1.0~rc1~git123", "1.0~rc1", -1),
            ("1.0^", "1.0", 1),
            ("1.0^git1", "1.0^git2", -1),
            ("1.0^git1", "1.01", -1),
            ("1.0^20160101", "1.0.1", -1),
            ("1.0^20160101^git1", "1.0^20160102", -1),
            ("1.0~rc1^git1", "1.0~rc1", 1),
            ("1.0^git1~pre", "1.0^git1", -1),
            ("1.0^git1~pre", "1.0", 1),
            ("1b.fc17", "1.fc17", -1),
            ("1g.fc17", "1.fc17", 1),
            ("00000000000000000000000000001", "1", 0),
            ("99999999999999999999999999999", "1", 1),
            ("", "", 0),
            ("", "~", 1),
            ("", "a", -1),
            ("1.", "1", 0),
        ];
        for (a, b, want) in table {
            let want = want.cmp(&0);
            assert_eq!(compare_segments(a, b), want, "{a} {b}");
            assert_eq!(compare_segments(b, a), want.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn epoch_wins_and_none_is_zero() {
        assert!(Evr::parse("1:1-1") > Evr::parse("9-9"));
        assert_eq!(Evr::parse("0:1-1"), Evr::parse("1-1"));
        assert_eq!(Evr::parse("2:1.0-3").epoch, Some(2));
        assert_eq!(Evr::parse("1.0-a-3").version, "1.0-a");
    }
}
