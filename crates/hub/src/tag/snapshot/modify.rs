//! Changes of a tag until it has what another one has.

use std::collections::HashMap;

use toji_db::group::Part;
use toji_value::{Fault, Map, Value, map};

use super::{Options, Tag, When, builds, caller, edit, list, member, need, packages};
use crate::build::Build;
use crate::group::{self, Group, edit as groups};
use crate::package::Listed;
use crate::tag::access;
use crate::tagged::{self, Filter, Latest};
use crate::user::User;
use crate::{Call, build, tagging};

/// Brings a tag to the state of another one; with `remove`, what the other does not have goes.
///
/// # Errors
/// `GenericError` when one of them is locked and not forced.
pub async fn modify(
    call: &mut Call,
    src: &Value,
    dst: &Value,
    options: Options,
    remove: bool,
) -> Result<(), Fault> {
    options.check()?;
    let src = need(call, src, options.event.into()).await?;
    let mut dst = need(call, dst, When::Now).await?;
    if (src.config.locked || dst.config.locked) && !options.force {
        let text = "Source or destination tag is locked, use force to copy";
        return Err(Fault::generic(text));
    }
    if options.config {
        edit::edit(call, &Value::Int(dst.id), &differences(call, &src, &dst)).await?;
        call.tx.reset_event();
        dst = need(call, &Value::Int(dst.id), When::Now).await?;
    }
    if options.packages {
        let (have, want) =
            (packages(call, dst.id, None).await?, packages(call, src.id, options.event).await?);
        let lacks = |all: &[Listed], entry: &Listed| {
            all.iter().all(|other| other.package_id != entry.package_id)
        };
        for entry in have.iter().filter(|entry| lacks(&want, entry)) {
            list(call, &dst, entry, true, true).await?;
        }
        for entry in want.iter().filter(|entry| lacks(&have, entry)) {
            list(call, &dst, entry, entry.blocked, false).await?;
        }
    }
    if options.builds {
        align_builds(call, &src, &dst, options, remove).await?;
    }
    if options.groups {
        align_groups(call, &src, &dst, options, remove).await?;
    }
    Ok(())
}

/// The options that the tag is to get.
fn differences(call: &Call, src: &Tag, dst: &Tag) -> Map {
    let shown = src.to_map(false);
    let has = |key: &str| src.extra(key).is_some();
    let gone = dst.extra.iter().filter(|(key, value)| value.is_some() && !has(key));
    let gone: Vec<Value> = gone.map(|(key, _)| key.into()).collect();
    let mut edits = map! {
        "arches" => shown.value("arches"), "perm" => src.config.perm_id,
        "locked" => src.config.locked, "extra" => shown.value("extra"),
        "remove_extra" => Value::Array(gone),
    };
    // Where Maven is off, naming its options is an error even if they stay off.
    let maven = [src, dst].iter().any(|t| t.config.maven_support || t.config.maven_include_all);
    if maven || call.hub.config.enable_maven {
        edits.insert("maven_support", src.config.maven_support);
        edits.insert("maven_include_all", src.config.maven_include_all);
    }
    edits
}

/// Builds by package in the order in which packages are first seen; of each the oldest first.
type ByPackage = Vec<(i64, Vec<Build>)>;

async fn by_package(call: &mut Call, ids: Vec<i64>) -> Result<ByPackage, Fault> {
    let mut found: ByPackage = Vec::new();
    let mut places: HashMap<i64, usize> = HashMap::new();
    for id in ids {
        let entry = build::need(call, &Value::Int(id)).await?;
        let place = *places.entry(entry.package_id).or_insert(found.len());
        if place == found.len() {
            found.push((entry.package_id, Vec::new()));
        }
        if found[place].1.iter().all(|known| known.id != id) {
            found[place].1.push(entry);
        }
    }
    Ok(found)
}

async fn align_builds(
    call: &mut Call,
    src: &Tag,
    dst: &Tag,
    options: Options,
    remove: bool,
) -> Result<(), Fault> {
    let user = caller(call).await?;
    let wanted = builds(call, src, options).await?;
    let wanted = by_package(call, wanted).await?;
    let own = tagged::builds(call, dst.id, false, Latest::All, &Filter::default()).await?;
    let own: Vec<i64> =
        own.iter().rev().map(|row| row.get("build_id")).collect::<Result<_, _>>()?;
    let mut present = by_package(call, own).await?;
    if remove {
        for (package, builds) in &present {
            if wanted.iter().all(|(other, _)| other != package) {
                for gone in builds {
                    tagging::remove(call, dst, gone, &user, true, true).await?;
                    call.tx.reset_event();
                }
            }
        }
    }
    for (package, wanted) in wanted {
        let have = present.iter_mut().find(|(other, _)| *other == package);
        let have = have.map(|(_, builds)| std::mem::take(builds)).unwrap_or_default();
        align_package(call, dst, &user, wanted, have, (options.force, remove)).await?;
    }
    Ok(())
}

/// Tags and untags until the builds of one package are there in the wanted order.
async fn align_package(
    call: &mut Call,
    dst: &Tag,
    user: &User,
    wanted: Vec<Build>,
    mut have: Vec<Build>,
    (force, remove): (bool, bool),
) -> Result<(), Fault> {
    let is_extra = |one: &Build| wanted.iter().all(|other| other.id != one.id);
    let extra: Vec<Build> = have.iter().filter(|one| is_extra(one)).cloned().collect();
    let mut order = wanted.clone();
    if remove {
        for gone in &extra {
            untag(call, dst, user, gone, force).await?;
        }
        have.retain(|one| !is_extra(one));
    } else {
        // What the source does not have is kept as the oldest.
        order = extra.into_iter().chain(order).collect();
    }
    for next in order {
        match have.iter().position(|one| one.id == next.id) {
            Some(place) => {
                // What stands before it is out of order: it is tagged again when its turn comes.
                for early in have.drain(..=place).take(place) {
                    untag(call, dst, user, &early, force).await?;
                }
            }
            None => {
                for early in have.drain(..) {
                    untag(call, dst, user, &early, force).await?;
                }
                tagging::add(call, dst, &next, user, force).await?;
                call.tx.reset_event();
            }
        }
    }
    Ok(())
}

async fn untag(
    call: &mut Call,
    dst: &Tag,
    user: &User,
    gone: &Build,
    force: bool,
) -> Result<(), Fault> {
    access::demand(call, dst, user.id, force).await?;
    tagging::remove(call, dst, gone, user, true, force).await?;
    call.tx.reset_event();
    Ok(())
}

fn name(group: &Group) -> String {
    group.shown.value("name").display()
}

async fn align_groups(
    call: &mut Call,
    src: &Tag,
    dst: &Tag,
    options: Options,
    remove: bool,
) -> Result<(), Fault> {
    let parts = group::Parts { packages: true, requirements: true };
    let wanted = group::read(call, src.id, options.event, true, parts).await?;
    let have = group::read(call, dst.id, None, true, parts).await?;
    let (to, force) = (Value::Int(dst.id), options.force);
    for group in &wanted {
        let known = have.iter().find(|other| other.id == group.id);
        if known.is_none_or(|known| known.blocked != group.blocked) {
            let info = Value::from(name(group));
            groups::add(call, &to, &info, group.blocked, force, Map::new()).await?;
            call.tx.reset_event();
        }
    }
    if remove {
        for group in have.iter().filter(|g| wanted.iter().all(|other| other.id != g.id)) {
            let info = Value::from(name(group));
            if group.shown.int("tag_id") == Some(dst.id) {
                groups::remove(call, &to, &info, force).await?;
            } else {
                groups::add(call, &to, &info, true, force, Map::new()).await?;
            }
            call.tx.reset_event();
        }
    }
    // Members of groups that are new here come with the next call, as with a Koji hub.
    for group in &wanted {
        if let Some(known) = have.iter().find(|other| other.id == group.id) {
            align_members(call, dst, group, known, (force, remove)).await?;
        }
    }
    Ok(())
}

async fn align_members(
    call: &mut Call,
    dst: &Tag,
    wanted: &Group,
    have: &Group,
    (force, remove): (bool, bool),
) -> Result<(), Fault> {
    let group = name(wanted);
    let (to, info) = (Value::Int(dst.id), Value::from(&group));
    let find = |all: &Group, package: &str| {
        all.packages.iter().find(|(name, _)| name == package).map(|(_, shown)| shown.clone())
    };
    for (package, _) in &wanted.packages {
        if find(have, package).is_none() {
            groups::add_package(call, member(dst, &group, false, force), package).await?;
            call.tx.reset_event();
        }
    }
    for (id, shown) in &wanted.requirements {
        if have.requirements.iter().all(|(other, _)| other != id) {
            let new = member(dst, &group, shown.truthy("blocked"), force);
            groups::add_requirement(call, new, shown.value("name")).await?;
            call.tx.reset_event();
        }
    }
    if !remove {
        return Ok(());
    }
    for (package, shown) in have.packages.iter().filter(|(_, shown)| !shown.truthy("blocked")) {
        match find(wanted, package) {
            Some(other) if other.truthy("blocked") => {
                groups::add_package(call, member(dst, &group, true, force), package).await?;
            }
            None if shown.int("tag_id") == Some(dst.id) => {
                let part = Part::Package(package.clone());
                groups::remove_member(call, &to, &info, part).await?;
            }
            _ => continue,
        }
        call.tx.reset_event();
    }
    for (id, shown) in have.requirements.iter().filter(|(_, shown)| !shown.truthy("blocked")) {
        if wanted.requirements.iter().all(|(other, _)| other != id) {
            // A Koji hub blocks requirements, its own and inherited ones alike.
            let block = member(dst, &group, true, force);
            groups::add_requirement(call, block, shown.value("name")).await?;
            call.tx.reset_event();
        }
    }
    Ok(())
}
