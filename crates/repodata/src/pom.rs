//! Maven's project files: group, artifact and version, by which a Maven repository is laid out.

use quick_xml::Reader;
use quick_xml::events::Event;

/// A project file is a few kilobytes; this is the most that is read of one.
const MOST: u64 = 16 << 20;

/// What identifies an artifact of Maven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gav {
    /// Group, with dots.
    pub group_id: String,
    /// Artifact.
    pub artifact_id: String,
    /// Version.
    pub version: String,
}

impl Gav {
    /// The form that messages show.
    pub fn label(&self) -> String {
        format!("{}-{}-{}", self.group_id, self.artifact_id, self.version)
    }

    /// The three parts.
    pub fn parts(&self) -> (&str, &str, &str) {
        (&self.group_id, &self.artifact_id, &self.version)
    }
}

/// Why a project file cannot be used; each names the file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PomError {
    /// It could not be read.
    #[error("{0}")]
    Read(String),
    /// It is no XML.
    #[error("{0}")]
    Xml(String),
    /// Neither the project nor its parent says so.
    #[error("could not extract {0} from POM: {1}")]
    Lacks(&'static str, String),
}

/// Reads a project file.
///
/// # Errors
/// When it is no XML, or lacks one of the three.
pub fn read(file: impl std::io::Read, shown: &str) -> Result<Gav, PomError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = file.take(MOST).read_to_end(&mut bytes);
    read.map_err(|error| PomError::Read(format!("{shown}: {error}")))?;
    parse(&String::from_utf8_lossy(&bytes), shown)
}

/// Reads the text of a project file; `shown` is its name in messages.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, shown: &str) -> Result<Gav, PomError> {
    let found = match values(text) {
        Ok(found) => found,
        // Entities that are declared elsewhere: every reference counts as a question mark then.
        Err(_) => {
            let plain = without_references(text);
            values(&plain).map_err(|error| PomError::Xml(format!("{shown}: {error}")))?
        }
    };
    let mut parts = Vec::new();
    for (name, value) in FIELDS.iter().zip(found) {
        let missing = || PomError::Lacks(name, shown.to_owned());
        parts.push(value.ok_or_else(missing)?);
    }
    let [group_id, artifact_id, version] = parts.try_into().unwrap_or_default();
    Ok(Gav { group_id, artifact_id, version })
}

const FIELDS: [&str; 3] = ["groupId", "artifactId", "version"];

/// The text with a question mark for each `&name;`.
fn without_references(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
        match after.get(end..).and_then(|tail| tail.strip_prefix(';')) {
            Some(tail) if end > 0 => {
                plain.push('?');
                rest = tail;
            }
            _ => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain + rest
}

/// The three values of the project, or where it has none those of its parent.
fn values(text: &str) -> Result<[Option<String>; 3], String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut own: [Option<String>; 3] = Default::default();
    let mut parents: [Option<String>; 3] = Default::default();
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(start) => {
                open.push(start.name().as_ref().to_owned());
                content.clear();
            }
            Event::Empty(_) => content.clear(),
            Event::Text(text) => content.push_str(&text),
            Event::CData(data) => content.push_str(&data),
            Event::GeneralRef(reference) => {
                let known = match reference.resolve_char_ref().map_err(|e| e.to_string())? {
                    Some(c) => Some(c),
                    None => predefined(&reference),
                };
                content.push(known.ok_or("undefined entity")?);
            }
            Event::End(_) => {
                if let [.., outer, name] = open.as_slice()
                    && open.len() <= 3
                    && let Some(at) = FIELDS.iter().position(|field| field == name)
                {
                    let value = Some(content.trim().to_owned());
                    match outer.as_str() {
                        "project" => own[at] = value,
                        "parent" if parents[at].is_none() => parents[at] = value,
                        _ => {}
                    }
                }
                content.clear();
                open.pop();
            }
            Event::Eof if open.is_empty() => break,
            Event::Eof => return Err("the document ends early".to_owned()),
            _ => {}
        }
    }
    let [a, b, c] = own;
    let [x, y, z] = parents;
    Ok([a.or(x), b.or(y), c.or(z)])
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Gav, parse};

    fn gav(group: &str, artifact: &str, version: &str) -> Gav {
        let [group_id, artifact_id, version] = [group, artifact, version].map(str::to_owned);
        Gav { group_id, artifact_id, version }
    }

    #[test]
    fn own_values_come_before_the_parents() {
        let text = "<?xml version='1.0'?><project><parent><groupId>org.p</groupId><artifactId>p\
            </artifactId><version>9</version></parent><artifactId> a&amp;b </artifactId>\
            <dependencies><dependency><groupId>x</groupId><version>7</version></dependency>\
            </dependencies></project>";
        assert_eq!(parse(text, "f"), Ok(gav("org.p", "a&b", "9")));
    }

    #[test]
    fn unknown_references_become_question_marks() {
        let text = "<project><groupId>g</groupId><artifactId>&eacute;&amp;</artifactId>\
            <version>1</version></project>";
        assert_eq!(parse(text, "f"), Ok(gav("g", "??", "1")));
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = "<project><groupId>g</groupId><version>1</version></project>";
        let error = parse(text, "x.pom").unwrap_err();
        assert_eq!(error.to_string(), "could not extract artifactId from POM: x.pom");
        assert!(parse("<project><groupId>", "x.pom").is_err());
    }
}
