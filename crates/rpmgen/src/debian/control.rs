//! The control file of a Debian package, and its dependencies in RPM's words.

use std::collections::BTreeMap;

/// Fields of a control file.
pub(crate) struct Control {
    fields: BTreeMap<String, String>,
}

impl Control {
    pub(crate) fn parse(text: &str) -> Self {
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut last = String::new();
        for line in text.lines() {
            if line.starts_with([' ', '\t']) {
                let value = fields.entry(last.clone()).or_default();
                value.push('\n');
                value.push_str(line);
            } else if let Some((name, value)) = line.split_once(':') {
                name.clone_into(&mut last);
                fields.insert(last.clone(), value.trim().to_owned());
            }
        }
        Self { fields }
    }

    /// A field's value; empty if it is missing.
    pub(crate) fn field(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }

    /// Epoch, version and release.
    pub(crate) fn evr(&self) -> (Option<String>, String, String) {
        let text = self.field("Version");
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (Some(epoch.to_owned()), rest.to_owned()),
            None => (None, text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((&rest, "1"));
        (epoch, version.replace('-', "."), release.to_owned())
    }

    /// The lines of a spec file for a field of dependencies.
    pub(crate) fn dependencies(&self, field: &str, tag: &str) -> Vec<String> {
        let text = self.field(field).replace('\n', " ");
        let clauses = text.split(',').map(str::trim).filter(|c| !c.is_empty());
        clauses.filter_map(|clause| dependency(clause, tag)).collect()
    }
}

/// One clause; alternatives become a rich dependency where RPM allows one.
fn dependency(clause: &str, tag: &str) -> Option<String> {
    let alternatives: Option<Vec<String>> = clause.split('|').map(single).collect();
    let alternatives = alternatives?;
    match alternatives.as_slice() {
        [one] => Some(format!("{tag}: {one}")),
        many if tag != "Provides" && tag != "Obsoletes" => {
            Some(format!("{tag}: ({})", many.join(" or ")))
        }
        _ => None,
    }
}

/// `name:any (>> 1.2-3)` as `name > 1.2-3`.
fn single(text: &str) -> Option<String> {
    let text = text.trim();
    let (name, version) = match text.split_once('(') {
        Some((name, version)) => (name.trim(), Some(version.trim_end_matches(')').trim())),
        None => (text, None),
    };
    let name = name.split([':', ' ', '[', '<']).next()?;
    let Some(version) = version else { return Some(name.to_owned()) };
    let cut = version.find(|c: char| !"<>=".contains(c))?;
    let (operator, version) = (&version[..cut], version[cut..].trim());
    let operator = match operator {
        "<<" | "<" => "<",
        // To Debian 2.36-9 is later than 2.36; to RPM they are equal.
        ">>" if !version.contains('-') => ">=",
        ">>" | ">" => ">",
        other => other,
    };
    Some(format!("{name} {operator} {}", version_of(version)))
}

/// RPM allows one dash in a version, before the release.
fn version_of(text: &str) -> String {
    match text.rsplit_once('-') {
        Some((version, release)) => format!("{}-{release}", version.replace('-', ".")),
        None => text.to_owned(),
    }
}
