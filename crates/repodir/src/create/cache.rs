//! Metadata of packages that are there already: in older repositories, by place or by name, time and size.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use toji_repodata::{Brief, Compression, Sum};

use super::Options;
use crate::output::Staging;
use crate::store::Store;
use crate::{Result, Source, Watch};

/// Packages of older repositories.
#[derive(Default)]
pub(super) struct Cache {
    stores: Vec<Store>,
    /// By name of the file.
    names: HashMap<String, Vec<(usize, usize)>>,
    skip_stat: bool,
    sum: Sum,
}

impl Cache {
    /// Reads what an update may take metadata from; repositories that cannot be read are told of and left out.
    pub(super) fn read(staging: &Staging, options: &Options, watch: &dyn Watch) -> Result<Self> {
        let mut cache = Self { skip_stat: options.skip_stat, sum: options.sum, ..Self::default() };
        if !options.update {
            return Ok(cache);
        }
        let mut stores: Vec<Result<Store>> = Vec::new();
        stores.extend(staging.old().map(|source| Store::read(source, staging.room())));
        for dir in &options.update_from {
            let read = |source| Store::read_foreign(&source, staging.room());
            stores.push(Source::open(dir).and_then(read));
        }
        for store in stores {
            match store {
                Ok(store) => cache.add(store),
                Err(error) => watch.warn(&format!("older metadata are of no use: {error}")),
            }
        }
        Ok(cache)
    }

    fn add(&mut self, store: Store) {
        let place = self.stores.len();
        for (number, brief) in store.briefs().enumerate() {
            let name = name_of(&brief.href).to_owned();
            self.names.entry(name).or_default().push((place, number));
        }
        self.stores.push(store);
    }

    /// The metadata of a package that has not changed.
    pub(super) fn find(&self, href: &str, meta: &Metadata) -> Option<(&Store, usize)> {
        let known = self.names.get(name_of(href))?;
        let same = |brief: &Brief| {
            brief.sum == self.sum.name()
                && (self.skip_stat || (brief.mtime == meta.mtime() && brief.size == meta.len()))
        };
        let mut fit = known.iter().filter_map(|(store, number)| {
            let store = self.stores.get(*store)?;
            same(store.brief(*number)).then_some((store, *number))
        });
        let first = fit.next()?;
        let here = |found: &(&Store, usize)| clean(&found.0.brief(found.1).href) == clean(href);
        if here(&first) {
            return Some(first);
        }
        let others: Vec<_> = fit.collect();
        if let Some(found) = others.iter().find(|found| here(found)) {
            return Some(*found);
        }
        // elsewhere: only what is beyond doubt
        let checksum = |found: &(&Store, usize)| found.0.brief(found.1).checksum.clone();
        let one = checksum(&first);
        (!self.skip_stat && others.iter().all(|found| checksum(found) == one)).then_some(first)
    }

    /// A packed chunk of an older file.
    pub(super) fn member(
        &self,
        part: usize,
        compression: Compression,
        open: &[u8],
    ) -> Option<Vec<u8>> {
        self.stores.iter().find_map(|store| store.member(part, compression, open))
    }
}

fn name_of(href: &str) -> &str {
    href.rsplit('/').next().unwrap_or_default()
}

fn clean(href: &str) -> &str {
    href.trim_start_matches("./")
}
