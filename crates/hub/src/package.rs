//! The package lists of tags: what a tag may hold, with owners and blocks.

pub mod edit;

use std::collections::HashMap;

use regex::Regex;
use toji_db::Row;
use toji_db::package::{self, Filter};
use toji_value::{Fault, Map};

use crate::Call;
use crate::tag::inherit::{self, Node};

/// An entry of a package list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The package.
    pub package_id: i64,
    /// Its name.
    pub package_name: String,
    /// The tag whose list this is.
    pub tag_id: i64,
    /// Whether the tag must not hold the package.
    pub blocked: bool,
    /// Arches beside those of the tag.
    pub extra_arches: Option<String>,
    /// The owner, if owners were asked for.
    pub owner_id: Option<i64>,
    /// The entry as listings show it.
    pub shown: Map,
}

impl Listed {
    fn of(row: Row) -> Result<Listed, Fault> {
        Ok(Listed {
            package_id: row.get("package_id")?,
            package_name: row.get("package_name")?,
            tag_id: row.get("tag_id")?,
            blocked: row.get("blocked")?,
            extra_arches: row.get("extra_arches")?,
            owner_id: row.value("owner_id").as_int(),
            shown: row.into_map(),
        })
    }
}

/// What a reader of package lists asks for.
#[derive(Clone, Debug)]
pub struct Question {
    /// The tag, or all tags.
    pub tag: Option<i64>,
    /// Only packages of this owner.
    pub owner: Option<i64>,
    /// Only this package.
    pub package: Option<i64>,
    /// The event to look at; nothing is now.
    pub event: Option<i64>,
    /// Whether the lists that the tag inherits count.
    pub inherit: bool,
    /// Whether owners are shown; entries without one are left out then.
    pub with_owners: bool,
    /// Whether blocked entries are shown.
    pub with_blocked: bool,
    /// Whether all entries of a package are shown, not only the one that counts.
    pub with_dups: bool,
}

impl Default for Question {
    fn default() -> Self {
        Question {
            tag: None,
            owner: None,
            package: None,
            event: None,
            inherit: false,
            with_owners: true,
            with_blocked: true,
            with_dups: false,
        }
    }
}

/// Reads package lists; the entry of the nearest tag counts.
///
/// # Errors
/// `GenericError` for a package filter that is no pattern.
pub async fn read(call: &mut Call, question: &Question) -> Result<Vec<Listed>, Fault> {
    let order = match question.tag {
        Some(tag) if question.inherit => inherit::full(call, tag, question.event).await?,
        _ => Vec::new(),
    };
    let tags = question.tag.map(|tag| {
        std::iter::once(tag).chain(order.iter().map(|node| node.parent_id)).collect::<Vec<i64>>()
    });
    let filter = Filter {
        tags,
        owner: question.owner,
        package: question.package,
        event: question.event,
        with_owners: question.with_owners,
        with_blocked: question.with_blocked,
    };
    let rows = package::entries(&mut call.tx, &filter).await?;
    let found: Vec<Listed> = rows.into_iter().map(Listed::of).collect::<Result<_, _>>()?;
    let mut packages = Packages { with_dups: question.with_dups, ..Packages::default() };
    let Some(tag) = question.tag else {
        found.into_iter().for_each(|entry| packages.replace(entry));
        return Ok(packages.finish());
    };
    let mut by_tag: HashMap<i64, Vec<Listed>> = HashMap::new();
    for entry in found {
        by_tag.entry(entry.tag_id).or_default().push(entry);
    }
    by_tag.remove(&tag).unwrap_or_default().into_iter().for_each(|entry| packages.add(entry));
    for node in &order {
        let filters = patterns(node)?;
        let entries = by_tag.get(&node.parent_id).into_iter().flatten();
        let passes = |entry: &&Listed| filters.iter().all(|f| f.is_match(&entry.package_name));
        entries.filter(passes).for_each(|entry| packages.add(entry.clone()));
    }
    Ok(packages.finish())
}

/// The filters of a link; each must match at the start of a name.
///
/// # Errors
/// `GenericError` for a filter that is no pattern.
pub fn patterns(node: &Node) -> Result<Vec<Regex>, Fault> {
    let compile = |pattern: &String| {
        let wrong = |_| Fault::generic(format!("invalid package filter: {pattern}"));
        Regex::new(&format!(r"\A(?:{pattern})")).map_err(wrong)
    };
    node.filter.iter().map(compile).collect()
}

/// Entries by package, in the order in which packages are first seen.
#[derive(Default)]
struct Packages {
    with_dups: bool,
    places: HashMap<i64, usize>,
    entries: Vec<Vec<Listed>>,
}

impl Packages {
    /// Adds an entry behind those that count before it.
    fn add(&mut self, entry: Listed) {
        match self.places.get(&entry.package_id) {
            Some(place) if self.with_dups => self.entries[*place].push(entry),
            Some(_) => {}
            None => {
                self.places.insert(entry.package_id, self.entries.len());
                self.entries.push(vec![entry]);
            }
        }
    }

    /// Adds an entry; without a tag to start from, the last one of a package is shown.
    fn replace(&mut self, entry: Listed) {
        match self.places.get(&entry.package_id) {
            Some(place) if !self.with_dups => self.entries[*place] = vec![entry],
            _ => self.add(entry),
        }
    }

    fn finish(self) -> Vec<Listed> {
        self.entries.into_iter().flatten().collect()
    }
}

/// What a tag says of one package, inherited lists included.
///
/// # Errors
/// `GenericError` for a package filter that is no pattern.
pub async fn config(
    call: &mut Call,
    tag_id: i64,
    package_id: i64,
    event: Option<i64>,
) -> Result<Option<Listed>, Fault> {
    let question = Question {
        tag: Some(tag_id),
        package: Some(package_id),
        event,
        inherit: true,
        ..Question::default()
    };
    Ok(read(call, &question).await?.pop())
}

/// Whether a package is listed in a tag and not blocked.
///
/// # Errors
/// `GenericError` for a package filter that is no pattern.
pub async fn is_listed(call: &mut Call, tag_id: i64, package_id: i64) -> Result<bool, Fault> {
    let question = Question {
        tag: Some(tag_id),
        package: Some(package_id),
        inherit: true,
        with_owners: false,
        ..Question::default()
    };
    Ok(read(call, &question).await?.pop().is_some_and(|entry| !entry.blocked))
}
