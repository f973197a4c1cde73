//! Which packages of several repositories are in the merged one: mergerepo_c's rules, in the order of the repositories.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use toji_repodata::Brief;
use toji_types::{Nevra, evr};

use super::{Mode, Options};
use crate::store::Store;

/// A package that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// Where its metadata are: a repository, or after them the one for noarch.
    pub(super) store: usize,
    pub(super) number: usize,
    /// The repository that it was found in.
    pub(super) input: usize,
    /// Where the package is.
    pub(super) base: Option<String>,
    /// False for another copy of a package that is there.
    pub(super) origin: bool,
}

/// The packages of all repositories that are taken, by name, then in the order of the repositories.
pub(super) fn choose(stores: &[Store], options: &Options) -> Vec<Chosen> {
    let inputs = options.inputs.len();
    let noarch: HashMap<&str, usize> = stores
        .get(inputs)
        .map(|store| store.briefs().map(|brief| brief.href.as_str()).zip(0..).collect())
        .unwrap_or_default();
    // who asks for origins is Koji: the first repository is its own, and the merged one lies beside it
    let koji = options.origins || matches!(options.mode, Mode::Koji | Mode::Simple);
    let builds =
        if options.mode == Mode::Koji { builds(&stores[..inputs]) } else { HashMap::new() };
    let mut seen = HashSet::new();
    let mut merged: HashMap<(String, String), Vec<Chosen>> = HashMap::new();
    for (input, store) in stores[..inputs].iter().enumerate() {
        for own in 0..store.len() {
            let (mut place, mut number) = (input, own);
            if store.brief(own).arch == "noarch"
                && let Some(other) = noarch.get(store.brief(own).href.as_str())
            {
                (place, number) = (inputs, *other);
            }
            let brief = stores[place].brief(number);
            let wanted = options.arches.is_empty() || options.arches.contains(&brief.arch);
            if !wanted || (koji && !allowed(brief, options, &builds, &mut seen)) {
                continue;
            }
            let plain = options.omit_base || (koji && input == 0);
            let taken = options.noarch.as_ref().filter(|_| place == inputs);
            let url = taken.unwrap_or(&options.inputs[input]).url.trim_end_matches('/');
            let told = taken.is_some() || !plain;
            let base = brief.base.clone().or_else(|| told.then(|| url.to_owned()));
            let new = Chosen { store: place, number, input, base, origin: true };
            let key = (brief.name.clone(), brief.arch.clone());
            add(stores, merged.entry(key).or_default(), new, options.mode);
        }
    }
    let mut chosen: Vec<Chosen> = merged.into_values().flatten().collect();
    let key = |c: &Chosen| (stores[c.store].brief(c.number).name.clone(), c.input, c.number);
    chosen.sort_by_cached_key(key);
    chosen
}

/// Adds a package to those of its name and arch, if it shall be with them.
fn add(stores: &[Store], same: &mut Vec<Chosen>, mut new: Chosen, mode: Mode) {
    let brief = |chosen: &Chosen| stores[chosen.store].brief(chosen.number);
    let Some(first) = same.first() else {
        same.push(new);
        return;
    };
    let is_copy = |other: &Chosen| compare(brief(&new), brief(other)).is_eq();
    let replaces = match mode {
        Mode::First => return,
        Mode::NewestFile => brief(&new).mtime > brief(first).mtime,
        Mode::HighestVersion => compare(brief(&new), brief(first)).is_gt(),
        Mode::All | Mode::Koji => {
            if !same.iter().any(is_copy) {
                same.push(new);
            }
            return;
        }
        Mode::Simple => {
            new.origin = !same.iter().any(is_copy);
            same.push(new);
            return;
        }
    };
    if replaces {
        *same = vec![new];
    }
}

fn compare(a: &Brief, b: &Brief) -> Ordering {
    let key = |brief: &Brief| brief.epoch.parse::<i64>().ok();
    evr::compare((key(a), &a.version, &a.release), (key(b), &b.version, &b.release))
}

/// The source package of each name that packages may come from.
fn builds(stores: &[Store]) -> HashMap<String, (usize, Nevra)> {
    let mut builds: HashMap<String, (usize, Nevra)> = HashMap::new();
    for (input, store) in stores.iter().enumerate() {
        for brief in store.briefs() {
            let Some(source) = source_of(brief) else { continue };
            let better = match builds.get(&source.nvr.name) {
                None => true,
                Some((first, _)) if *first != input => false,
                Some((_, known)) => newer(&source, known),
            };
            if better {
                builds.insert(source.nvr.name.clone(), (input, source));
            }
        }
    }
    builds
}

fn newer(a: &Nevra, b: &Nevra) -> bool {
    let key = |source: &Nevra| (source.nvr.version.clone(), source.nvr.release.clone());
    let (a, b) = (key(a), key(b));
    evr::compare((None, &a.0, &a.1), (None, &b.0, &b.1)).is_gt()
}

fn source_of(brief: &Brief) -> Option<Nevra> {
    let name = brief.sourcerpm.strip_suffix(".rpm")?;
    Nevra::parse(name).ok()
}

/// Koji's rules: blocked source packages, one source package of a name, each package once.
fn allowed(
    brief: &Brief,
    options: &Options,
    builds: &HashMap<String, (usize, Nevra)>,
    seen: &mut HashSet<String>,
) -> bool {
    if !brief.sourcerpm.is_empty() {
        let Some(source) = source_of(brief) else { return false };
        if options.blocked.contains(&source.nvr.name) {
            return false;
        }
        let chosen = builds.get(&source.nvr.name);
        if options.mode == Mode::Koji && chosen.is_none_or(|(_, known)| *known != source) {
            return false;
        }
    }
    let nvra = format!("{}-{}-{}.{}", brief.name, brief.version, brief.release, brief.arch);
    options.mode != Mode::Koji || seen.insert(nvra)
}
