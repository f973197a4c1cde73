//! The changelog of a package.

use crate::{Header, tag};

/// One entry of the changelog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// Seconds since 1970; a day's noon in most packages.
    pub time: i64,
    /// Name, address and often the version.
    pub author: &'a [u8],
    /// What changed.
    pub text: &'a [u8],
}

impl Header {
    /// The changelog, newest entry first.
    pub fn changelog(&self) -> impl Iterator<Item = Change<'_>> {
        self.ints(tag::CHANGELOGTIME)
            .zip(self.strs(tag::CHANGELOGNAME))
            .zip(self.strs(tag::CHANGELOGTEXT))
            .map(|((time, author), text)| Change { time: time as i64, author, text })
    }
}
