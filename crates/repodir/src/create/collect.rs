//! Which files are the packages of a repository.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use crate::error::At as _;
use crate::store::Store;
use crate::{Error, Result, Source};

/// Which packages are taken.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Names and places with `*` and `?`; what fits one is left out.
    pub excludes: Vec<String>,
    /// A file with one place on each line: nothing else is taken.
    pub list: Option<PathBuf>,
    /// Places: nothing else is taken but these and the list.
    pub include: Vec<String>,
    /// The places in the old repository are taken, and nothing else.
    pub recycle: bool,
    /// Links to packages are left out.
    pub skip_links: bool,
}

/// A package file.
pub(super) struct Package {
    pub(super) path: PathBuf,
    /// Relative to the directory.
    pub(super) place: String,
}

/// What is in a directory.
#[derive(Default)]
pub(super) struct Found {
    /// By name of the file, then by place: the same every time.
    pub(super) packages: Vec<Package>,
    /// Module documents.
    pub(super) modules: Vec<PathBuf>,
}

/// Looks for packages below a directory, or where lists say they are.
pub(super) fn find(dir: &Path, choice: &Choice, old: Option<&Source>) -> Result<Found> {
    if !dir.is_dir() {
        return Err(Error::Request(format!("{} is not a directory", dir.display())));
    }
    let mut found = Found::default();
    let listed = choice.list.is_some() || !choice.include.is_empty() || choice.recycle;
    if listed {
        for place in places(choice, old)? {
            let path = dir.join(&place);
            if is_modules(&place) {
                found.modules.push(path);
            } else if allowed(&place, &choice.excludes) {
                found.packages.push(Package { path, place });
            }
        }
    } else {
        walk(dir, choice, &mut found)?;
    }
    let name = |place: &str| place.rsplit('/').next().unwrap_or_default().to_owned();
    found.packages.sort_by_cached_key(|package| (name(&package.place), package.place.clone()));
    found.packages.dedup_by(|a, b| a.place == b.place);
    found.modules.sort();
    Ok(found)
}

fn places(choice: &Choice, old: Option<&Source>) -> Result<Vec<String>> {
    let mut places = Vec::new();
    if let Some(list) = &choice.list {
        let file = BufReader::new(fs::File::open(list).at(list)?);
        for line in file.lines() {
            let line = line.at(list)?;
            let line = line.trim();
            if !line.is_empty() {
                places.push(line.trim_start_matches("./").to_owned());
            }
        }
    }
    places.extend(choice.include.iter().cloned());
    if let (true, Some(old)) = (choice.recycle, old) {
        let store = Store::read(old, &old.dir)?;
        places.extend(store.briefs().map(|brief| brief.href.clone()));
    }
    Ok(places)
}

fn walk(root: &Path, choice: &Choice, found: &mut Found) -> Result<()> {
    let mut pending = vec![(root.to_owned(), String::new())];
    while let Some((dir, prefix)) = pending.pop() {
        for entry in fs::read_dir(&dir).at(&dir)? {
            let entry = entry.at(&dir)?;
            let (path, name) = (entry.path(), entry.file_name());
            // a name that is not UTF-8 could not be written into metadata
            let Some(name) = name.to_str() else { continue };
            let place = format!("{prefix}{name}");
            if !allowed(name, &choice.excludes) {
                continue;
            }
            let kind = entry.file_type().at(&path)?;
            let (is_dir, is_link) = (path.is_dir(), kind.is_symlink());
            if is_dir {
                if !name.starts_with(".repodata") && !loops(&path, &dir, is_link) {
                    pending.push((path, place + "/"));
                }
            } else if is_link && choice.skip_links {
            } else if is_modules(name) {
                found.modules.push(path);
            } else if name.ends_with(".rpm") && allowed(&place, &choice.excludes) {
                found.packages.push(Package { path, place });
            }
        }
    }
    Ok(())
}

/// True for a link to a directory above it.
fn loops(path: &Path, dir: &Path, is_link: bool) -> bool {
    is_link
        && match (path.canonicalize(), dir.canonicalize()) {
            (Ok(path), Ok(dir)) => dir.starts_with(path),
            _ => true,
        }
}

fn is_modules(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    let plain = [".gz", ".xz", ".bz2", ".zst"].iter().find_map(|end| name.strip_suffix(end));
    let plain = plain.unwrap_or(name);
    plain == "modules.yaml"
        || plain.ends_with("-modules.yaml")
        || plain.ends_with(".modulemd.yaml")
        || plain.ends_with(".modulemd-defaults.yaml")
}

fn allowed(name: &str, excludes: &[String]) -> bool {
    !excludes.iter().any(|pattern| fits(pattern, name))
}

/// Whether a name fits a pattern in which `*` is any text and `?` any character; unlike in a shell, brackets
/// are themselves, as `createrepo_c --excludes` reads them.
fn fits(pattern: &str, name: &str) -> bool {
    toji_types::glob_match(name, &pattern.replace('[', "[[]"))
}

#[cfg(test)]
mod tests {
    use super::{fits, is_modules};

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*", ""),
            ("*.src.rpm", "a.src.rpm"),
            ("a?c", "abc"),
            ("a?c", "aéc"),
            ("*b*d", "abcbd"),
            ("Packages/*", "Packages/a/b.rpm"),
            ("", ""),
            ("a[b]", "a[b]"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.src.rpm", "a.rpm"),
            ("a?c", "ac"),
            ("", "a"),
            ("a", "ab"),
            ("*a", "ab"),
            ("[ab]", "a"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn module_documents() {
        assert!(is_modules("x/modules.yaml") && is_modules("a-modules.yaml.gz"));
        assert!(!is_modules("modules.yml") && !is_modules("a.rpm"));
    }
}
