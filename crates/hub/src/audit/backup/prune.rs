//! Points that nobody needs any more, and the contents that none of the others has.

use std::collections::HashSet;
use std::sync::Arc;

use toji_store::Error;
use toji_store::vault::Vault;
use toji_value::Fault;

use super::manifest::Reader;
use super::point::{self, Point, points};
use crate::files;

/// Which points stay. The newest always does.
#[derive(Clone, Debug, PartialEq)]
pub enum Keep {
    /// So many of the newest.
    Newest(usize),
    /// Those of a moment after this one, in seconds since 1970.
    Since(f64),
    /// All but these.
    AllBut(Vec<String>),
}

impl Keep {
    /// Those of the points, the oldest first, that go.
    fn gone(&self, all: &[Point]) -> Result<Vec<Point>, Error> {
        let (before, newest) = all.split_at(all.len().saturating_sub(1));
        let of =
            |gone: &dyn Fn(&Point) -> bool| before.iter().filter(|p| gone(p)).cloned().collect();
        Ok(match self {
            Keep::Newest(count) => all[..all.len().saturating_sub((*count).max(1))].to_vec(),
            Keep::Since(moment) => of(&|point| point.moment < *moment),
            Keep::AllBut(ids) => {
                let wrong =
                    |words: String| Err(Error::io(&words)(std::io::Error::other("not removed")));
                if let Some(id) = ids.iter().find(|id| all.iter().all(|point| point.id != **id)) {
                    return wrong(format!("there is no point {id}"));
                }
                if let Some(point) = newest.iter().find(|point| ids.contains(&point.id)) {
                    return wrong(format!("{} is the newest point", point.id));
                }
                of(&|point| ids.contains(&point.id))
            }
        })
    }
}

/// What was removed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The names of points.
    pub points: Vec<String>,
    /// Contents that nothing needs any more.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
}

/// Removes points, and contents that no other point has: also those that interrupted backups have left. With `dry_run` it only
/// tells which points.
///
/// # Errors
/// When a point cannot be read: then nothing is known of what it needs, and no content is removed.
pub async fn prune(vault: &Arc<Vault>, keep: Keep, dry_run: bool) -> Result<Pruned, Fault> {
    let vault = vault.clone();
    files::blocking(move || {
        let gone = keep.gone(&points(&vault)?)?;
        let points_gone: Vec<String> = gone.iter().map(|point| point.id.clone()).collect();
        if dry_run {
            return Ok(Pruned { points: points_gone, ..Pruned::default() });
        }
        point::clean(&vault)?;
        for one in &gone {
            point::remove(&vault, one)?;
        }
        let mut needed: HashSet<[u8; 32]> = HashSet::new();
        for left in points(&vault)? {
            for entry in Reader::open(&left.part(&vault, &left.manifest)?)? {
                let (entry, mut digest) = (entry?, [0; 32]);
                if entry.is_kept() && hex::decode_to_slice(&entry.sha256, &mut digest).is_ok() {
                    needed.insert(digest);
                }
            }
        }
        let (files, bytes) = vault.sweep(|digest| needed.contains(digest))?;
        Ok(Pruned { points: points_gone, files, bytes })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_always_stays() {
        let point = |id: &str, moment| Point { id: id.into(), moment, ..Point::default() };
        let all = [point("a", 1.0), point("b", 2.0), point("c", 3.0)];
        let gone = |keep: Keep| -> Vec<String> {
            keep.gone(&all).unwrap().into_iter().map(|point| point.id).collect()
        };
        assert_eq!(gone(Keep::Newest(2)), ["a"]);
        assert_eq!(gone(Keep::Newest(0)), ["a", "b"]);
        assert!(gone(Keep::Newest(5)).is_empty());
        assert_eq!(gone(Keep::Since(2.0)), ["a"]);
        assert_eq!(gone(Keep::Since(9.0)), ["a", "b"]);
        assert_eq!(gone(Keep::AllBut(vec!["b".into()])), ["b"]);
        assert!(Keep::AllBut(vec!["c".into()]).gone(&all).is_err());
        assert!(Keep::AllBut(vec!["x".into()]).gone(&all).is_err());
        assert!(Keep::Newest(1).gone(&[]).unwrap().is_empty());
    }
}
