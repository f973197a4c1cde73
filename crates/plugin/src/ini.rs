//! Settings of plugins, in the format of Koji's configuration files.

use toji_value::{Map, Value};

use crate::Error;

/// Settings: a struct for each section, all values text.
pub type Settings = Map;

/// Reads `[section]`, `name = value` or `name: value`, continued by indented lines; `#` and `;` begin comments.
///
/// # Errors
/// [`Error::Settings`] for a line that is none of these.
pub fn parse(text: &str) -> Result<Settings, Error> {
    let mut settings = Map::new();
    let mut section: Option<(String, Map)> = None;
    let mut last: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim();
        if bare.is_empty() || bare.starts_with(['#', ';']) {
            continue;
        }
        let wrong = || Error::Settings(number + 1);
        if let Some(name) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if let Some((name, values)) = section.take() {
                settings.insert(name, values);
            }
            section = Some((name.to_owned(), Map::new()));
            last = None;
            continue;
        }
        let (_, values) = section.as_mut().ok_or_else(wrong)?;
        if line.starts_with([' ', '\t'])
            && let Some(key) = &last
        {
            let before = values.str(key).unwrap_or_default();
            let joined = format!("{before}\n{bare}").trim_start().to_owned();
            values.insert(key.clone(), joined);
            continue;
        }
        let at = bare.find(['=', ':']).ok_or_else(wrong)?;
        let key = bare[..at].trim().to_lowercase();
        values.insert(key.clone(), bare[at + 1..].trim());
        last = Some(key);
    }
    if let Some((name, values)) = section {
        settings.insert(name, Value::from(values));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use toji_value::map;

    use super::parse;

    #[test]
    fn sections_and_continued_values() {
        let text = "# c\n[a]\nOne = 1\ntwo: x = y\n  z\n; c\n[b]\nthree =\n\tp\n\tq\n";
        let want = map! {
            "a" => map! { "one" => "1", "two" => "x = y\nz" }, "b" => map! { "three" => "p\nq" },
        };
        assert_eq!(parse(text).unwrap(), want);
        for bad in ["one = 1", "[a]\nword"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
