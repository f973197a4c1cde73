//! Values in attributes.

use std::io::BufRead;
use std::str::FromStr;

use super::entry::Version;
use super::source::Source;
use crate::{Error, Result};

/// An attribute's value; empty if it is missing.
pub(super) fn attribute<R: BufRead>(source: &Source<R>, name: &str) -> String {
    source.attribute(name).unwrap_or_default().to_owned()
}

/// A number in an attribute; 0 if it is missing.
pub(super) fn number<R: BufRead, N: FromStr + Default>(
    source: &Source<R>,
    name: &str,
) -> Result<N> {
    match source.attribute(name) {
        Some(text) => text.parse().map_err(|_| Error::Content("bad number")),
        None => Ok(N::default()),
    }
}

/// The version in the attributes of a package's or dependency's element.
pub(super) fn version<R: BufRead>(source: &Source<R>) -> Version {
    Version {
        epoch: attribute(source, "epoch"),
        version: attribute(source, "ver"),
        release: attribute(source, "rel"),
    }
}
