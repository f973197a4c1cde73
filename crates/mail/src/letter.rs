//! What is sent.

/// A message of plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Letter {
    /// The sender: an address, or a name and an address in angle brackets.
    pub from: String,
    /// The addresses that it is for.
    pub to: Vec<String>,
    /// Addresses of others who get it, for everybody to see.
    pub cc: Vec<String>,
    /// Addresses of others who get it, for nobody to see.
    pub bcc: Vec<String>,
    /// The subject.
    pub subject: String,
    /// Further heads, in order; a name may come twice.
    pub headers: Vec<(String, String)>,
    /// The text, with plain line ends.
    pub text: String,
}

impl Letter {
    /// Adds a head.
    pub fn header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }
}

/// One line of a value that may have come from anywhere.
pub(crate) fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_value_cannot_add_heads() {
        assert_eq!(super::one_line("a\r\nBcc: b@example.com"), "a  Bcc: b@example.com");
    }
}
