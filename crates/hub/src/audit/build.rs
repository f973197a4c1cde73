//! One build: what its rows say against what is there, by names and sizes.

use std::path::Path;

use toji_store::{Item, Kind as ItemKind};
use toji_types::BuildState;

use super::expect::{Expected, Gathered};
use super::finding::{Finding, Kind, What};
use super::places::is_young;

/// Everything that names and sizes tell of a build; a wrong size may turn out to be another file's content.
pub(super) fn compare(one: &Gathered) -> Vec<Finding> {
    let place = &one.place;
    if one.lost {
        return Vec::new();
    }
    let mut all = match place.state {
        // Its task is at work, or the journal stands for it.
        BuildState::Building => Vec::new(),
        BuildState::Complete => complete(one),
        BuildState::Deleted => gone(one, Kind::DeletedBuild),
        BuildState::Failed | BuildState::Canceled => gone(one, Kind::UnfinishedBuild),
    };
    all.iter_mut().for_each(|finding| finding.build = Some(place.id));
    all
}

/// What is there of a build that should have nothing.
fn gone(one: &Gathered, kind: Kind) -> Vec<Finding> {
    let place = &one.place;
    let mut all = Vec::new();
    let mut add = |item: &Item| {
        let files = one.found.len();
        let detail = match &item.kind {
            ItemKind::Link(target) => format!("a link to {}", target.display()),
            _ => format!("{files} files"),
        };
        all.push(Finding::new(kind, What::Build, &item.path, detail));
    };
    one.dir.iter().for_each(&mut add);
    if place.dir != place.default_dir {
        one.default_dir.iter().filter(|item| matches!(item.kind, ItemKind::Link(_))).for_each(add);
    }
    all
}

fn complete(one: &Gathered) -> Vec<Finding> {
    let mut all: Vec<Finding> = links(one).into_iter().collect();
    for (path, expected) in &one.expected {
        match one.found.get(path) {
            None if expected.optional => {}
            None => {
                let known = size_of(one, path).map(|size| format!("{size} bytes"));
                all.push(Finding::new(
                    Kind::Missing,
                    expected.what,
                    path,
                    known.unwrap_or_default(),
                ));
            }
            Some(item) => all.extend(size(one, item, expected.what)),
        }
    }
    for (path, item) in &one.found {
        if one.expected.contains_key(path) {
            continue;
        }
        match unexpected(one, item) {
            Ok(what) => all.extend(size(one, item, what)),
            Err(None) => {}
            Err(Some(kind)) => {
                let detail = match &item.kind {
                    ItemKind::Link(target) => format!("a link to {}", target.display()),
                    _ => format!("{} bytes", item.size),
                };
                all.push(Finding::new(kind, What::File, path, detail));
            }
        }
    }
    all
}

/// The size that a file should have, if it is known.
pub(super) fn size_of(one: &Gathered, path: &str) -> Option<u64> {
    let record = one.records.get(path).map(|record| record.size);
    record.or_else(|| one.expected.get(path).and_then(|expected: &Expected| expected.size))
}

fn size(one: &Gathered, item: &Item, what: What) -> Option<Finding> {
    if item.kind != ItemKind::File {
        let detail = match &item.kind {
            ItemKind::Link(target) => format!("a link to {}", target.display()),
            _ => "neither file nor directory".to_owned(),
        };
        return Some(Finding::new(Kind::NotAFile, what, &item.path, detail));
    }
    let wanted = size_of(one, &item.path)?;
    let kind = match item.size {
        found if found < wanted => Kind::Truncated,
        found if found > wanted => Kind::Longer,
        _ => return None,
    };
    let detail = format!("{} bytes instead of {wanted}", item.size);
    Some(Finding::new(kind, what, &item.path, detail))
}

/// What a file without a row of its own is, or how to call it; nothing if it may still be written.
pub(super) fn unexpected(one: &Gathered, item: &Item) -> Result<What, Option<Kind>> {
    let rel = item.path.strip_prefix(&format!("{}/", one.place.dir)).unwrap_or(&item.path);
    let recorded = one.records.contains_key(&item.path) && item.kind == ItemKind::File;
    if !recorded && is_leftover(item.name()) {
        return Err((!is_young(one.now, item)).then_some(Kind::Leftover));
    }
    if rel.starts_with("data/logs/") {
        return Ok(What::Log);
    }
    if recorded {
        return Ok(What::File);
    }
    let beside =
        |end: &str| item.path.strip_suffix(end).is_some_and(|base| one.expected.contains_key(base));
    let maven = rel.starts_with("maven/")
        && (beside(".md5") || beside(".sha1") || item.name().starts_with("maven-metadata.xml"));
    // metadata.json is what a content generator has told; a deleted signature header is kept as a backup.
    let backup = rel.starts_with("data/sigcache/") && rel.ends_with(".save");
    match maven || rel == "metadata.json" || backup {
        true => Ok(What::File),
        false => Err(Some(Kind::Stray)),
    }
}

/// Whether a name is one that interrupted writes leave.
pub(super) fn is_leftover(name: &str) -> bool {
    let Some(hidden) = name.strip_prefix('.') else { return false };
    [".new", ".link", ".packing", ".moving"].iter().any(|end| hidden.ends_with(end))
        || hidden.len() == 9 && hidden.starts_with("tmp")
}

/// The link that leads from the default volume to a build on another one.
fn links(one: &Gathered) -> Option<Finding> {
    let place = &one.place;
    if place.dir == place.default_dir || one.expected.is_empty() {
        return match &one.dir {
            // What lies there is not on the volume that the row names.
            Some(Item { kind: ItemKind::Link(target), path, .. }) if !one.expected.is_empty() => {
                let detail = format!("a link to {}", target.display());
                Some(Finding::new(Kind::WrongLink, What::Build, path, detail))
            }
            _ => None,
        };
    }
    let wanted = default_target(one);
    let path = &place.default_dir;
    match &one.default_dir {
        None => {
            let detail = format!("should be a link to {wanted}");
            Some(Finding::new(Kind::MissingLink, What::Build, path, detail))
        }
        Some(Item { kind: ItemKind::Link(target), .. })
            if target.as_os_str() == wanted.as_str() =>
        {
            None
        }
        Some(Item { kind: ItemKind::Link(target), .. }) => {
            let detail = format!("a link to {} instead of {wanted}", target.display());
            Some(Finding::new(Kind::WrongLink, What::Build, path, detail))
        }
        Some(_) => {
            let detail = format!("files here, and the build is on the volume {}", place.volume);
            Some(Finding::new(Kind::WrongVolume, What::Build, path, detail))
        }
    }
}

/// What the link on the default volume says.
pub(super) fn default_target(one: &Gathered) -> String {
    let from = Path::new(&one.place.default_dir).parent().unwrap_or(Path::new(""));
    toji_store::relative_link(from, Path::new(&one.place.dir)).to_string_lossy().into_owned()
}
