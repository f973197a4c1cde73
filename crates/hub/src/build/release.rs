//! The next release of a version, for builds that leave it to the hub.

use toji_db::build as db;
use toji_value::Fault;

use crate::Call;

/// The release after the newest one of this version.
///
/// # Errors
/// `BuildError` when the newest release cannot be counted up.
pub async fn next(call: &mut Call, name: &str, version: &str, step: i64) -> Result<String, Fault> {
    let newest = db::newest_release(&mut call.tx, name, version).await?;
    let newest = newest.unwrap_or_default();
    increment(&newest, step)
        .ok_or_else(|| Fault::build(format!("Unable to increment release value: {newest}")))
}

/// `""` → `1`, `3` → `4`, `3.el9` → `4.el9`, `20250101.nightly.3` → `20250101.nightly.4`.
fn increment(release: &str, step: i64) -> Option<String> {
    if release.is_empty() {
        return Some(step.to_string());
    }
    let parts: Vec<&str> = release.split('.').collect();
    let add = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let number = digits.then(|| part.parse::<i64>().ok()).flatten()?;
        number.checked_add(step).map(|n| n.to_string())
    };
    match parts.as_slice() {
        [number] => add(number),
        [number, dist] => Some(format!("{}.{dist}", add(number)?)),
        [date, kind, number] => Some(format!("{date}.{kind}.{}", add(number)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::increment;

    #[test]
    fn releases_count_up() {
        for (release, want) in [
            ("", Some("2")),
            ("123", Some("125")),
            ("123.el8", Some("125.el8")),
            ("20250101.nightly.3", Some("20250101.nightly.5")),
            ("1.2.x", None),
            ("1.2.3.4", None),
            ("a.el8", None),
        ] {
            assert_eq!(increment(release, 2).as_deref(), want, "{release}");
        }
    }
}
