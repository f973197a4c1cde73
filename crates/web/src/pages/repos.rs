//! Repositories: those of a tag, and one with what it was made for and what has changed since.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use minijinja::context;
use serde::Deserialize;
use toji_value::{Map, Value, list, map};

use super::Asked;
use crate::Site;
use crate::error::PageError;
use crate::view::{repo_word, task_word, template_value, with_state, with_states};

/// How many tags of an inheritance are looked through for changes, and how many changes are shown.
const TAGS: usize = 12;
const CHANGES: usize = 50;
/// How many repositories of a tag are listed.
const LISTED: i64 = 30;

/// The tables whose changes make a tag's repository another one; those of inheritance count for the tag itself.
const TABLES: [&str; 9] = [
    "tag_listing",
    "tag_packages",
    "tag_inheritance",
    "tag_config",
    "tag_extra",
    "tag_external_repos",
    "group_config",
    "group_package_listing",
    "group_req_listing",
];

/// What changes a page about repositories of a tag.
const EVENTS: &str = "kinds=repo.init,repo.state,repo.done,repo.request";

#[derive(Deserialize)]
pub(crate) struct Id {
    #[serde(rename = "repoID")]
    repo_id: i64,
}

pub(crate) async fn one(
    State(site): State<Site>,
    Asked(Id { repo_id }): Asked<Id>,
) -> Result<Response, PageError> {
    let repo = site.call("repoInfo", vec![repo_id.into()], Map::new()).await?;
    let (Some(tag), Some(event)) = (repo.get("tag_id").as_int(), repo.get("create_event").as_int())
    else {
        return Err(PageError::NotFound(format!("There is no repository {repo_id}.")));
    };
    let before = before(&site, tag, &repo, event).await?;
    let tags = tags(&site, tag, event).await?;
    let reasons = match before.get("create_event").as_int() {
        Some(begin) => Some(changes(&site, &tags, begin, Some(event)).await?),
        None => None,
    };
    // It is up to date as long as no event has ended it.
    let since = match repo.get("end_event").as_int() {
        Some(end) => Some(changes(&site, &tags, end.saturating_sub(1).max(event), None).await?),
        None => None,
    };
    let files = if repo.get("dist").truthy() { "repos-dist" } else { "repos" };
    site.page(
        "repo.html",
        context! {
            title => format!("Repository {repo_id}"),
            task_word => repo.get("task_state").as_int().map(task_word),
            opts => options(&repo),
            repo => with_state(repo, repo_word),
            before => template_value(&before),
            files,
            reasons,
            since,
            events => format!("{EVENTS}&tags={tag}"),
        },
    )
}

pub(crate) async fn list(
    State(site): State<Site>,
    Asked(id): Asked<super::tags::Id>,
) -> Result<Response, PageError> {
    let (tag_id, tag) = id.tag(&site).await?;
    let of_tag = || list![list!["tag_id", tag_id]];
    let newest: Value = map! { "order" => "-id", "limit" => LISTED }.into();
    let all: Value = list!["**"];
    let repos = site.call("repo.query", vec![of_tag(), all.clone(), newest.clone()], Map::new());
    let repos = repos.await?;
    let waiting = list![list!["tag_id", tag_id], list!["active", true]];
    let requests = site.call("repo.queryQueue", vec![waiting, all, newest], Map::new()).await?;
    site.page(
        "repos.html",
        context! {
            title => format!("Repositories of {}", tag.get("name").display()),
            tag => template_value(&tag),
            repos => with_states(repos, repo_word),
            requests => template_value(&requests),
            events => format!("{EVENTS}&tags={tag_id}"),
        },
    )
}

/// The repository of the tag with the same options that was made before this one.
async fn before(site: &Site, tag: i64, repo: &Value, event: i64) -> Result<Value, PageError> {
    let clauses = list![
        list!["tag_id", tag],
        list!["dist", repo.get("dist").clone()],
        list!["create_event", "<", event]
    ];
    let fields = list!["id", "create_event", "create_ts", "custom_opts", "state"];
    let last = map! { "order" => "-create_event", "limit" => LISTED };
    let found = site.call("repo.query", vec![clauses, fields, last.into()], Map::new()).await?;
    let Value::Array(found) = found else { return Ok(Value::Nil) };
    let same = |other: &Value| other.get("custom_opts") == repo.get("custom_opts");
    Ok(found.into_iter().find(same).unwrap_or(Value::Nil))
}

/// The tag, and those that it inherits from at the event.
async fn tags(site: &Site, tag: i64, event: i64) -> Result<BTreeSet<i64>, PageError> {
    let then = map! { "event" => event };
    let parents = site.call("getFullInheritance", vec![tag.into()], then).await?;
    let parents = parents.as_array().unwrap_or_default().iter();
    let ids = parents.filter_map(|parent| parent.get("parent_id").as_int());
    Ok(std::iter::once(tag).chain(ids).take(TAGS).collect())
}

/// What was done in the tags after the event `begin` up to `end`, the newest first.
async fn changes(
    site: &Site,
    tags: &BTreeSet<i64>,
    begin: i64,
    end: Option<i64>,
) -> Result<Vec<minijinja::Value>, PageError> {
    let mut found = Vec::new();
    for tag in tags {
        let tables: Vec<Value> = TABLES.iter().map(|name| Value::from(*name)).collect();
        let mut filter = map! { "tables" => tables, "tag" => *tag, "afterEvent" => begin };
        if let Some(end) = end {
            filter.insert("beforeEvent", end.saturating_add(1));
        }
        let history = site.call("queryHistory", vec![], filter).await?;
        let Some(history) = history.as_struct() else { continue };
        for (table, rows) in history.iter() {
            for row in rows.as_array().unwrap_or_default() {
                found.extend(events(table, row, begin, end));
            }
        }
    }
    let mut found = without_replaced(found);
    found.sort_by_key(|change| std::cmp::Reverse(change.event));
    found.truncate(CHANGES);
    let shown = |change: Change| {
        let Change { event, time, who, what, .. } = change;
        context! { event, time, who, what }
    };
    Ok(found.into_iter().map(shown).collect())
}

/// Something that was done.
struct Change {
    event: i64,
    /// What it is about.
    about: String,
    /// Whether a row began, not ended.
    on: bool,
    time: Option<f64>,
    who: String,
    what: String,
}

/// What a row of history says was done within the events: its beginning, its end, or both.
fn events(table: &str, row: &Value, begin: i64, end: Option<i64>) -> Vec<Change> {
    let within = |event: i64| event > begin && end.is_none_or(|end| event <= end);
    let of = |prefix: &str, who: &str, on: bool| {
        let event = row.get(&format!("{prefix}_event")).as_int().filter(|e| within(*e))?;
        let time = match row.get(&format!("{prefix}_ts")) {
            Value::Double(time) => Some(*time),
            _ => None,
        };
        let who = row.get(who).as_str().unwrap_or_default().to_owned();
        Some(Change {
            event,
            about: about(table, row),
            on,
            time,
            who,
            what: sentence(table, row, on),
        })
    };
    let (begun, ended) = (of("create", "creator_name", true), of("revoke", "revoker_name", false));
    begun.into_iter().chain(ended).collect()
}

/// Without the ends of rows that others have replaced at the same event.
fn without_replaced(changes: Vec<Change>) -> Vec<Change> {
    let begun: BTreeSet<(i64, String)> =
        changes.iter().filter(|c| c.on).map(|c| (c.event, c.about.clone())).collect();
    let kept = |c: &Change| c.on || !begun.contains(&(c.event, c.about.clone()));
    changes.into_iter().filter(kept).collect()
}

/// The keys of a row, without its values.
fn about(table: &str, row: &Value) -> String {
    let keys = [
        "tag.name",
        "build_id",
        "package_id",
        "parent.name",
        "repo.name",
        "group.name",
        "package",
        "req.name",
        "key",
    ];
    let shown = keys.iter().map(|key| row.get(key).display());
    std::iter::once(table.to_owned()).chain(shown).collect::<Vec<_>>().join("/")
}

/// In words: what a row's beginning or end does.
fn sentence(table: &str, row: &Value, on: bool) -> String {
    let text = |key: &str| row.get(key).as_str().unwrap_or("?").to_owned();
    let (tag, added) = (text("tag.name"), if on { "added to" } else { "removed from" });
    match table {
        "tag_listing" => {
            let nvr = format!("{}-{}-{}", text("name"), text("version"), text("release"));
            format!("{nvr} {} {tag}", if on { "tagged in" } else { "untagged from" })
        }
        "tag_packages" => {
            let blocked = on && row.get("blocked").truthy();
            let done = if blocked { "blocked in" } else { added };
            format!("package {} {done} {tag}", text("package.name"))
        }
        "tag_inheritance" => {
            format!(
                "{tag} {} {}",
                if on { "inherits" } else { "no longer inherits so" },
                text("parent.name")
            )
        }
        "tag_external_repos" => format!("external repository {} {added} {tag}", text("repo.name")),
        "group_config" | "group_package_listing" | "group_req_listing" => {
            let member = ["package", "req.name"].iter().find_map(|key| row.get(key).as_str());
            match member {
                Some(member) => format!("{member} {added} group {} of {tag}", text("group.name")),
                None => format!("group {} {added} {tag}", text("group.name")),
            }
        }
        "tag_extra" => format!("setting {} {added} {tag}", text("key")),
        _ => format!("settings of {tag} changed"),
    }
}

/// The options of a repository that are not as usual, by their names.
fn options(repo: &Value) -> Vec<String> {
    let Some(opts) = repo.get("custom_opts").as_struct() else { return Vec::new() };
    opts.iter().map(|(name, value)| format!("{name} = {}", value.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Value {
        map! {
            "name" => "a", "version" => "1", "release" => "2", "tag.name" => "t", "create_event" => 5, "create_ts" => 1.5,
            "creator_name" => "ann", "revoke_event" => 9, "revoke_ts" => 2.5, "revoker_name" => "bob",
        }
        .into()
    }

    fn told(begin: i64, end: Option<i64>) -> Vec<(i64, String, String)> {
        let changes = events("tag_listing", &row(), begin, end);
        changes.into_iter().map(|c| (c.event, c.who, c.what)).collect()
    }

    #[test]
    fn a_row_in_the_place_of_another_is_one_change() {
        let row = |blocked: bool, create: i64, revoke: Option<i64>| -> Value {
            let revoke = revoke.map_or(Value::Nil, Value::Int);
            map! { "tag.name" => "t", "package_id" => 1, "package.name" => "a", "blocked" => blocked, "create_event" => create, "revoke_event" => revoke }
                .into()
        };
        let rows = [row(false, 5, Some(9)), row(true, 9, None)];
        let all = rows.iter().flat_map(|row| events("tag_packages", row, 5, None)).collect();
        let told: Vec<_> = without_replaced(all).into_iter().map(|c| c.what).collect();
        assert_eq!(told, ["package a blocked in t"]);
    }

    #[test]
    fn what_happened_between_two_repositories_is_told() {
        let tagged = (5, "ann".to_owned(), "a-1-2 tagged in t".to_owned());
        let untagged = (9, "bob".to_owned(), "a-1-2 untagged from t".to_owned());
        assert_eq!(told(4, Some(5)), std::slice::from_ref(&tagged));
        assert_eq!(told(4, None), [tagged, untagged.clone()]);
        assert_eq!(told(5, Some(8)), []);
        assert_eq!(told(5, Some(9)), [untagged]);
    }
}
