//! Queries that callers of the API compose: fields, clauses and options over a fixed set of columns.
//!
//! The rules are those of Koji's query views. Fields and joins come from a [`View`], values are bound;
//! nothing that a caller sends becomes part of a statement's text.

use toji_value::{Map, Value};

use crate::{Engine, Param, Result, Sql, Tx, sql};

/// What a field holds: values to compare with are brought into this form, on both engines alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// Text.
    Text,
    /// Truth values.
    Bool,
    /// Moments.
    Time,
    /// JSON.
    Json,
}

/// One field that a view offers.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name for callers.
    pub name: &'static str,
    /// Its expression.
    pub sql: &'static str,
    /// The join that it needs, by key.
    pub join: Option<&'static str>,
    /// What it holds.
    pub kind: Kind,
}

impl Field {
    /// A field of the view's own table, of whole numbers if nothing else is said.
    pub const fn own(name: &'static str, sql: &'static str) -> Field {
        Field { name, sql, join: None, kind: Kind::Int }
    }

    /// A field of a joined table.
    pub const fn joined(name: &'static str, sql: &'static str, join: &'static str) -> Field {
        Field { name, sql, join: Some(join), kind: Kind::Int }
    }

    /// A JSON field of the view's own table.
    pub const fn json(name: &'static str, sql: &'static str) -> Field {
        Field { name, sql, join: None, kind: Kind::Json }
    }

    /// The same field with other content.
    pub const fn holds(mut self, kind: Kind) -> Field {
        self.kind = kind;
        self
    }
}

/// A table with its fields, and the joins that some of them need.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The table.
    pub table: &'static str,
    /// Joins by key, with their text.
    pub joins: &'static [(&'static str, &'static str)],
    /// All fields.
    pub fields: &'static [Field],
    /// The fields of a caller who names none.
    pub default: &'static [&'static str],
}

/// A composed query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    sql: Sql,
    params: Vec<Param>,
    count: bool,
    as_list: bool,
}

impl View {
    /// Composes a query from what a caller sent; the error is the text for the caller.
    pub fn query(
        &self,
        engine: Engine,
        clauses: &Value,
        fields: &Value,
        opts: &Value,
    ) -> Result<Query, String> {
        let mut build = Build { view: self, engine, joins: Vec::new(), params: Vec::new() };
        let order = build.order(opts.get("order"))?;
        let clauses = build.clauses(clauses)?;
        let columns = build.columns(fields)?;
        let count = opts.get("countOnly").truthy();
        let mut tail = Sql::default();
        if !count && !order.is_empty() {
            tail.push(sql![" ORDER BY ", Sql::join(order, ", ")]);
        }
        for (key, word) in [("limit", "LIMIT"), ("offset", "OFFSET")] {
            tail.push(build.bound(opts.get(key), key, word)?);
        }
        let columns = if count { "1 AS one".into() } else { Sql::join(columns, ", ") };
        let mut rest = build.from();
        if !clauses.is_empty() {
            rest.push(sql![" WHERE ", Sql::join(clauses, " AND ")]);
        }
        let mut sql = sql!["SELECT ", columns, " FROM ", rest, tail];
        if count {
            sql = sql!["SELECT count(*) AS total FROM (", sql, ") AS counted"];
        }
        let as_list = opts.get("asList").truthy();
        Ok(Query { sql, params: build.params, count, as_list })
    }

    /// All fields of the rows that a fixed condition selects; `rest` begins with `WHERE` or `ORDER`.
    pub async fn all(
        &self,
        tx: &mut Tx,
        rest: &'static str,
        params: &[Param],
    ) -> Result<Vec<crate::Row>> {
        let columns = Sql::join(self.fields.iter().map(column), ", ");
        let joins = Sql::join(self.joins.iter().map(|(_, text)| *text), " ");
        let sql = sql!["SELECT ", columns, " FROM ", self.table, " ", joins, " ", rest];
        tx.query(sql, params).await
    }
}

impl Query {
    /// The rows as mappings, with `asList` as lists; with `countOnly` their number.
    pub async fn run(&self, tx: &mut Tx) -> Result<Value> {
        if self.count {
            return Ok(Value::Int(tx.scalar(&self.sql, &self.params).await?));
        }
        let rows = tx.maps(&self.sql, &self.params).await?;
        Ok(Value::Array(if self.as_list { rows.into_iter().map(values).collect() } else { rows }))
    }
}

/// The values of a mapping in the order of their names, which is that of Koji's columns.
pub fn values(row: Value) -> Value {
    match row {
        Value::Struct(map) => {
            Value::Array(by_name(map).into_iter().map(|(_, value)| value).collect())
        }
        other => other,
    }
}

/// A mapping with its members in the order of their names.
pub fn by_name(map: Map) -> Map {
    let mut members: Vec<_> = map.into_iter().collect();
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.into_iter().collect()
}

fn column(field: &Field) -> Sql {
    sql![field.sql, " AS ", field.name]
}

struct Build<'a> {
    view: &'a View,
    engine: Engine,
    joins: Vec<&'static str>,
    params: Vec<Param>,
}

impl Build<'_> {
    fn field(&mut self, name: &str) -> Result<&'static Field, String> {
        let found = self.view.fields.iter().find(|f| f.name == name);
        let field = found.ok_or_else(|| format!("Invalid field for query {name}"))?;
        if let Some(join) = field.join
            && !self.joins.contains(&join)
        {
            self.joins.push(join);
        }
        Ok(field)
    }

    fn from(&self) -> Sql {
        let mut text = Sql::from(self.view.table);
        for (key, join) in self.view.joins {
            if self.joins.contains(key) {
                text.push(sql![" ", *join]);
            }
        }
        text
    }

    fn bind(&mut self, param: Param) -> Sql {
        self.params.push(param);
        sql!["$", self.params.len()]
    }

    fn order(&mut self, order: &Value) -> Result<Vec<Sql>, String> {
        let Some(text) = order.as_str().filter(|t| !t.is_empty()) else { return Ok(Vec::new()) };
        let mut terms = Vec::new();
        for key in text.split(',') {
            let (key, direction) = key.strip_prefix('-').map_or((key, ""), |k| (k, " DESC"));
            terms.push(sql![self.field(key)?.sql, direction]);
        }
        Ok(terms)
    }

    fn bound(&mut self, value: &Value, key: &str, word: &'static str) -> Result<Sql, String> {
        match value {
            Value::Nil => Ok(Sql::default()),
            Value::Int(n) if *n >= 0 => Ok(sql![" ", word, " ", self.bind(Param::Int(*n))]),
            other => Err(format!("Invalid type for {key}: {}", other.display())),
        }
    }

    fn columns(&mut self, fields: &Value) -> Result<Vec<Sql>, String> {
        let names: Vec<&str> = match fields {
            Value::Str(name) if !name.is_empty() => vec![name],
            Value::Array(list) if !list.is_empty() => {
                let text = |v| {
                    Value::as_str(v)
                        .ok_or_else(|| format!("Invalid field for query {}", v.display()))
                };
                list.iter().map(text).collect::<Result<_, _>>()?
            }
            _ => self.view.default.to_vec(),
        };
        let mut wanted: Vec<&'static Field> = Vec::new();
        for name in names {
            let more: Vec<&'static Field> = match name {
                "*" => {
                    let reachable = |f: &&Field| f.join.is_none_or(|j| self.joins.contains(&j));
                    self.view.fields.iter().filter(reachable).collect()
                }
                "**" => self.view.fields.iter().collect(),
                name => vec![self.field(name)?],
            };
            for field in more {
                if wanted.iter().all(|f| f.name != field.name) {
                    wanted.push(self.field(field.name)?);
                }
            }
        }
        Ok(wanted.into_iter().map(column).collect())
    }

    fn clauses(&mut self, clauses: &Value) -> Result<Vec<Sql>, String> {
        match clauses {
            Value::Array(list) => list.iter().map(|c| self.clause(c)).collect(),
            Value::Str(text) => match text.chars().next() {
                Some(first) => Err(format!("Invalid clause: {first}")),
                None => Ok(Vec::new()),
            },
            other if other.truthy() => Err(format!("Invalid clause: {}", other.display())),
            _ => Ok(Vec::new()),
        }
    }

    fn clause(&mut self, clause: &Value) -> Result<Sql, String> {
        let (field, op, value) = match clause.as_array() {
            Some([field, value @ Value::Array(_)]) => (field, "IN".to_owned(), value),
            Some([field, value]) => (field, "=".to_owned(), value),
            Some([field, op, value]) => (field, op.display().to_uppercase(), value),
            _ => return Err(format!("Invalid clause: {}", clause.display())),
        };
        let known = ["IN", "=", "!=", ">", "<", ">=", "<=", "IS", "IS NOT", "@>", "<@"];
        let found = known.into_iter().find(|known| *known == op);
        let op = found.ok_or_else(|| format!("Invalid operator: {op}"))?;
        let field = self.field(&field.display())?;
        match (op, value) {
            ("@>" | "<@", value) => self.contains(field, op, value),
            ("IS" | "IS NOT", Value::Nil) => Ok(sql![field.sql, " ", op, " NULL"]),
            ("IS" | "IS NOT", Value::Bool(b)) => {
                Ok(sql![field.sql, " ", op, if *b { " TRUE" } else { " FALSE" }])
            }
            ("IS" | "IS NOT", other) => Err(format!("Invalid value for {op}: {}", other.display())),
            ("IN", Value::Array(list)) => {
                let list = self.bind(list_param(field, list)?);
                Ok(sql![field.sql, " = ANY(", list, ")"])
            }
            ("IN", other) => Err(format!("Invalid value for IN: {}", other.display())),
            ("=", value) if field.kind == Kind::Json => {
                let both = [self.contains(field, "@>", value)?, self.contains(field, "<@", value)?];
                Ok(Sql::join(both, " AND "))
            }
            (_, Value::Nil) => Ok("1 = 0".into()),
            (op, value) => {
                let bound = self.bind(param(field, value)?);
                Ok(sql![field.sql, " ", if op == "!=" { "<>" } else { op }, " ", bound])
            }
        }
    }

    /// Whether one JSON mapping holds all members of another.
    fn contains(&mut self, field: &Field, op: &'static str, value: &Value) -> Result<Sql, String> {
        let json = match value {
            Value::Str(text) => serde_json::from_str(text)
                .map(Value::from_json)
                .map_err(|_| format!("Invalid JSON: {text}"))?,
            other => other.clone(),
        };
        let bound = self.bind(Param::Json(json));
        if field.kind != Kind::Json {
            return Err(format!("Invalid operator for field {}: {op}", field.name));
        }
        if self.engine == Engine::Postgres {
            return Ok(sql![field.sql, " ", op, " ", bound, "::jsonb"]);
        }
        let own = Sql::from(field.sql);
        let (whole, part) = if op == "@>" { (own, bound) } else { (bound, own) };
        Ok(sql![
            field.sql,
            " IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(",
            part,
            ") AS part WHERE NOT EXISTS (SELECT 1 FROM json_each(",
            whole,
            ") AS whole WHERE whole.key = part.key AND whole.type = part.type AND whole.value IS part.value))"
        ])
    }
}

/// A value in the form of a field; texts of numbers, truth values and moments are understood.
fn param(field: &Field, value: &Value) -> Result<Param, String> {
    let wrong = |kind: &str| format!("invalid value for {kind} {}: {}", field.name, value.repr());
    match (field.kind, value) {
        (Kind::Int, Value::Int(n)) => Ok(Param::Int(*n)),
        (Kind::Int, Value::Double(x)) if x.fract() == 0.0 => Ok(Param::Int(*x as i64)),
        (Kind::Int, Value::Str(s)) => {
            s.trim().parse().map(Param::Int).map_err(|_| wrong("the number"))
        }
        (Kind::Int, _) => Err(wrong("the number")),
        (Kind::Float, Value::Int(n)) => Ok(Param::Float(*n as f64)),
        (Kind::Float, Value::Double(x)) => Ok(Param::Float(*x)),
        (Kind::Float, Value::Str(s)) => {
            s.trim().parse().map(Param::Float).map_err(|_| wrong("the number"))
        }
        (Kind::Float, _) => Err(wrong("the number")),
        (Kind::Text, Value::Str(s)) => Ok(Param::Text(s.clone())),
        (Kind::Text, _) => Err(wrong("the text")),
        (Kind::Bool, Value::Bool(b)) => Ok(Param::Bool(*b)),
        (Kind::Bool, Value::Str(s)) => match s.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Ok(Param::Bool(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Ok(Param::Bool(false)),
            _ => Err(wrong("the truth value")),
        },
        (Kind::Bool, _) => Err(wrong("the truth value")),
        (Kind::Time, Value::Str(s)) => {
            crate::Time::parse(s).map(Param::Time).map_err(|_| wrong("the moment"))
        }
        (Kind::Time, _) => Err(wrong("the moment")),
        (Kind::Json, _) => Err(format!("invalid operator for the JSON {}", field.name)),
    }
}

fn list_param(field: &Field, list: &[Value]) -> Result<Param, String> {
    let (mut ints, mut texts) = (Vec::new(), Vec::new());
    for value in list {
        match param(field, value)? {
            Param::Int(n) => ints.push(n),
            Param::Text(s) => texts.push(s),
            _ => return Err(format!("{} cannot be one of a list", field.name)),
        }
    }
    Ok(if field.kind == Kind::Text { Param::Texts(texts) } else { Param::Ints(ints) })
}
