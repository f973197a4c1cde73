//! Identities that a transport has verified: principals of Kerberos and subjects of certificates.

/// Who the transport says is calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A principal of Kerberos, or a plain user name that a front end has verified that way.
    Kerberos(String),
    /// The subject of a client's certificate.
    Certificate(Subject),
}

/// The subject of a certificate: its parts by their short names, in the certificate's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(Vec<(String, String)>);

impl Subject {
    /// A subject of these parts, from the most general (`C`) to the most special (`CN`).
    pub fn new(parts: impl IntoIterator<Item = (String, String)>) -> Subject {
        Subject(parts.into_iter().map(|(name, value)| (canonical(&name), value)).collect())
    }

    /// Reads `/C=US/O=Example/CN=alice`, or the reverse `CN=alice,O=Example,C=US` of RFC 4514.
    pub fn parse(text: &str) -> Option<Subject> {
        let mut parts = match text.strip_prefix('/') {
            Some(rest) => by_slashes(rest)?,
            None => by_commas(text)?,
        };
        if !text.starts_with('/') {
            parts.reverse();
        }
        (!parts.is_empty()).then(|| Subject::new(parts))
    }

    /// The first value of a part: `CN`, `OU`, `emailAddress`.
    pub fn part(&self, name: &str) -> Option<&str> {
        let name = canonical(name);
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(name, value)| write!(f, "/{name}={value}"))
    }
}

/// One spelling of a part's name: programs differ in `emailAddress`, `Email` and `E`.
fn canonical(name: &str) -> String {
    match name.to_ascii_uppercase().as_str() {
        "EMAIL" | "E" | "EMAILADDRESS" => "emailAddress".to_owned(),
        "USERID" => "UID".to_owned(),
        "S" => "ST".to_owned(),
        name => name.to_owned(),
    }
}

/// A slash separates parts where a name and `=` follow it: values have slashes, too.
fn by_slashes(text: &str) -> Option<Vec<(String, String)>> {
    let mut parts: Vec<(String, String)> = Vec::new();
    for piece in text.split('/') {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
        };
        match piece.split_once('=').filter(|(name, _)| is_name(name)) {
            Some((name, value)) => parts.push((name.to_owned(), value.to_owned())),
            None => {
                let (_, value) = parts.last_mut()?;
                value.push('/');
                value.push_str(piece);
            }
        }
    }
    Some(parts)
}

/// The text of RFC 4514: commas separate, a backslash takes the meaning from a character or begins two
/// hexadecimal digits of a byte.
fn by_commas(text: &str) -> Option<Vec<(String, String)>> {
    let mut parts = Vec::new();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let equals = rest.iter().position(|b| *b == b'=')?;
        let name = std::str::from_utf8(&rest[..equals]).ok()?.trim().to_owned();
        rest = rest[equals + 1..].trim_ascii_start();
        let mut value = Vec::new();
        // Blanks at the end count only where they are escaped.
        let mut kept = 0;
        loop {
            match rest {
                [] => break,
                [b',' | b'+', after @ ..] => {
                    rest = after;
                    break;
                }
                [b'\\', high, low, after @ ..]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    let digits = [*high, *low];
                    value.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
                    kept = value.len();
                    rest = after;
                }
                [b'\\', plain, after @ ..] => {
                    value.push(*plain);
                    kept = value.len();
                    rest = after;
                }
                [b'\\' | b'"', ..] => return None,
                [plain, after @ ..] => {
                    value.push(*plain);
                    if *plain != b' ' {
                        kept = value.len();
                    }
                    rest = after;
                }
            }
        }
        value.truncate(kept);
        if name.is_empty() {
            return None;
        }
        parts.push((name, String::from_utf8(value).ok()?));
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_subject() {
        let legacy = "/C=US/O=Example, Inc./OU=a/b/CN=alice/emailAddress=a@example.com";
        let reverse = r"Email=a@example.com,CN=alice,OU=a/b,O=Example\, Inc.,C=US";
        let subject = Subject::parse(legacy).unwrap();
        assert_eq!(Subject::parse(reverse).unwrap(), subject);
        assert_eq!(subject.part("CN"), Some("alice"));
        assert_eq!(subject.part("o"), Some("Example, Inc."));
        assert_eq!(subject.part("Email"), Some("a@example.com"));
        assert_eq!(subject.part("L"), None);
        assert_eq!(subject.to_string(), legacy);
        assert_ne!(Subject::parse("/CN=alice/C=US"), Subject::parse("CN=alice,C=US"));
    }

    #[test]
    fn escapes() {
        let subject = Subject::parse(r"CN=\C3\89va \2C x\ , O=E").unwrap();
        assert_eq!((subject.part("CN"), subject.part("O")), (Some("Éva , x "), Some("E")));
        for wrong in ["", "alice", "=x", r#"CN="a""#, r"CN=\FF", r"CN=a\", "/alice", "/"] {
            assert_eq!(Subject::parse(wrong), None, "{wrong}");
        }
    }
}
