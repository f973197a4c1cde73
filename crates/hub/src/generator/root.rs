//! The buildroots of content generators.

use toji_db::buildroot as db;
use toji_value::{Fault, Map, Value};

use super::component::{Components, Matched};
use super::metadata::{Metadata, mappings, need};
use crate::Call;
use crate::lookup::Entry;

/// A buildroot that metadata describe.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// Its number in the metadata, which may be anything.
    pub(super) fake_id: Value,
    new: db::External,
    used: Matched,
    tools: Vec<(String, String)>,
}

/// Checks the buildroots of metadata: each is used, and none is there twice.
pub(super) fn read(
    metadata: &Metadata,
    cg: &Entry,
    components: &mut Components,
) -> Result<Vec<Root>, Fault> {
    let mut used = Vec::new();
    for output in metadata.list("output")? {
        used.push(need(output, "buildroot_id")?);
    }
    let mut roots: Vec<Root> = Vec::new();
    for data in metadata.list("buildroots")? {
        let id = need(data, "id")?;
        if !used.contains(&id) {
            return Err(Fault::generic(format!("Buildroot id not used in output: {}", id.repr())));
        }
        if roots.iter().any(|root| root.fake_id == *id) {
            let text = format!("Duplicate buildroot id in metadata: {}", id.repr());
            return Err(Fault::generic(text));
        }
        roots.push(one(data, id, cg, components)?);
    }
    Ok(roots)
}

fn one(data: &Map, id: &Value, cg: &Entry, components: &mut Components) -> Result<Root, Fault> {
    let part = |map: &str, key: &str| {
        let map = need(data, map)?.as_struct();
        let wrong = || Fault::unexpected("a part of a buildroot is no mapping");
        Ok::<_, Fault>(need(map.ok_or_else(wrong)?, key)?.display())
    };
    let new = db::External {
        cg_id: cg.id,
        cg_version: part("content_generator", "version")?,
        container_type: part("container", "type")?,
        container_arch: part("container", "arch")?,
        host_os: part("host", "os")?,
        host_arch: part("host", "arch")?,
        extra: data.get("extra").filter(|extra| !extra.is_nil()).map(crate::json::dumps),
    };
    let used = components.matches(&mappings(need(data, "components")?, "components")?)?;
    let mut tools = Vec::new();
    for tool in mappings(need(data, "tools")?, "tools")? {
        tools.push((need(tool, "name")?.display(), need(tool, "version")?.display()));
    }
    Ok(Root { fake_id: id.clone(), new, used, tools })
}

/// Enters a buildroot and returns its number.
pub(super) async fn enter(call: &mut Call, root: &Root) -> Result<i64, Fault> {
    let tx = &mut call.tx;
    let id = db::insert_of_generator(tx, &root.new).await?;
    if !root.used.rpms.is_empty() {
        db::install(tx, id, &root.used.rpms, false).await?;
    }
    if !root.used.archives.is_empty() {
        db::add_archives(tx, id, &root.used.archives, false).await?;
    }
    for (tool, version) in &root.tools {
        db::add_tool(tx, id, tool, version).await?;
    }
    Ok(id)
}
