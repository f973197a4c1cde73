//! What a tag holds at an event, with inheritance, blocks and the latest builds.

use std::collections::HashMap;

use toji_db::Row;
pub use toji_db::tagged::{Filter, RpmFilter};
use toji_value::{Fault, Value};

use crate::Call;
use crate::package::{self, Question};
use crate::tag::inherit;

/// How many builds of a package count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latest {
    /// All.
    All,
    /// The newest ones, this many.
    Newest(usize),
}

impl Latest {
    /// Reads a caller's value: a truth value, or a number.
    pub fn of(value: &Value) -> Latest {
        match value {
            Value::Int(n) if *n > 0 => Latest::Newest(usize::try_from(*n).unwrap_or(usize::MAX)),
            Value::Int(_) => Latest::All,
            other if other.truthy() => Latest::Newest(1),
            _ => Latest::All,
        }
    }
}

/// The builds of a tag: those of the tag first, then in the order of inheritance; within a tag the
/// newest tagging first. Builds of packages that are blocked or not listed are left out.
///
/// # Errors
/// `GenericError` for a build type that does not exist.
pub async fn builds(
    call: &mut Call,
    tag_id: i64,
    inherits: bool,
    latest: Latest,
    filter: &Filter,
) -> Result<Vec<Row>, Fault> {
    if let Some(name) = &filter.btype
        && !matches!(name.as_str(), "maven" | "win" | "image")
        && !toji_db::tagged::has_btype(&mut call.tx, name).await?
    {
        return Err(Fault::generic(format!("unsupported build type: {name}")));
    }
    let mut order = vec![tag_id];
    if inherits {
        let links = inherit::full(call, tag_id, filter.event).await?;
        order.extend(links.into_iter().map(|link| link.parent_id));
    }
    // The package list is inherited even where the builds are not.
    let question = Question {
        tag: Some(tag_id),
        event: filter.event,
        inherit: true,
        with_owners: false,
        ..Question::default()
    };
    let listed = package::read(call, &question).await?;
    let allowed: HashMap<i64, bool> =
        listed.into_iter().map(|entry| (entry.package_id, !entry.blocked)).collect();
    let rows = toji_db::tagged::builds(&mut call.tx, &order, filter).await?;
    let mut by_tag: HashMap<i64, Vec<Row>> = HashMap::new();
    for row in rows {
        by_tag.entry(row.get("tag_id")?).or_default().push(row);
    }
    let mut taken: HashMap<i64, usize> = HashMap::new();
    let mut builds = Vec::new();
    for tag in order {
        // A tag that is reached on several ways counts where it is reached first.
        for row in by_tag.remove(&tag).unwrap_or_default() {
            let package = row.get::<i64>("package_id")?;
            if !allowed.get(&package).copied().unwrap_or(false) {
                continue;
            }
            let count = taken.entry(package).or_default();
            if let Latest::Newest(limit) = latest
                && *count >= limit
            {
                continue;
            }
            *count += 1;
            builds.push(row);
        }
    }
    Ok(builds)
}

/// The RPMs of builds, in the order of the builds' tags.
///
/// # Errors
/// When the database fails.
pub async fn rpms(call: &mut Call, builds: &[Row], filter: &RpmFilter) -> Result<Vec<Row>, Fault> {
    let (ids, tag_of) = numbered(builds)?;
    let rows = toji_db::tagged::rpms(&mut call.tx, &ids, filter).await?;
    Ok(in_order(rows, &tag_of))
}

/// The numbers of builds, `size` at a time, in the order of the builds' tags.
///
/// # Errors
/// When the rows are not those of [`builds`].
pub fn batches(builds: &[Row], size: usize) -> Result<Vec<Vec<i64>>, Fault> {
    let (mut ids, tag_of) = numbered(builds)?;
    ids.sort_by_key(|id| tag_of.get(id).copied());
    Ok(ids.chunks(size.max(1)).map(<[i64]>::to_vec).collect())
}

/// The archives of builds, in the order of the builds' tags; `btype` is `maven` or `win`.
///
/// # Errors
/// When the database fails.
pub async fn archives(
    call: &mut Call,
    builds: &[Row],
    btype: Option<&str>,
    extra: bool,
) -> Result<Vec<Row>, Fault> {
    let (ids, tag_of) = numbered(builds)?;
    let rows = toji_db::archive::of_builds(&mut call.tx, &ids, btype, extra).await?;
    Ok(in_order(rows, &tag_of))
}

/// The numbers of builds, and the place of each one's tag.
fn numbered(builds: &[Row]) -> Result<(Vec<i64>, HashMap<i64, usize>), Fault> {
    let mut ids = Vec::with_capacity(builds.len());
    let mut tag_of: HashMap<i64, usize> = HashMap::new();
    let mut tags: Vec<i64> = Vec::new();
    for build in builds {
        let (id, tag) = (build.get::<i64>("build_id")?, build.get::<i64>("tag_id")?);
        if tags.last() != Some(&tag) {
            tags.push(tag);
        }
        // A build in several tags counts where it was listed last, as in a Koji hub's index.
        tag_of.insert(id, tags.len());
        ids.push(id);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok((ids, tag_of))
}

fn in_order(mut rows: Vec<Row>, tag_of: &HashMap<i64, usize>) -> Vec<Row> {
    rows.sort_by_key(|row| row.value("build_id").as_int().and_then(|id| tag_of.get(&id)).copied());
    rows
}
