//! The policy tests that need the database.

use toji_db::lookup::Names;
use toji_policy::{AsyncTestSource, Data, TestCall, glob_match_any};
use toji_value::{Fault, Value};

use super::build::{Build, build};
use super::values::value;
use crate::tag::{self, Tag, When, inherit};
use crate::user::{self, User};
use crate::{Call, sidetag, target, task};

/// Answers tests within a call.
pub(super) struct Source<'c> {
    pub(super) call: &'c mut Call,
}

impl AsyncTestSource for Source<'_> {
    type Error = Fault;

    async fn test(&mut self, test: &TestCall, data: &Data) -> Result<bool, Fault> {
        let call = &mut *self.call;
        if let Some(answer) = call.plugin_test(&test.name, &test.args, data).await? {
            return Ok(answer);
        }
        let any = |text: &str| glob_match_any(text, &test.args);
        match test.name.as_str() {
            "user" => Ok(user(call, data).await?.is_some_and(|user| any(&user.name))),
            "user_in_group" => {
                let Some(user) = user(call, data).await? else { return Ok(false) };
                let groups = user::group_names(call, user.id).await?;
                Ok(groups.iter().any(|group| any(group)))
            }
            "has_perm" => {
                let Some(user) = user(call, data).await? else { return Ok(false) };
                let perms = user::perms(call, user.id).await?;
                Ok(perms.iter().any(|(perm, _)| any(perm)))
            }
            "package" => Ok(any(&package(call, data).await?.1)),
            "is_new_package" => Ok(package(call, data).await?.0.is_none()),
            "version" | "release" => Ok(any(&part(call, data, &test.name).await?)),
            "volume" => Ok(volume(call, data).await?.is_some_and(|name| any(&name))),
            "tag" | "fromtag" => {
                Ok(tag_info(call, data, &test.name).await?.is_some_and(|tag| any(&tag.name)))
            }
            "hastag" => {
                let Some(build) = named_build(call, data).await? else { return Ok(false) };
                let tags = toji_db::policy::tags(&mut call.tx, build.id).await?;
                Ok(tags.iter().any(|tag| any(tag)))
            }
            "buildtag" => Ok(build_tags(call, data).await?.iter().any(|(tag, _, _)| any(tag))),
            "buildtag_inherits_from" => inherits_from(call, data, &test.args).await,
            "buildtype" => Ok(build_types(call, data).await?.iter().any(|name| any(name))),
            "imported" => {
                let missing = || Fault::generic("policy data must contain a build");
                data.get("build").filter(|field| field.truth()).ok_or_else(missing)?;
                let build = need_build(call, data).await?;
                let roots = toji_db::policy::buildroots(&mut call.tx, build.id).await?;
                Ok(roots.contains(&None))
            }
            "cg_match_any" => {
                let names = generators(call, data).await?;
                Ok(names.iter().flatten().any(|name| any(name)))
            }
            "cg_match_all" => {
                let names = generators(call, data).await?;
                let fits = |name: &Option<String>| name.as_deref().is_some_and(any);
                Ok(!names.is_empty() && names.iter().all(fits))
            }
            "is_build_owner" => is_build_owner(call, data).await,
            "is_draft" => match data.get("draft") {
                Some(draft) => Ok(draft.truth()),
                None => Ok(named_build(call, data).await?.is_some_and(|build| build.draft)),
            },
            "is_sidetag" => {
                let Some(tag) = tag_info(call, data, "tag").await? else { return Ok(false) };
                Ok(sidetag::is_sidetag(&tag))
            }
            "is_sidetag_owner" => is_sidetag_owner(call, data, &test.args).await,
            "source" => Ok(source(call, data).await?.is_some_and(|source| any(&source))),
            other => Err(Fault::generic(format!("missing test handler: {other}"))),
        }
    }
}

/// Whether the side tags in these fields are the user's own.
async fn is_sidetag_owner(call: &mut Call, data: &Data, args: &[String]) -> Result<bool, Fault> {
    let fields: &[&str] = match args {
        [] => &["tag"],
        [one] => match one.as_str() {
            "tag" => &["tag"],
            "fromtag" => &["fromtag"],
            "both" => &["tag", "fromtag"],
            other => {
                return Err(Fault::generic(format!(
                    "Policy test is_sidetag_owner has only /tag/fromtag/both options (got {other})"
                )));
            }
        },
        _ => return Err(Fault::generic("Just one argument is allowed for this test.")),
    };
    let Some(user) = user(call, data).await? else { return Ok(false) };
    for field in fields {
        let info = data.get(field).map(value).unwrap_or_default();
        if info.is_nil() {
            return Ok(false);
        }
        let Some(found) = tag::find(call, &info, When::Now).await? else { return Ok(false) };
        if !sidetag::is_owner(call, &found, &user).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The user that the data are about: `user_id`, or the caller.
pub(super) async fn user(call: &mut Call, data: &Data) -> Result<Option<User>, Fault> {
    match (data.get("user_id"), call.user_id()) {
        (Some(field), _) => user::find(call, &value(field)).await,
        (None, Some(id)) => user::by_id(call, id).await,
        (None, None) => Ok(None),
    }
}

/// The build of the data, if they name one.
async fn named_build(call: &mut Call, data: &Data) -> Result<Option<Build>, Fault> {
    if data.get("build").is_none() {
        return Ok(None);
    }
    need_build(call, data).await.map(Some)
}

async fn need_build(call: &mut Call, data: &Data) -> Result<Build, Fault> {
    let info = data.get("build").map(value).unwrap_or_default();
    let missing = || Fault::generic(format!("No such build: {}", info.repr()));
    build(call, &info).await?.ok_or_else(missing)
}

/// Id and name of the package that the data are about; no id for one that is yet to be made.
async fn package(call: &mut Call, data: &Data) -> Result<(Option<i64>, String), Fault> {
    let Some(field) = data.get("package") else {
        let missing = || Fault::generic("policy requires package data");
        let build = named_build(call, data).await?.ok_or_else(missing)?;
        return Ok((Some(build.package_id), build.name));
    };
    let info = value(field);
    match (call.find(Names::Package, &info).await?, info) {
        (Some(entry), _) => Ok((Some(entry.id), entry.name)),
        (None, Value::Str(name)) => Ok((None, name)),
        (None, info) => Err(Fault::generic(format!("No such package: {}", info.display()))),
    }
}

/// `version` or `release` of the data.
async fn part(call: &mut Call, data: &Data, name: &str) -> Result<String, Fault> {
    if let Some(field) = data.get(name) {
        return Ok(value(field).display());
    }
    let missing = || Fault::generic(format!("policy requires {name} data"));
    let build = named_build(call, data).await?.ok_or_else(missing)?;
    Ok(if name == "version" { build.version } else { build.release })
}

async fn volume(call: &mut Call, data: &Data) -> Result<Option<String>, Fault> {
    if let Some(field) = data.get("volume") {
        let entry = call.find(Names::Volume, &value(field)).await?;
        return Ok(entry.map(|entry| entry.name));
    }
    Ok(named_build(call, data).await?.map(|build| build.volume_name))
}

/// The tag in this field, if it is there.
async fn tag_info(call: &mut Call, data: &Data, field: &str) -> Result<Option<Tag>, Fault> {
    let info = data.get(field).map(value).unwrap_or_default();
    if info.is_nil() {
        return Ok(None);
    }
    tag::find(call, &info, When::Now).await
}

/// The buildroots of the data; nothing stands for what was imported.
async fn buildroots(call: &mut Call, data: &Data) -> Result<Vec<Option<i64>>, Fault> {
    if let Some(field) = data.get("buildroots") {
        let Value::Array(items) = value(field) else { return Ok(Vec::new()) };
        return Ok(items.iter().map(Value::as_int).collect());
    }
    match named_build(call, data).await? {
        Some(build) => Ok(toji_db::policy::buildroots(&mut call.tx, build.id).await?),
        None => Ok(Vec::new()),
    }
}

/// Names of the content generators of the data; nothing for parts that none made.
async fn generators(call: &mut Call, data: &Data) -> Result<Vec<Option<String>>, Fault> {
    if let Some(Value::Array(items)) = data.get("cg_list").map(value) {
        let mut names = Vec::with_capacity(items.len());
        for item in &items {
            names.push(Some(call.need(Names::ContentGenerator, item).await?.name));
        }
        return Ok(names);
    }
    let roots = buildroots(call, data).await?;
    let mut names: Vec<Option<String>> = Vec::new();
    if roots.contains(&None) {
        names.push(None);
    }
    let ids: Vec<i64> = roots.into_iter().flatten().collect();
    for row in toji_db::policy::origins(&mut call.tx, &ids).await? {
        names.push(row.get("cg_name")?);
    }
    Ok(names)
}

/// The build tags of the data: name, id and the event of the repository that was used.
async fn build_tags(
    call: &mut Call,
    data: &Data,
) -> Result<Vec<(String, i64, Option<i64>)>, Fault> {
    let named = match (data.get("build_tag"), data.get("build_tags").map(value)) {
        (Some(field), _) => vec![value(field)],
        (None, Some(Value::Array(items))) => items,
        _ => Vec::new(),
    };
    let mut tags = Vec::new();
    for info in named {
        let found = tag::need(call, &info, When::Latest).await?;
        tags.push((found.name, found.id, found.query_event));
    }
    if !tags.is_empty() {
        return Ok(tags);
    }
    let info = data.get("target").map(value).unwrap_or_default();
    if info.truthy()
        && let Some(found) = target::find(call, &info, None).await?
    {
        let found = tag::need(call, &Value::Int(found.build_tag), When::Latest).await?;
        return Ok(vec![(found.name, found.id, found.query_event)]);
    }
    let roots: Vec<i64> = buildroots(call, data).await?.into_iter().flatten().collect();
    for row in toji_db::policy::origins(&mut call.tx, &roots).await? {
        if let Some(name) = row.get::<Option<String>>("tag_name")? {
            tags.push((name, row.get("tag_id")?, row.get("event")?));
        }
    }
    Ok(tags)
}

async fn inherits_from(call: &mut Call, data: &Data, patterns: &[String]) -> Result<bool, Fault> {
    for (_, id, event) in build_tags(call, data).await? {
        let order = inherit::full(call, id, event).await?;
        if order.iter().any(|node| glob_match_any(&node.name, patterns)) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn build_types(call: &mut Call, data: &Data) -> Result<Vec<String>, Fault> {
    if let Some(Value::Array(items)) = data.get("btypes").map(value) {
        return Ok(items.iter().map(Value::display).collect());
    }
    match named_build(call, data).await? {
        Some(build) => Ok(toji_db::policy::build_types(&mut call.tx, build.id).await?),
        None => Ok(Vec::new()),
    }
}

async fn is_build_owner(call: &mut Call, data: &Data) -> Result<bool, Fault> {
    let build = need_build(call, data).await?;
    let Some(user) = user(call, data).await? else { return Ok(false) };
    if build.owner_id == user.id {
        return Ok(true);
    }
    let groups = toji_db::user::groups(&mut call.tx, user.id).await?;
    let ids: Vec<i64> = groups.iter().map(|row| row.get("id")).collect::<Result<_, _>>()?;
    Ok(ids.contains(&build.owner_id))
}

/// Where the source of the data comes from.
async fn source(call: &mut Call, data: &Data) -> Result<Option<String>, Fault> {
    if let Some(field) = data.get("source") {
        return Ok(field.text().map(std::borrow::Cow::into_owned));
    }
    let Some(build) = named_build(call, data).await? else { return Ok(None) };
    let (None, Some(task_id)) = (&build.source, build.task_id) else { return Ok(build.source) };
    let (method, args) = task::request(call, task_id).await?;
    let facts = task::make::policy_values(call, &method, &args).await?;
    Ok(facts.str("source").map(str::to_owned))
}
