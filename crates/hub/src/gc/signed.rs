//! Signed copies go that nobody needs: what `koji prune-signed-copies` takes.
//!
//! The signatures stay, and with them every copy can be written anew (`writeSignedRPM`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use toji_db::{Row, gc as db};
use toji_policy::glob_match_any;
use toji_store::Kind;
use toji_types::path::{BuildRef, RpmRef};
use toji_value::Fault;

use super::facts::ago;
use super::options::Signed;
use super::{BATCH, Run, Verdict};
use crate::files;

/// A build's way through one tag, or another build's of its package.
#[derive(Clone, Debug)]
struct Stay {
    build: i64,
    /// Event and time of the tagging.
    from: (i64, f64),
    /// Event and time of the untagging.
    to: Option<(i64, f64)>,
}

/// Since when a build is not the latest of its package in a tag.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Latest,
    Until(f64),
}

/// The stays in a tag, by its name.
type Tags = BTreeMap<String, Vec<Stay>>;

/// Looks at all complete builds that have signatures.
pub(super) async fn run(run: &Run<'_>) -> Result<usize, Fault> {
    let rules = run.options.signed.clone().unwrap_or_default();
    let (mut after, mut taken) = (0, 0);
    while !run.watch.stopped() {
        let mut call = run.reader();
        let builds = db::signed(&mut call.tx, after, BATCH / 4).await?;
        let Some(last) = builds.last() else { break };
        after = last.get("id")?;
        let ids: Vec<i64> = builds.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
        let stays = stays(db::stays(&mut call.tx, &ids).await?)?;
        let copies = db::signatures(&mut call.tx, &ids).await?;
        drop(call);
        for build in &builds {
            let name: String = build.get("name")?;
            if !run.options.takes_package(&name) || run.watch.stopped() {
                continue;
            }
            let id: i64 = build.get("id")?;
            let shown = shown(build)?;
            let none = Tags::new();
            let tags = stays.get(&build.get("package_id")?).unwrap_or(&none);
            match verdict(run, &rules, id, tags) {
                Err(reason) => run.tell(Verdict::Keep, &shown, None, reason),
                Ok(reason) => taken += prune(run, &rules, build, &copies, &reason).await?,
            }
        }
    }
    Ok(taken)
}

fn shown(build: &Row) -> Result<String, Fault> {
    let part = |name| build.get::<String>(name);
    Ok(format!("{}-{}-{}", part("name")?, part("version")?, part("release")?))
}

/// The stays by package and tag, in the order of their taggings.
fn stays(rows: Vec<Row>) -> Result<BTreeMap<i64, Tags>, Fault> {
    let mut all: BTreeMap<i64, Tags> = BTreeMap::new();
    for row in rows {
        let to: Option<i64> = row.get("revoke_event")?;
        let ended: Option<f64> = row.get("ended")?;
        let stay = Stay {
            build: row.get("build_id")?,
            from: (row.get("create_event")?, row.get("began")?),
            to: to.zip(ended),
        };
        let tags = all.entry(row.get("package_id")?).or_default();
        tags.entry(row.get("tag")?).or_default().push(stay);
    }
    Ok(all)
}

/// Why the signed copies of a build may go, or must stay.
fn verdict(run: &Run<'_>, rules: &Signed, build: i64, tags: &Tags) -> Result<String, String> {
    let now = run.hub.now();
    let cutoff = now - rules.delay;
    let mut last: Option<f64> = None;
    for (tag, stays) in tags {
        let Some(own) = stays.iter().rev().find(|stay| stay.build == build) else { continue };
        if *tag == run.options.trashcan || glob_match_any(tag, &rules.ignore_tags) {
            continue;
        }
        let Standing::Until(until) = standing(build, stays) else {
            return Err(format!("latest in {tag}"));
        };
        if until > cutoff {
            return Err(format!("latest in {tag} until {}", ago(now - until)));
        }
        if glob_match_any(tag, &rules.protect_tags) && own.to.is_none_or(|(_, end)| end > cutoff) {
            return Err(format!("in the protected tag {tag}"));
        }
        last = Some(last.map_or(until, |other| other.max(until)));
    }
    Ok(last.map_or_else(
        || "never in a tag".to_owned(),
        |until| format!("not latest in any tag since {}", ago(now - until)),
    ))
}

/// Whether a build is the latest of its package in a tag, from its last tagging on.
fn standing(build: i64, stays: &[Stay]) -> Standing {
    let Some(own) = stays.iter().rev().find(|stay| stay.build == build) else {
        return Standing::Until(0.0);
    };
    // What happened since then: at one event, untaggings come first.
    let mut events = Vec::new();
    for stay in stays {
        if stay.from.0 > own.from.0 {
            events.push((stay.from.0, 1, stay.from.1, stay.build));
        }
        if let Some((event, time)) = stay.to.filter(|(event, _)| *event > own.from.0) {
            events.push((event, 0, time, stay.build));
        }
    }
    events.sort_by_key(|(event, kind, _, _)| (*event, *kind));
    let mut above: BTreeSet<i64> = BTreeSet::new();
    let mut replaced = None;
    for (_, kind, time, other) in events {
        match (kind, other == build) {
            (_, true) => return Standing::Until(replaced.map_or(time, |at: f64| at.min(time))),
            (1, false) => {
                above.insert(other);
                replaced = replaced.or(Some(time));
            }
            _ => {
                above.remove(&other);
                if above.is_empty() {
                    replaced = None;
                }
            }
        }
    }
    replaced.map_or(Standing::Latest, Standing::Until)
}

/// Removes the old signed copies of a build; gives how many.
async fn prune(
    run: &Run<'_>,
    rules: &Signed,
    build: &Row,
    copies: &[Row],
    reason: &str,
) -> Result<usize, Fault> {
    let id: i64 = build.get("id")?;
    let (name, version): (String, String) = (build.get("name")?, build.get("version")?);
    let (release, volume): (String, String) = (build.get("release")?, build.get("volume")?);
    let at = BuildRef { volume: Some(&volume), name: &name, version: &version, release: &release };
    let paths = &run.hub.paths;
    let mut keys: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for copy in copies {
        let key: String = copy.get("sigkey")?;
        let wanted = rules.keys.is_empty() || run.options.key_fits(&key, &rules.keys);
        if copy.get::<i64>("build_id")? != id || !wanted {
            continue;
        }
        let part = |name| copy.get::<String>(name);
        let (name, version, release, arch) =
            (part("name")?, part("version")?, part("release")?, part("arch")?);
        let rpm = RpmRef { name: &name, version: &version, release: &release, arch: &arch };
        let file = format!("{}/{}", paths.build(at), paths.signed(rpm, &key));
        keys.entry(key).or_default().push(file.into());
    }
    let (dry, stop) = (run.dry, PathBuf::from(format!("{}/data", paths.build(at))));
    let before = UNIX_EPOCH + Duration::from_secs_f64((run.hub.now() - rules.delay).max(0.0));
    let mut all = 0;
    for (key, found) in keys {
        let stop = stop.clone();
        let store = run.hub.store.clone();
        let gone = files::blocking(move || {
            let mut gone = 0;
            for file in found {
                let Some(item) = store.item(&file)? else { continue };
                if item.kind != Kind::File || item.modified.is_none_or(|time| time > before) {
                    continue;
                }
                if !dry {
                    store.remove_file(&file, &stop)?;
                }
                gone += 1;
            }
            Ok(gone)
        });
        let gone: usize = gone.await?;
        if gone > 0 {
            let what = format!("{gone} copies of {} signed with {key}", shown(build)?);
            run.tell(Verdict::Delete, &what, None, reason);
        }
        all += gone;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay(build: i64, from: i64, to: Option<i64>) -> Stay {
        let at = |event: i64| (event, event as f64);
        Stay { build, from: at(from), to: to.map(at) }
    }

    #[test]
    fn a_build_is_latest_until_it_is_replaced_or_leaves() {
        for (stays, wanted) in [
            (vec![stay(1, 1, None)], Standing::Latest),
            (vec![stay(1, 1, Some(5))], Standing::Until(5.0)),
            (vec![stay(1, 1, None), stay(2, 3, None)], Standing::Until(3.0)),
            // what replaced it has left: it is latest again
            (vec![stay(1, 1, None), stay(2, 3, Some(4))], Standing::Latest),
            (vec![stay(1, 1, Some(9)), stay(2, 3, Some(4))], Standing::Until(9.0)),
            (vec![stay(1, 1, Some(9)), stay(2, 3, None)], Standing::Until(3.0)),
            (vec![stay(1, 1, None), stay(2, 3, Some(6)), stay(3, 5, None)], Standing::Until(3.0)),
            // only its last stay counts
            (vec![stay(1, 1, Some(2)), stay(2, 3, None), stay(1, 4, None)], Standing::Latest),
            (vec![stay(2, 3, None)], Standing::Until(0.0)),
        ] {
            assert_eq!(standing(1, &stays), wanted, "{stays:?}");
        }
    }
}
