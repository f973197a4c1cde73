//! Decisions of the past, rebuilt from what they left in the database, to try other policies on.

use std::collections::{HashMap, HashSet};

use toji_db::past as db;
use toji_policy::{Outcome, PolicySet};
use toji_value::{Fault, Map, Value, map};

use crate::task::{self, make};
use crate::{Call, policy};

/// The policies whose decisions can be rebuilt.
pub const POLICIES: &[&str] = &[
    "build_from_repo_id",
    "build_from_srpm",
    "build_rpm",
    "channel",
    "dist_repo",
    "draft_promotion",
    "package_list",
    "priority",
    "tag",
    "vm",
    "volume",
];

/// A decision that was made.
#[derive(Clone, Debug)]
pub struct Past {
    /// What it was about, for people.
    pub what: String,
    /// What the policy was told.
    pub data: Map,
}

/// A decision that another policy answers differently.
#[derive(Debug)]
pub struct Difference {
    /// The policy.
    pub policy: String,
    /// What it was about.
    pub what: String,
    /// The answer of the hub's policy; nothing if there is none of this name.
    pub before: Answer,
    /// The answer of the other one.
    pub after: Answer,
}

/// What a policy answered to a past decision.
#[derive(Debug)]
pub enum Answer {
    /// There is no such policy.
    Missing,
    /// What it answered, and why.
    Outcome(Outcome),
    /// It could not be answered: what the decision was about is gone, or the policy is wrong.
    Failed(String),
}

impl Answer {
    /// The action, or why there is none.
    pub fn action(&self) -> &str {
        match self {
            Answer::Missing => "(no such policy)",
            Answer::Outcome(outcome) => outcome.action().unwrap_or("(no match)"),
            Answer::Failed(text) => text,
        }
    }
}

/// The last decisions of a policy, newest first; nothing for a policy that leaves no traces.
///
/// # Errors
/// When the database fails.
pub async fn decisions(call: &mut Call, name: &str, last: i64) -> Result<Vec<Past>, Fault> {
    match name {
        "tag" => taggings(call, last).await,
        "package_list" => package_lists(call, last).await,
        "channel" | "priority" => tasks(call, None, last).await,
        "build_rpm" | "build_from_srpm" | "build_from_repo_id" => {
            build_tasks(call, name, last).await
        }
        "dist_repo" => tasks(call, Some("distRepo"), last).await,
        "vm" => tasks(call, Some("winbuild"), last).await,
        "volume" => {
            let rows = db::builds(&mut call.tx, last).await?;
            let one = |row: toji_db::Row| Past {
                what: row.value("nvr").display(),
                data: map! { "build" => row.value("id") },
            };
            Ok(rows.into_iter().map(one).collect())
        }
        "draft_promotion" => {
            let rows = db::promotions(&mut call.tx, last).await?;
            let one = |row: toji_db::Row| Past {
                what: format!("promotion to {}", row.value("nvr").display()),
                data: map! {
                    "build" => row.value("id"), "target_release" => row.value("release"),
                    "user_id" => row.value("promoter"),
                },
            };
            Ok(rows.into_iter().map(one).collect())
        }
        _ => Ok(Vec::new()),
    }
}

/// A build that leaves one tag and enters another at one event was moved.
async fn taggings(call: &mut Call, last: i64) -> Result<Vec<Past>, Fault> {
    let rows = db::taggings(&mut call.tx, last).await?;
    let key = |row: &toji_db::Row| (row.value("event").as_int(), row.value("build_id").as_int());
    let is = |row: &toji_db::Row, kind: &str| row.value("kind").as_str() == Some(kind);
    let mut left = HashMap::new();
    let mut entered = HashSet::new();
    for row in &rows {
        if is(row, "untag") {
            left.insert(key(row), (row.value("tag_id").clone(), row.value("tag").display()));
        } else {
            entered.insert(key(row));
        }
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let (tag, name) = (row.value("tag_id"), row.value("tag").display());
        let build = row.value("build_id");
        let (operation, to, from, what) = match left.get(&key(row)) {
            Some(_) if is(row, "untag") && entered.contains(&key(row)) => continue,
            _ if is(row, "untag") => ("untag", &Value::Nil, tag, format!("untag from {name}")),
            Some((from, _)) if from == tag => ("tag", tag, &Value::Nil, format!("tag into {name}")),
            Some((from, old)) => ("move", tag, from, format!("move from {old} to {name}")),
            None => ("tag", tag, &Value::Nil, format!("tag into {name}")),
        };
        let data = map! {
            "operation" => operation, "tag" => to, "fromtag" => from, "build" => build,
            "user_id" => row.value("user_id"),
        };
        let event = row.value("event").display();
        found
            .push(Past { what: format!("{what}, build {}, event {event}", build.display()), data });
    }
    Ok(found)
}

/// An entry that ends where another begins was changed.
async fn package_lists(call: &mut Call, last: i64) -> Result<Vec<Past>, Fault> {
    let rows = db::package_lists(&mut call.tx, last).await?;
    let key = |row: &toji_db::Row| {
        let number = |name: &str| row.value(name).as_int();
        (number("event"), number("tag_id"), number("package_id"))
    };
    let is = |row: &toji_db::Row, kind: &str| row.value("kind").as_str() == Some(kind);
    let blocked = |row: &toji_db::Row| row.value("blocked").truthy();
    let ended: HashMap<_, bool> =
        rows.iter().filter(|row| is(row, "gone")).map(|row| (key(row), blocked(row))).collect();
    let set: HashSet<_> = rows.iter().filter(|row| is(row, "set")).map(key).collect();
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let action = match (is(row, "gone"), ended.get(&key(row))) {
            (true, _) if set.contains(&key(row)) => continue,
            (true, _) => "remove",
            (false, _) if blocked(row) => "block",
            (false, Some(true)) => "unblock",
            (false, Some(false)) => "update",
            (false, None) => "add",
        };
        let data = map! {
            "tag" => row.value("tag_id"), "action" => action,
            "package" => row.value("package_id"), "force" => false,
            "user_id" => row.value("user_id"),
        };
        let (package, tag) = (row.value("package").display(), row.value("tag").display());
        found.push(Past { what: format!("{action} {package} in {tag}"), data });
    }
    Ok(found)
}

/// What the policies of new tasks were told; the channel that was asked for is not kept.
async fn tasks(call: &mut Call, method: Option<&str>, last: i64) -> Result<Vec<Past>, Fault> {
    let rows = db::tasks(&mut call.tx, method, last).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        // Requests of times long gone may be in a form that is not read any more.
        if let Ok(data) = task_data(call, &row).await {
            let (id, method) = (row.value("id").display(), row.value("method").display());
            found.push(Past { what: format!("task {id} ({method})"), data });
        }
    }
    Ok(found)
}

/// What policies know of a task that is in the database.
///
/// # Errors
/// `GenericError` when there is no such task or its request cannot be read.
pub async fn of_task(call: &mut Call, id: i64) -> Result<Map, Fault> {
    let info = task::info(call, id, false).await?;
    let info = info.ok_or_else(|| Fault::generic(format!("No such task: {id}")))?;
    let (method, args) = task::request(call, id).await?;
    let mut data = make::policy_values(call, &method, &args).await?;
    data.extend(map! {
        "method" => method, "arch" => info.get("arch"), "parent" => info.get("parent"),
        "label" => info.get("label"), "owner" => info.get("owner"), "user_id" => info.get("owner"),
    });
    Ok(data)
}

async fn task_data(call: &mut Call, row: &toji_db::Row) -> Result<Map, Fault> {
    let method = row.value("method").display();
    let stored: Option<String> = row.get("request")?;
    let args = task::text::read_request(stored.as_deref().unwrap_or_default())?;
    let mut data = make::policy_values(call, &method, &args).await?;
    data.extend(map! {
        "method" => method, "arch" => row.value("arch"), "parent" => row.value("parent"),
        "label" => row.value("label"), "owner" => row.value("owner"),
        "user_id" => row.value("owner"),
    });
    Ok(data)
}

/// What builders ask before they build.
async fn build_tasks(call: &mut Call, name: &str, last: i64) -> Result<Vec<Past>, Fault> {
    let mut found = Vec::new();
    for row in db::tasks(&mut call.tx, Some("build"), last).await? {
        let stored: Option<String> = row.get("request")?;
        let Ok(args) = task::text::read_request(stored.as_deref().unwrap_or_default()) else {
            continue;
        };
        let source = args.first().and_then(Value::as_str).unwrap_or_default();
        let opts = args.get(2).cloned().unwrap_or_default();
        let asked = match name {
            "build_from_srpm" => !source.contains("://"),
            "build_from_repo_id" => opts.get("repo_id").truthy(),
            _ => true,
        };
        if !asked {
            continue;
        }
        let Ok(mut data) = make::policy_values(call, "build", &args).await else { continue };
        let id = row.value("id");
        data.extend(map! {
            "user_id" => row.value("owner"), "task_id" => id,
            "skip_tag" => opts.get("skip_tag").truthy(),
        });
        found.push(Past { what: format!("task {} (build of {source})", id.display()), data });
    }
    Ok(found)
}

/// Evaluates past decisions with the hub's policies and with others; returns how many there were, and
/// where the answers differ.
///
/// # Errors
/// When the database fails.
pub async fn simulate(
    call: &mut Call,
    changed: &PolicySet,
    name: &str,
    last: i64,
) -> Result<(usize, Vec<Difference>), Fault> {
    let hub = call.hub.clone();
    let present = hub.policies.as_ref().map_err(Fault::clone)?;
    let past = decisions(call, name, last).await?;
    let mut differences = Vec::new();
    for Past { what, data } in &past {
        let data = policy::data(&data.clone().into())?;
        let before = answer(call, present, name, &data).await;
        let after = answer(call, changed, name, &data).await;
        if before.action() != after.action() {
            let (policy, what) = (name.to_owned(), what.clone());
            differences.push(Difference { policy, what, before, after });
        }
    }
    Ok((past.len(), differences))
}

async fn answer(call: &mut Call, policies: &PolicySet, name: &str, data: &policy::Data) -> Answer {
    match call.evaluate_in(policies, name, data).await {
        Ok(Some(outcome)) => Answer::Outcome(outcome),
        Ok(None) => Answer::Missing,
        Err(fault) => Answer::Failed(fault.message),
    }
}
