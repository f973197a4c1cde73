//! Shell patterns, as entries of the list of allowed repositories have them.

/// Shell patterns with `*`, `?` and `[…]`, where `*` also takes slashes, as Python's `fnmatch`.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    matches(&pattern, &text)
}

fn matches(pattern: &[char], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        '*' => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        '[' => match (rest.iter().skip(1).position(|c| *c == ']'), text.split_first()) {
            (Some(end), Some((c, after))) => {
                let (set, tail) = (&rest[..=end], &rest[end + 2..]);
                let (not, set) = set.strip_prefix(&['!']).map_or((false, set), |set| (true, set));
                let range = |w: &[char]| w[1] == '-' && (w[0]..=w[2]).contains(c);
                (set.contains(c) || set.windows(3).any(range)) != not && matches(tail, after)
            }
            _ => text.first() == Some(&'[') && matches(rest, &text[1..]),
        },
        _ => text
            .split_first()
            .is_some_and(|(c, after)| (first == c || *first == '?') && matches(rest, after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, matched) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a?c", "ac", false),
            ("[ab]x", "bx", true),
            ("[!ab]x", "bx", false),
            ("[a-c]", "b", true),
            ("[", "[", true),
            ("[a-c]z", "dz", false),
            ("/*/x", "/a/b/x", true),
        ] {
            assert_eq!(glob(pattern, text), matched, "{pattern} {text}");
        }
    }
}
