//! Whose content a file has that is not what it was.

use std::collections::HashMap;

use toji_db::scan as db;
use toji_value::Fault;

use super::finding::Kind;
use super::judge::Bad;
use crate::Hub;

/// Finds out which of these files have the content of another one.
pub(super) async fn name(hub: &Hub, all: &mut [Bad]) -> Result<(), Fault> {
    let mut sums: Vec<String> = all.iter().flat_map(|bad| bad.sums.iter().cloned()).collect();
    sums.sort();
    sums.dedup();
    if sums.is_empty() {
        return Ok(());
    }
    let mut owners: HashMap<String, Vec<String>> = HashMap::new();
    let mut call = hub.reading();
    for row in db::with_sha256(&mut call.tx, &sums).await? {
        owners.entry(row.get("sum")?).or_default().push(row.get("path")?);
    }
    for row in db::with_content(&mut call.tx, &sums).await? {
        owners.entry(row.get("sum")?).or_default().push(row.get("name")?);
    }
    drop(call);
    for bad in all {
        let of = bad.sums.iter().flat_map(|sum| owners.get(sum).into_iter().flatten());
        let mut others = of.filter(|path| **path != bad.path);
        if let Some(other) = others.next() {
            bad.kind = Kind::Swapped;
            bad.detail = format!("it has the content of {other}");
        }
    }
    Ok(())
}
