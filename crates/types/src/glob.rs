//! Shell patterns as Python's `fnmatch` reads them: `*`, `?`, `[seq]`, `[!seq]`, case-sensitive.

enum Token {
    Star,
    Any,
    Literal(char),
    Class { negate: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Token::Star => false,
            Token::Any => true,
            Token::Literal(l) => *l == c,
            Token::Class { negate, ranges } => {
                ranges.iter().any(|(a, b)| *a <= c && c <= *b) != *negate
            }
        }
    }
}

/// Whether the whole of `text` matches `pattern`; time is at most their product.
pub fn glob_match(text: &str, pattern: &str) -> bool {
    if !pattern.contains(['*', '?', '[']) {
        return text == pattern;
    }
    let tokens = tokenize(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match tokens.get(p) {
            Some(Token::Star) => {
                star = Some((p, t));
                p += 1;
            }
            Some(token) if token.accepts(text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                // let the last star take one more character
                Some((sp, st)) => {
                    star = Some((sp, st + 1));
                    p = sp + 1;
                    t = st + 1;
                }
                None => return false,
            },
        }
    }
    tokens[p..].iter().all(|t| matches!(t, Token::Star))
}

/// Whether `text` matches any of the patterns.
pub fn glob_match_any<S: AsRef<str>>(text: &str, patterns: &[S]) -> bool {
    patterns.iter().any(|p| glob_match(text, p.as_ref()))
}

fn tokenize(pattern: &str) -> Vec<Token> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::with_capacity(chars.len());
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        i += 1;
        match c {
            '*' => {
                if !matches!(tokens.last(), Some(Token::Star)) {
                    tokens.push(Token::Star);
                }
            }
            '?' => tokens.push(Token::Any),
            '[' => match class(&chars, i) {
                Some((token, next)) => {
                    tokens.push(token);
                    i = next;
                }
                None => tokens.push(Token::Literal('[')),
            },
            _ => tokens.push(Token::Literal(c)),
        }
    }
    tokens
}

/// Reads a class whose `[` is just before `start`; `None` when it is never closed.
fn class(chars: &[char], start: usize) -> Option<(Token, usize)> {
    let mut j = start;
    let negate = chars.get(j) == Some(&'!');
    if negate {
        j += 1;
    }
    let body = j;
    // a `]` in first place is a member
    if chars.get(j) == Some(&']') {
        j += 1;
    }
    while *chars.get(j)? != ']' {
        j += 1;
    }
    let members = &chars[body..j];
    let mut ranges = Vec::new();
    let mut k = 0;
    while k < members.len() {
        if k + 2 < members.len() && members[k + 1] == '-' {
            ranges.push((members[k], members[k + 2]));
            k += 3;
        } else {
            ranges.push((members[k], members[k]));
            k += 1;
        }
    }
    Some((Token::Class { negate, ranges }, j + 1))
}

#[cfg(test)]
mod tests {
    use super::glob_match;

    #[test]
    fn agrees_with_fnmatch() {
        for (text, pattern, want) in [
            ("f40-build", "f40-*", true),
            ("f40", "f40-*", false),
            ("", "*", true),
            ("", "?", false),
            ("abc", "a?c", true),
            ("abc", "a[bx]c", true),
            ("abc", "a[!b]c", false),
            ("a]c", "a[]]c", true),
            ("a-c", "a[x-]c", true),
            ("a5c", "a[0-9]c", true),
            ("a[c", "a[c", true),
            ("[]", "[]", true),
            ("a[bc", "*[bc", true),
            ("ABC", "abc", false),
            ("a\nb", "a*b", true),
            ("aXbXc", "a*b*c", true),
            ("x^", "x[^a]", true),
            ("xb", "x[^a]", false),
        ] {
            assert_eq!(glob_match(text, pattern), want, "{text:?} {pattern:?}");
        }
    }

    #[test]
    fn hostile_pattern_is_quick() {
        let text = "a".repeat(2000);
        let pattern = "*a".repeat(500) + "b";
        assert!(!glob_match(&text, &pattern));
    }
}
