//! The history of versioned data: what `queryHistory` is asked, and its answer.

use toji_db::Time;
use toji_db::history::{self, Filter, Subject, Table};
use toji_db::lookup::Names;
use toji_value::{Fault, FromValue, Map, Value};

use crate::lookup::fit;
use crate::{Call, policy, user};

/// What may be asked of the history, by the names of the call's options.
const SUBJECTS: &[(&str, Subject)] = &[
    ("tag", Subject::Tag),
    ("build", Subject::Build),
    ("host", Subject::Host),
    ("channel", Subject::Channel),
    ("package", Subject::Package),
    ("user", Subject::User),
    ("permission", Subject::Permission),
    ("cg", Subject::Generator),
    ("external_repo", Subject::ExternalRepo),
    ("build_target", Subject::Target),
    ("group", Subject::Group),
];

/// The tables of a caller's list, all for nil.
///
/// # Errors
/// `GenericError` for an unknown name.
pub fn tables(value: &Value) -> Result<Vec<&'static Table>, Fault> {
    let unknown =
        |name: &Value| Fault::generic(format!("No such history table: {}", name.display()));
    match value {
        Value::Nil => Ok(history::TABLES.iter().collect()),
        Value::Array(names) => names
            .iter()
            .map(|name| {
                let found = name.as_str().and_then(Table::named);
                found.ok_or_else(|| unknown(name))
            })
            .collect(),
        other => Err(Fault::parameter(format!("tables must be a list: {}", other.repr()))),
    }
}

/// The history of tables, filtered by the call's options; tables that know nothing of what is
/// asked are left out.
///
/// # Errors
/// `GenericError` for names that lead nowhere.
pub async fn query(
    call: &mut Call,
    tables: Vec<&'static Table>,
    options: &Map,
) -> Result<Map, Fault> {
    let tables: Vec<&Table> = tables.into_iter().filter(|table| applies(table, options)).collect();
    let mut found = Map::new();
    if tables.is_empty() {
        return Ok(found);
    }
    let opts = crate::listing::options(options.value("queryOpts"))?;
    let common = filter(call, options, &tables).await?;
    for table in tables {
        let mut filter = common.clone();
        let in_group = table.columns.contains(&"package");
        filter.group_package = filter.group_package.filter(|_| in_group);
        let mut rows = history::list(&mut call.tx, table, &filter, &opts).await?;
        if let Value::Array(rows) = &mut rows {
            rows.iter_mut().filter_map(Value::as_struct_mut).for_each(|row| flag(row, &filter));
        }
        found.insert(table.name, rows);
    }
    Ok(found)
}

/// Whether a table has a column for everything that is asked.
fn applies(table: &Table, options: &Map) -> bool {
    let knows = |(option, subject): &(&str, Subject)| {
        !options.contains_key(option)
            || table.column(*subject).is_some()
            || *option == "package" && table.columns.contains(&"package")
    };
    let key = !options.contains_key("xkey") || table.columns.contains(&"key");
    key && SUBJECTS.iter().all(knows)
}

async fn filter(call: &mut Call, options: &Map, tables: &[&Table]) -> Result<Filter, Fault> {
    let mut filter = Filter::default();
    for (option, subject) in SUBJECTS {
        let Some(info) = options.get(option) else { continue };
        if *subject == Subject::Package {
            filter.group_package = Some(info.display());
            if tables.iter().all(|table| table.column(*subject).is_none()) {
                continue;
            }
        }
        filter.subjects.push((*subject, subject_id(call, *subject, info).await?));
    }
    filter.key = options.get("xkey").map(Value::display);
    filter.active = options.get("active").filter(|v| !v.is_nil()).map(Value::truthy);
    if let Some(editor) = options.get("editor") {
        filter.editor = Some(user::need(call, editor).await?.id);
    }
    filter.after = options.get("after").map(moment).transpose()?;
    filter.before = options.get("before").map(moment).transpose()?;
    let event = |option: &str| {
        let number = options.get(option).map(|value| i64::from_value(value.clone())).transpose()?;
        Ok::<_, Fault>(number.map(|event| event.clamp(-1, i64::from(i32::MAX))))
    };
    filter.after_event = event("afterEvent")?;
    filter.before_event = event("beforeEvent")?;
    Ok(filter)
}

async fn subject_id(call: &mut Call, subject: Subject, info: &Value) -> Result<i64, Fault> {
    let names = match subject {
        Subject::User => return Ok(user::need(call, info).await?.id),
        Subject::Build => {
            let missing = || Fault::generic(format!("No such build: {}", info.repr()));
            return Ok(policy::build(call, info).await?.ok_or_else(missing)?.id);
        }
        Subject::Host | Subject::Channel => {
            let names = if subject == Subject::Host { Names::Host } else { Names::Channels };
            // An unknown host or channel has no history.
            return Ok(call.find(names, info).await?.map_or(fit(-1), |entry| entry.id));
        }
        Subject::Tag => Names::Tag,
        Subject::Package => Names::Package,
        Subject::Permission => Names::Permissions,
        Subject::Generator => Names::ContentGenerator,
        Subject::ExternalRepo => Names::ExternalRepo,
        Subject::Target => Names::BuildTarget,
        Subject::Group => Names::Groups,
    };
    Ok(call.need(names, info).await?.id)
}

/// A moment as ISO text, or seconds since 1970.
fn moment(value: &Value) -> Result<Time, Fault> {
    match value {
        Value::Str(text) | Value::DateTime(text) => Ok(Time::parse(text)?),
        other => Ok(Time::from_epoch(f64::from_value(other.clone())?)?),
    }
}

/// Adds which end of a row's life made it pass the filters.
fn flag(row: &mut Map, filter: &Filter) {
    let (created, revoked) = (row.int("create_event"), row.int("revoke_event"));
    let (creator, revoker) = (row.int("creator_id"), row.int("revoker_id"));
    let at = |name: &str, row: &Map| row.value(name).as_f64();
    let (made, ended) = (at("create_ts", row), at("revoke_ts", row));
    let mut set = |name: &'static str, made: Option<bool>| row.insert(name, made);
    if let Some(editor) = filter.editor {
        set("_created_by", creator.map(|id| id == editor));
        set("_revoked_by", revoker.map(|id| id == editor));
    }
    if let Some(after) = filter.after.map(Time::epoch) {
        set("_created_after", made.map(|ts| ts > after));
        set("_revoked_after", ended.map(|ts| ts > after));
    }
    if let Some(before) = filter.before.map(Time::epoch) {
        set("_created_before", made.map(|ts| ts < before));
        set("_revoked_before", ended.map(|ts| ts < before));
    }
    if let Some(event) = filter.after_event {
        set("_created_after_event", created.map(|id| id > event));
        set("_revoked_after_event", revoked.map(|id| id > event));
    }
    if let Some(event) = filter.before_event {
        set("_created_before_event", created.map(|id| id < event));
        set("_revoked_before_event", revoked.map(|id| id < event));
    }
}
