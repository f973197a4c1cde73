//! The text of a statement: put together from what is written in this program, never from what a caller sent.

use std::borrow::Cow;

/// A statement, or a part of one.
///
/// It is made of texts that the compiler knows and of numbers; a `String` does not become one. Values are bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sql(Cow<'static, str>);

/// Puts a statement together from parts: `sql!["SELECT id FROM ", table, " WHERE id = $", 1usize]`.
#[macro_export]
macro_rules! sql {
    ($($part:expr),+ $(,)?) => {{
        let mut text = $crate::Sql::default();
        $( text.push($part); )+
        text
    }};
}

impl Sql {
    /// Adds a part at the end.
    pub fn push(&mut self, part: impl Into<Sql>) {
        let Sql(part) = part.into();
        if self.0.is_empty() {
            self.0 = part;
        } else {
            self.0.to_mut().push_str(&part);
        }
    }

    /// The parts with a text between them.
    pub fn join<T: Into<Sql>>(parts: impl IntoIterator<Item = T>, between: &'static str) -> Sql {
        let mut all = Sql::default();
        for (number, part) in parts.into_iter().enumerate() {
            if number > 0 {
                all.push(between);
            }
            all.push(part);
        }
        all
    }

    /// A text that was made at run time: for tests, and for names that the database's own catalog gave and that are
    /// quoted. `cargo xtask tidy` knows the places.
    pub fn unchecked(text: String) -> Sql {
        Sql(text.into())
    }

    /// Each `?` outside quotes becomes the number of a parameter, from `first` on.
    pub(crate) fn numbered(&self, first: usize) -> Sql {
        let mut out = String::with_capacity(self.0.len() + 4);
        let (mut next, mut quoted) = (first, false);
        for c in self.0.chars() {
            quoted ^= c == '\'';
            if c == '?' && !quoted {
                out += &format!("${next}");
                next += 1;
            } else {
                out.push(c);
            }
        }
        Sql(out.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Sql {
        Sql(Cow::Borrowed(text))
    }
}

impl From<&Sql> for Sql {
    fn from(sql: &Sql) -> Sql {
        sql.clone()
    }
}

impl From<usize> for Sql {
    fn from(number: usize) -> Sql {
        Sql(number.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::Sql;

    #[test]
    fn parts() {
        let table = "users";
        let columns = Sql::join(["id", "name"], ", ");
        let sql = sql!["SELECT ", &columns, " FROM ", table, " WHERE id = $", 1];
        assert_eq!(sql.as_str(), "SELECT id, name FROM users WHERE id = $1");
        assert!(Sql::join(Vec::<Sql>::new(), ", ").is_empty());
    }
}
