//! How callers name things: an id, a name, or a struct with one of them.

use toji_db::lookup::{self, Names};
use toji_value::{Fault, FromValue, Value, map};

use crate::Call;

/// An id or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Info {
    /// By id; an id that no table can hold becomes -1.
    Id(i64),
    /// By name.
    Name(String),
}

/// An entry of a table of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
}

impl From<Entry> for Value {
    fn from(entry: Entry) -> Value {
        map! { "id" => entry.id, "name" => entry.name }.into()
    }
}

impl Info {
    /// Reads a caller's value.
    ///
    /// # Errors
    /// `ParameterError` for anything that is neither id nor name.
    pub fn of(value: &Value) -> Result<Info, Fault> {
        let wrong = || Fault::parameter(format!("Invalid name or id value: {}", value.display()));
        let inner = match value {
            Value::Struct(map) => match (map.get("id"), map.get("name")) {
                (Some(id), _) => &Value::Int(i64::from_value(id.clone()).map_err(|_| wrong())?),
                (None, Some(name)) => name,
                (None, None) => return Err(wrong()),
            },
            other => other,
        };
        match inner {
            Value::Int(id) => Ok(Info::Id(fit(*id))),
            Value::Str(name) => Ok(Info::Name(name.clone())),
            _ => Err(wrong()),
        }
    }
}

/// An id as the tables can hold it; -1, which nothing has, for all others.
pub(crate) fn fit(id: i64) -> i64 {
    i32::try_from(id).map_or(-1, i64::from)
}

/// The number of an event as the tables can hold it: what is larger than all events stays so.
pub(crate) fn clamp(event: i64) -> i64 {
    event.clamp(-1, i64::from(i32::MAX))
}

/// The event that a caller asks for; nil is now.
///
/// # Errors
/// `GenericError` for what is no integer.
pub fn event(value: &Value) -> Result<Option<i64>, Fault> {
    match value {
        Value::Nil => Ok(None),
        Value::Int(event) => Ok(Some(clamp(*event))),
        Value::Bool(event) => Ok(Some(i64::from(*event))),
        other => Err(Fault::generic(format!("Invalid event: {}", other.repr()))),
    }
}

impl Call {
    /// The entry that a caller names, or nothing.
    ///
    /// # Errors
    /// `ParameterError` for a value that names nothing.
    pub async fn find(&mut self, names: Names, info: &Value) -> Result<Option<Entry>, Fault> {
        let row = match Info::of(info)? {
            Info::Id(id) => lookup::by_id(&mut self.tx, names, id).await?,
            Info::Name(name) => lookup::by_name(&mut self.tx, names, &name).await?,
        };
        row.map(|row| Ok(Entry { id: row.get("id")?, name: row.get("name")? })).transpose()
    }

    /// The entry that a caller names.
    ///
    /// # Errors
    /// `GenericError` when there is none.
    pub async fn need(&mut self, names: Names, info: &Value) -> Result<Entry, Fault> {
        let missing = || {
            let table = names.table();
            Fault::generic(format!("No such entry in table {table}: {}", info.display()))
        };
        self.find(names, info).await?.ok_or_else(missing)
    }

    /// The entry that a caller names, made if there is none.
    ///
    /// # Errors
    /// `GenericError` when a new entry's name is no text.
    pub async fn find_or_make(&mut self, names: Names, info: &Value) -> Result<Entry, Fault> {
        if let Some(entry) = self.find(names, info).await? {
            return Ok(entry);
        }
        let name = info.as_str().ok_or_else(|| Fault::generic("Name must be a string"))?;
        let id = lookup::insert(&mut self.tx, names, name).await?;
        Ok(Entry { id, name: name.to_owned() })
    }

    /// The entry that a caller names, held until the end of the call; or nothing. Of several calls that change the
    /// same object, each reads what the one before it has written.
    ///
    /// # Errors
    /// `ParameterError` for a value that names nothing.
    pub async fn hold(&mut self, names: Names, info: &Value) -> Result<Option<Entry>, Fault> {
        let Some(old) = self.find(names, info).await? else { return Ok(None) };
        lookup::hold(&mut self.tx, names, old.id).await?;
        let now = self.find(names, &Value::Int(old.id)).await?;
        let by_name = matches!(Info::of(info)?, Info::Name(_));
        Ok(now.filter(|now| !by_name || now.name == old.name))
    }

    /// The id of the logged-in caller, for what is written in the caller's name.
    ///
    /// # Errors
    /// `ActionNotAllowed` for anonymous callers.
    pub fn actor(&self) -> Result<i64, Fault> {
        Ok(self.login()?.user_id)
    }
}
