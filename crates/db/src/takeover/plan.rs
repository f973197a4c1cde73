//! What a take-over has to do to a certain database, found by comparing catalogs.

use std::collections::{HashMap, HashSet};

use super::catalog::{self, Object};
use super::expected::{self, ARCHIVE_TYPE, GROWN, OLDEST};
use crate::{Error, Result, Tx, params};

/// One thing to do.
pub(super) struct Step {
    pub(super) words: String,
    pub(super) sql: String,
    /// The name of the index that it makes, if it does.
    pub(super) index: Option<String>,
}

impl Step {
    fn new(words: impl Into<String>, sql: impl Into<String>) -> Step {
        Step { words: words.into(), sql: sql.into(), index: None }
    }

    pub(super) fn is_index(&self) -> bool {
        self.index.is_some()
    }

    /// Tells which step an error belongs to; errors that another attempt may mend stay what they are.
    pub(super) fn failed(&self, error: Error) -> Error {
        if error.is_transient() { error } else { Error::Schema(format!("{}: {error}", self.words)) }
    }
}

/// What is to be done, in order, and what was found.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) version: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) notes: Vec<String>,
    pub(super) problems: Vec<String>,
}

impl Plan {
    pub(super) fn words(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.words.clone()).collect()
    }
}

/// A database as found, and as it should be.
struct Comparison {
    found: Vec<Object>,
    keys: HashSet<String>,
    expected: Vec<Object>,
}

impl Comparison {
    fn has(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    fn missing(&self, kind: &str) -> impl Iterator<Item = &Object> {
        self.expected.iter().filter(move |o| o.kind == kind && !self.has(&o.key()))
    }
}

/// Compares and decides; the database is left as it is.
pub(super) async fn make(tx: &mut Tx) -> Result<Plan> {
    let found = catalog::read(tx).await?;
    let keys = found.iter().map(Object::key).collect();
    let all = Comparison { found, keys, expected: expected::objects(tx).await? };
    let mut plan = Plan::default();
    plan.version = version(tx, &all, &mut plan.problems).await?;
    if plan.version.is_none() {
        return Ok(plan);
    }
    misfits(&all, &mut plan);
    tables(&all, &mut plan);
    columns(&all, &mut plan);
    own(&mut plan);
    indexes(&all, &mut plan);
    rows(tx, &mut plan).await?;
    Ok(plan)
}

/// The version that the database is of; the reasons why it is none go to `problems`.
async fn version(
    tx: &mut Tx,
    all: &Comparison,
    problems: &mut Vec<String>,
) -> Result<Option<String>> {
    let grown: HashSet<&str> = GROWN.iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
    let belongs = |o: &Object| grown.contains(&*format!("table {}", o.table));
    let missing: Vec<String> = ["table", "column"]
        .into_iter()
        .flat_map(|kind| all.missing(kind))
        .filter(|o| !grown.contains(&*o.key()) && !belongs(o))
        .filter(|o| o.kind == "table" || all.has(&format!("table {}", o.table)))
        .map(Object::key)
        .collect();
    if !missing.is_empty() {
        problems.push(format!(
            "not a Koji database of version {OLDEST} or later, there is no {}: bring it up to date with Koji's own upgrade scripts first",
            missing.join(", no ")
        ));
        return Ok(None);
    }
    let mut version = OLDEST;
    let mut ended = None;
    for (name, keys) in GROWN {
        let (here, lacking): (Vec<&str>, Vec<&str>) = keys.iter().partition(|key| all.has(key));
        if lacking.is_empty() && ended.is_none() {
            version = name;
        } else if !here.is_empty() {
            let lacking = ended.unwrap_or(lacking);
            problems.push(format!(
                "half of the upgrade to {name}: there is a {}, but no {}; finish it with Koji's own upgrade script first",
                here.join(", "),
                lacking.join(", ")
            ));
            return Ok(None);
        } else {
            ended.get_or_insert(lacking);
        }
    }
    let sql = "SELECT count(*) FROM archivetypes WHERE name = $1";
    if version == "1.35" && tx.scalar::<i64>(sql, params![ARCHIVE_TYPE]).await? > 0 {
        version = "1.36";
    }
    Ok(Some(version.to_owned()))
}

/// What is there but not as expected.
fn misfits(all: &Comparison, plan: &mut Plan) {
    let found: HashMap<String, &Object> = all.found.iter().map(|o| (o.key(), o)).collect();
    for want in all.expected.iter().filter(|o| o.kind == "column") {
        if let Some(have) = found.get(&want.key())
            && type_of(&have.text) != type_of(&want.text)
        {
            let (have, want_type) = (type_of(&have.text), type_of(&want.text));
            plan.notes.push(format!("the {} is {have} instead of {want_type}", want.key()));
        }
    }
    let known: HashSet<String> = all.expected.iter().map(Object::key).collect();
    for extra in all.found.iter().filter(|o| o.kind == "column" && !known.contains(&o.key())) {
        let of_koji = known.contains(&format!("table {}", extra.table));
        if of_koji && extra.text.contains(" NOT NULL") && !extra.text.contains(" DEFAULT ") {
            plan.problems.push(format!(
                "the {} is not Koji's and wants a value in every new row: give it a default",
                extra.key()
            ));
        }
    }
    let strange = all.found.iter().filter(|o| o.kind == "table" && !known.contains(&o.key()));
    let strange: Vec<&str> = strange.map(|o| o.table.as_str()).collect();
    if !strange.is_empty() {
        plan.notes.push(format!("left alone, not Koji's: {}", strange.join(", ")));
    }
    let rules: HashSet<(&str, &str)> = all
        .found
        .iter()
        .filter(|o| o.kind == "constraint")
        .map(|o| (o.table.as_str(), o.text.as_str()))
        .collect();
    let lacking: Vec<String> = all
        .missing("constraint")
        .filter(|o| all.has(&format!("table {}", o.table)))
        .filter(|o| !rules.contains(&(o.table.as_str(), o.text.as_str())))
        .map(|o| format!("{}.{}", o.table, o.part))
        .collect();
    if !lacking.is_empty() {
        plan.notes.push(format!(
            "constraints of {} that this database does not have, and does not get: {}",
            GROWN[GROWN.len() - 1].0,
            lacking.join(", ")
        ));
    }
}

fn type_of(text: &str) -> &str {
    let end = [" NOT NULL", " DEFAULT "].iter().filter_map(|word| text.find(word)).min();
    &text[..end.unwrap_or(text.len())]
}

fn tables(all: &Comparison, plan: &mut Plan) {
    let missing: HashSet<&str> = all.missing("table").map(|o| o.table.as_str()).collect();
    for statement in expected::koji_statements() {
        let Some(rest) = statement.strip_prefix("CREATE TABLE ") else { continue };
        let name = rest.split([' ', '(']).next().unwrap_or_default();
        if missing.contains(name) {
            plan.steps.push(Step::new(format!("add the table {name} (Koji's)"), &statement));
        }
    }
}

/// Columns that a newer Koji has. They may be empty, so that an older hub goes on writing rows.
fn columns(all: &Comparison, plan: &mut Plan) {
    for column in all.missing("column").filter(|o| all.has(&format!("table {}", o.table))) {
        let (table, name) = (&column.table, &column.part);
        let text = column.text.replace(" NOT NULL", "");
        // An older hub knows of no drafts: what it writes is none.
        let draft = column.key() == "column rpminfo.draft";
        let default = if draft { " DEFAULT false" } else { "" };
        let sql = format!("ALTER TABLE {table} ADD COLUMN {name} {text}{default}");
        plan.steps.push(Step::new(format!("add the column {table}.{name} ({text})"), sql));
        if draft {
            plan.steps.push(Step::new(
                "leave that column empty for RPMs of external repositories",
                "UPDATE rpminfo SET draft = NULL WHERE external_repo_id <> 0",
            ));
        }
    }
}

/// Tables, functions and rows of this program's own.
fn own(plan: &mut Plan) {
    for statement in expected::own_statements() {
        let on_koji = expected::index_of(&statement).is_some_and(|(_, t)| !t.starts_with("toji_"));
        if on_koji {
            continue;
        }
        let first: Vec<&str> = statement.split([' ', '(', '\n']).take(3).collect();
        let words = match first.as_slice() {
            ["CREATE", "TABLE", name] => format!("add the table {name}"),
            ["CREATE", "FUNCTION", name] => format!("add the function {name}"),
            ["CREATE", ..] => format!("add {}", first[1..].join(" ").to_lowercase()),
            ["INSERT", _, table] => format!("add rows to {table}"),
            _ => statement.lines().next().unwrap_or_default().to_owned(),
        };
        plan.steps.push(Step::new(words, statement));
    }
}

fn indexes(all: &Comparison, plan: &mut Plan) {
    let bare = |text: &str, name: &str| text.replacen(&format!(" {name} "), " ", 1);
    let found: HashSet<String> =
        all.found.iter().filter(|o| o.kind == "index").map(|o| bare(&o.text, &o.part)).collect();
    let lacking: HashSet<&str> = all
        .missing("index")
        .filter(|o| !found.contains(&bare(&o.text, &o.part)))
        .map(|o| o.part.as_str())
        .collect();
    for statement in expected::koji_statements().into_iter().chain(expected::own_statements()) {
        let Some((name, table)) = expected::index_of(&statement) else { continue };
        let new_table = !all.has(&format!("table {table}"));
        let own = name.starts_with("toji_");
        if own && table.starts_with("toji_") || !own && !lacking.contains(name) {
            continue;
        }
        if statement.starts_with("CREATE UNIQUE") {
            // What an older hub may write must not fail.
            plan.notes.push(format!("the unique index {name} is missing, and is not made"));
            continue;
        }
        let mut step = Step::new(format!("make the index {name} on {table}"), statement.clone());
        // A new table is empty and nobody's: its index needs no care.
        step.index = (!new_table).then(|| name.to_owned());
        plan.steps.push(step);
    }
}

/// Rows that both hubs lock; others that only newer Kojis have are told.
async fn rows(tx: &mut Tx, plan: &mut Plan) -> Result<()> {
    let sql = "SELECT name FROM unnest($1::text[]) AS wanted(name)
                WHERE name NOT IN (SELECT name FROM locks) ORDER BY name";
    let wanted = ["protonmsg-plugin", "scheduler", "repo-queue"].map(str::to_owned).to_vec();
    for row in tx.query(sql, params![wanted]).await? {
        let name: String = row.get("name")?;
        let sql = format!("INSERT INTO locks (name) VALUES ('{name}')");
        plan.steps.push(Step::new(format!("add the row '{name}' to locks"), sql));
    }
    let sql = "SELECT (SELECT count(*) FROM volume WHERE id = 0) AS volumes,
                      (SELECT count(*) FROM external_repo WHERE id = 0) AS repos,
                      (SELECT count(*) FROM permissions WHERE name = 'draft-promoter') AS promoters";
    let row = tx.query_one(sql, &[]).await?;
    if row.get::<i64>("volumes")? == 0 {
        plan.problems.push("there is no volume with the number 0 (DEFAULT)".into());
    }
    if row.get::<i64>("repos")? == 0 {
        plan.problems.push("there is no external repository with the number 0 (INTERNAL)".into());
    }
    if row.get::<i64>("promoters")? == 0 {
        let text = "there is no permission draft-promoter: administrators may promote drafts, \
                    others when `koji grant-permission --new draft-promoter USER` has made it";
        plan.notes.push(text.into());
    }
    Ok(())
}
