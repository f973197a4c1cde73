//! Files as Python's `configparser` reads them: sections, options, values over several lines.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The section whose options every other section has.
const DEFAULT: &str = "DEFAULT";

/// The sections of one or more files; later files win.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ini(BTreeMap<String, BTreeMap<String, String>>);

/// A mistake in a file; lines count from 1.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    #[error("line {0}: an option before the first section")]
    NoSection(usize),
    #[error("line {0}: neither a section, an option nor the rest of a value")]
    Unknown(usize),
    #[error("line {0}: the section {1} is in this file twice")]
    Section(usize, String),
    #[error("line {0}: the option {1} is in this section twice")]
    Option(usize, String),
}

impl Ini {
    /// Reads one file's text over what is there.
    pub(crate) fn merge(&mut self, text: &str) -> Result<(), Error> {
        let mut reader = Reader::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            reader.line(index + 1, line)?;
        }
        for (section, options) in reader.sections {
            let known = self.0.entry(section).or_default();
            let joined = options.into_iter().map(|(name, lines)| (name, join(&lines)));
            known.extend(joined);
        }
        Ok(())
    }

    /// All options of a section by name in small letters, the defaults included.
    pub(crate) fn section(&self, name: &str) -> BTreeMap<String, String> {
        let Some(own) = self.0.get(name) else { return BTreeMap::new() };
        let mut options = self.0.get(DEFAULT).cloned().unwrap_or_default();
        options.extend(own.clone());
        options
    }

    /// The names of the sections, without the one of the defaults.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str).filter(|name| *name != DEFAULT)
    }
}

fn join(lines: &[String]) -> String {
    lines.join("\n").trim_end().to_owned()
}

/// Where the reading of a file is.
#[derive(Default)]
struct Reader {
    sections: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    seen: BTreeSet<String>,
    section: Option<String>,
    option: Option<String>,
    /// Columns before the option; a line that is further in goes on with its value.
    indent: usize,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Error> {
        let text = line.trim();
        if text.starts_with(['#', ';']) {
            return Ok(());
        }
        let value = self.current();
        if text.is_empty() {
            // An empty line belongs to the value, if one follows.
            if let Some(value) = value {
                value.push(String::new());
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        let deeper = indent > self.indent;
        if let (Some(value), true) = (self.current(), deeper) {
            value.push(text.to_owned());
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) {
            return self.open(number, name.0);
        }
        self.set(number, text)
    }

    fn current(&mut self) -> Option<&mut Vec<String>> {
        let (section, option) = (self.section.as_ref()?, self.option.as_ref()?);
        self.sections.get_mut(section)?.get_mut(option)
    }

    fn open(&mut self, number: usize, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::Unknown(number));
        }
        if !self.seen.insert(name.to_owned()) && name != DEFAULT {
            return Err(Error::Section(number, name.to_owned()));
        }
        self.sections.entry(name.to_owned()).or_default();
        self.section = Some(name.to_owned());
        self.option = None;
        Ok(())
    }

    fn set(&mut self, number: usize, text: &str) -> Result<(), Error> {
        let Some(section) = &self.section else { return Err(Error::NoSection(number)) };
        let Some((name, value)) = text.split_once(['=', ':']) else {
            return Err(Error::Unknown(number));
        };
        let name = name.trim_end().to_lowercase();
        if name.is_empty() {
            return Err(Error::Unknown(number));
        }
        let options = self.sections.entry(section.clone()).or_default();
        match options.entry(name.clone()) {
            Entry::Occupied(_) => return Err(Error::Option(number, name)),
            Entry::Vacant(place) => place.insert(vec![value.trim().to_owned()]),
        };
        self.option = Some(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Ini, Error> {
        let mut ini = Ini::default();
        ini.merge(text).map(|()| ini)
    }

    fn get(ini: &Ini, section: &str, option: &str) -> Option<String> {
        ini.section(section).remove(&option.to_lowercase())
    }

    #[test]
    fn values_as_python_reads_them() {
        let ini = read(
            "; comment\n[hub]\nDBName = koji\nkojiweburl: http://w/koji?a=b # kept\nEmpty =\n\
             Long = one\n   # not this\n   two\n\n   three\n\n[policy]\n\ntag =\n    has_perm admin :: allow\n\
             \t all :: deny\nchannel = a :: b\n[DEFAULT]\nshared = 1\n",
        )
        .unwrap();
        assert_eq!(get(&ini, "hub", "dbname").as_deref(), Some("koji"));
        assert_eq!(get(&ini, "hub", "KojiWebURL").as_deref(), Some("http://w/koji?a=b # kept"));
        assert_eq!(get(&ini, "hub", "empty").as_deref(), Some(""));
        assert_eq!(get(&ini, "hub", "LONG").as_deref(), Some("one\ntwo\n\nthree"));
        assert_eq!(get(&ini, "hub", "Shared").as_deref(), Some("1"));
        assert_eq!(get(&ini, "other", "shared"), None);
        assert_eq!(
            get(&ini, "policy", "tag").as_deref(),
            Some("\nhas_perm admin :: allow\nall :: deny")
        );
        assert_eq!(ini.section("policy").len(), 3);
        assert_eq!(ini.sections().collect::<Vec<_>>(), ["hub", "policy"]);
    }

    #[test]
    fn later_files_win() {
        let mut ini = read("[hub]\na = 1\nb = 1\n").unwrap();
        ini.merge("[hub]\nb = 2\n").unwrap();
        assert_eq!(get(&ini, "hub", "a").as_deref(), Some("1"));
        assert_eq!(get(&ini, "hub", "b").as_deref(), Some("2"));
    }

    #[test]
    fn mistakes_have_a_line() {
        assert_eq!(read("a = 1\n").unwrap_err(), Error::NoSection(1));
        assert_eq!(read("[hub]\nword\n").unwrap_err(), Error::Unknown(2));
        assert_eq!(read("[hub]\n[hub]\n").unwrap_err(), Error::Section(2, "hub".into()));
        assert_eq!(read("[hub]\na=1\nA=2\n").unwrap_err(), Error::Option(3, "a".into()));
    }
}
