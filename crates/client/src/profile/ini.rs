//! Configuration files as Python's `configparser.ConfigParser` reads them, for that is what the stock client uses.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The longest file, in bytes.
pub(crate) const LONGEST: usize = 4 << 20;
/// The longest value after references were filled in, in bytes.
const LONGEST_VALUE: usize = 1 << 20;
/// How deep references may be nested, as in Python.
const DEPTH: usize = 10;

/// What is wrong with a file or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IniError {
    /// A line before the first section.
    #[error("line {0}: no section header before it")]
    NoSection(usize),
    /// A section or an option that is there twice in one file.
    #[error("line {0}: '{1}' is there already")]
    Duplicate(usize, String),
    /// A line that is no option.
    #[error("line {0}: neither a section nor an option")]
    Line(usize),
    /// The file is not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// The file, or a value with its references filled in, is too long.
    #[error("too long")]
    TooLong,
    /// A `%` that begins no reference.
    #[error("option '{0}': '%' must be followed by '%' or '(name)s'")]
    Percent(String),
    /// A reference to an option that is not there.
    #[error("option '{0}' refers to '{1}', which is not there")]
    Missing(String, String),
    /// References that are nested too deeply, most likely in a circle.
    #[error("option '{0}': references are nested too deeply")]
    Depth(String),
}

/// Sections with their options; later files override earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Ini {
    defaults: BTreeMap<String, String>,
    sections: HashMap<String, BTreeMap<String, String>>,
}

/// White space as Python's `str.isspace` sees it.
fn space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// The line that is being read, and what continuation lines would belong to.
struct Reader<'a> {
    ini: &'a mut Ini,
    /// None is the section of defaults.
    section: Option<Option<String>>,
    option: Option<String>,
    /// The value's lines so far.
    lines: Vec<String>,
    indent: usize,
    added: BTreeSet<(Option<String>, Option<String>)>,
    wrong: Option<IniError>,
}

impl Ini {
    /// Reads a file in addition to those before it.
    ///
    /// What precedes an error counts, as in Python; callers give up then.
    pub(crate) fn read(&mut self, data: &[u8]) -> Result<(), IniError> {
        if data.len() > LONGEST {
            return Err(IniError::TooLong);
        }
        let text = std::str::from_utf8(data).map_err(|_| IniError::Encoding)?;
        // Python's text files end a line at any of these.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut reader = Reader {
            ini: self,
            section: None,
            option: None,
            lines: Vec::new(),
            indent: 0,
            added: BTreeSet::new(),
            wrong: None,
        };
        for (number, line) in text.split('\n').enumerate() {
            reader.line(number + 1, line)?;
        }
        reader.keep();
        reader.wrong.map_or(Ok(()), Err)
    }

    /// Whether there is a section of this name; `DEFAULT` is none.
    pub(crate) fn has(&self, section: &str) -> bool {
        self.sections.contains_key(section)
    }

    /// The names of all sections, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.sections.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.into_iter()
    }

    /// The options of a section with the defaults, references filled in; nothing without the section.
    pub(crate) fn items(&self, section: &str) -> Result<BTreeMap<String, String>, IniError> {
        let Some(own) = self.sections.get(section) else { return Ok(BTreeMap::new()) };
        let mut all = self.defaults.clone();
        all.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        let filled = all.iter().map(|(name, value)| {
            let mut out = String::new();
            fill(name, value, &all, 1, &mut out)?;
            Ok((name.clone(), out))
        });
        filled.collect()
    }
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) -> Result<(), IniError> {
        let value = line.trim_matches(space);
        if value.starts_with(['#', ';']) {
            return Ok(());
        }
        if value.is_empty() {
            if self.option.is_some() {
                self.lines.push(String::new());
            }
            return Ok(());
        }
        let indent = line.chars().take_while(|c| space(*c)).count();
        if self.option.is_some() && indent > self.indent {
            self.lines.push(value.to_owned());
            return Ok(());
        }
        self.indent = indent;
        if let Some(header) = header(value) {
            return self.begin(number, header);
        }
        let Some(section) = self.section.clone() else { return Err(IniError::NoSection(number)) };
        let Some((name, text)) = value.split_once(['=', ':']) else {
            self.wrong.get_or_insert(IniError::Line(number));
            return Ok(());
        };
        if name.is_empty() {
            self.wrong.get_or_insert(IniError::Line(number));
        }
        self.keep();
        let name = name.trim_end_matches(space).to_lowercase();
        if !self.added.insert((section, Some(name.clone()))) {
            return Err(IniError::Duplicate(number, name));
        }
        self.lines = vec![text.trim_matches(space).to_owned()];
        self.option = Some(name).filter(|name| !name.is_empty());
        Ok(())
    }

    fn begin(&mut self, number: usize, name: &str) -> Result<(), IniError> {
        self.keep();
        if name == "DEFAULT" {
            self.section = Some(None);
            return Ok(());
        }
        if !self.added.insert((Some(name.to_owned()), None)) {
            return Err(IniError::Duplicate(number, name.to_owned()));
        }
        self.ini.sections.entry(name.to_owned()).or_default();
        self.section = Some(Some(name.to_owned()));
        Ok(())
    }

    /// Stores the option whose lines are complete now.
    fn keep(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let Some(name) = self.option.take() else { return };
        let value = lines.join("\n").trim_end_matches(space).to_owned();
        let options = match &self.section {
            Some(Some(section)) => self.ini.sections.entry(section.clone()).or_default(),
            _ => &mut self.ini.defaults,
        };
        options.insert(name, value);
    }
}

/// The name in a header: up to the last bracket, whatever follows it.
fn header(value: &str) -> Option<&str> {
    let inner = value.strip_prefix('[')?;
    inner.rfind(']').map(|end| &inner[..end]).filter(|name| !name.is_empty())
}

/// Fills in references: `%(name)s`, and `%%` for the sign itself.
fn fill(
    option: &str,
    value: &str,
    all: &BTreeMap<String, String>,
    depth: usize,
    out: &mut String,
) -> Result<(), IniError> {
    if depth > DEPTH {
        return Err(IniError::Depth(option.to_owned()));
    }
    let mut rest = value;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let wrong = || IniError::Percent(option.to_owned());
        let (name, after) =
            rest.strip_prefix('(').and_then(|r| r.split_once(')')).ok_or_else(wrong)?;
        rest = after.strip_prefix('s').filter(|_| !name.is_empty()).ok_or_else(wrong)?;
        let name = name.to_lowercase();
        let referred =
            all.get(&name).ok_or_else(|| IniError::Missing(option.to_owned(), name.clone()))?;
        if referred.contains('%') {
            fill(option, referred, all, depth + 1, out)?;
        } else {
            out.push_str(referred);
        }
        if out.len() > LONGEST_VALUE {
            return Err(IniError::TooLong);
        }
    }
    out.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Result<Vec<(String, String)>, IniError> {
        let mut ini = Ini::default();
        ini.read(text.as_bytes())?;
        Ok(ini.items("koji")?.into_iter().collect())
    }

    fn one(value: &str) -> Result<String, IniError> {
        items(&format!("[koji]\na = {value}\n")).map(|mut all| all.remove(0).1)
    }

    #[test]
    fn values_go_on_in_deeper_lines() {
        assert_eq!(one("x\n  y\n\n  z\n# no\n b: c\n\n"), Ok("x\ny\n\nz\nb: c".into()));
        assert_eq!(one("x # stays ; too"), Ok("x # stays ; too".into()));
        assert_eq!(items("[koji] rest\n Server:A=b\n"), Ok(vec![("server".into(), "A=b".into())]));
    }

    #[test]
    fn references() {
        assert_eq!(one("%(B)s/%%x\nb = y"), Ok("y/%x".into()));
        assert_eq!(one("%x"), Err(IniError::Percent("a".into())));
        assert_eq!(one("%(c)s"), Err(IniError::Missing("a".into(), "c".into())));
        assert_eq!(one("%(a)s"), Err(IniError::Depth("a".into())));
        let mut laughs = String::from("[koji]\na0 = hahahahaha\n");
        for n in 1..9 {
            let before = format!("%(a{})s", n - 1).repeat(40);
            laughs.push_str(&format!("a{n} = {before}\n"));
        }
        assert_eq!(items(&laughs), Err(IniError::TooLong));
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(items("a = b\n"), Err(IniError::NoSection(1)));
        assert_eq!(items("[koji]\na=1\nA=2\n"), Err(IniError::Duplicate(3, "a".into())));
        assert_eq!(items("[koji]\n[koji]\n"), Err(IniError::Duplicate(2, "koji".into())));
        assert_eq!(items("[koji]\nword\n"), Err(IniError::Line(2)));
        assert_eq!(items("[koji]\n= b\n"), Err(IniError::Line(2)));
    }
}
