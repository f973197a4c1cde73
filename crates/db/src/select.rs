//! Listing statements that are put together from parts.

mod opts;

pub use opts::QueryOpts;

use toji_value::Value;

use crate::{Error, Param, Result, Row, Tx};

/// A SELECT whose fields, joins and conditions depend on the call; every value is bound, so there is
/// one text for each combination of parts.
///
/// ```no_run
/// # async fn f(tx: &mut toji_db::Tx, opts: toji_db::QueryOpts) -> toji_db::Result<()> {
/// use toji_db::Select;
/// let builds = Select::from("build")
///     .field("build.id", "build_id")
///     .field("package.name", "name")
///     .join("package ON build.pkg_id = package.id")
///     .filter("build.pkg_id = ?", 17)
///     .opts(&opts)
///     .fetch(tx)
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Select {
    table: String,
    distinct: bool,
    fields: Vec<(String, String)>,
    joins: Vec<String>,
    filters: Vec<String>,
    params: Vec<Param>,
    group: Vec<String>,
    default_order: Vec<String>,
    default_order_sql: Option<String>,
    last_order_sql: Option<String>,
    order_map: Option<Vec<(String, String)>>,
    opts: QueryOpts,
    allow_group: bool,
}

impl Select {
    /// From a table (or `a, b`).
    pub fn from(table: &str) -> Select {
        Select {
            table: table.to_owned(),
            distinct: false,
            fields: Vec::new(),
            joins: Vec::new(),
            filters: Vec::new(),
            params: Vec::new(),
            group: Vec::new(),
            default_order: Vec::new(),
            default_order_sql: None,
            last_order_sql: None,
            order_map: None,
            opts: QueryOpts::default(),
            allow_group: false,
        }
    }

    /// Adds a result column; the alias may carry a type (`active:bool`).
    pub fn field(mut self, expr: &str, alias: &str) -> Select {
        self.fields.push((expr.to_owned(), alias.to_owned()));
        self
    }

    /// Adds result columns from pairs of expression and alias.
    pub fn fields(mut self, pairs: &[(&str, &str)]) -> Select {
        self.fields.extend(pairs.iter().map(|(e, a)| ((*e).to_owned(), (*a).to_owned())));
        self
    }

    /// Adds a join; `JOIN` is put before it unless the text has the word.
    pub fn join(mut self, text: &str) -> Select {
        let has_word = ["JOIN ", "LEFT "].iter().any(|word| text.starts_with(word));
        let text = if has_word { text.to_owned() } else { format!("JOIN {text}") };
        if !self.joins.contains(&text) {
            self.joins.push(text);
        }
        self
    }

    /// Adds a join whose `?` are bound in order.
    pub fn join_with(mut self, text: &str, params: Vec<Param>) -> Select {
        let text = self.number(text, params);
        self.join(&text)
    }

    /// Adds a condition; its `?` is the value.
    pub fn filter(self, text: &str, param: impl Into<Param>) -> Select {
        self.filter_with(text, vec![param.into()])
    }

    /// Adds a condition if there is a value.
    pub fn filter_opt(self, text: &str, param: Option<impl Into<Param>>) -> Select {
        match param {
            Some(param) => self.filter(text, param),
            None => self,
        }
    }

    /// Adds a condition without a value.
    pub fn filter_text(self, text: &str) -> Select {
        self.filter_with(text, Vec::new())
    }

    /// Adds a condition whose `?` are bound in order.
    pub fn filter_with(mut self, text: &str, params: Vec<Param>) -> Select {
        let text = self.number(text, params);
        self.filters.push(text);
        self
    }

    /// Adds a condition that holds if one of several does.
    pub fn filter_any(mut self, alternatives: Vec<(&str, Vec<Param>)>) -> Select {
        let texts: Vec<String> = alternatives
            .into_iter()
            .map(|(text, params)| format!("({})", self.number(text, params)))
            .collect();
        self.filters.push(if texts.is_empty() { "FALSE".into() } else { texts.join(" OR ") });
        self
    }

    /// Sorts by these terms (`-name` descends) when the caller gives no order; aliases as in the options.
    pub fn order_default(mut self, terms: &str) -> Select {
        self.default_order = terms.split(',').map(str::to_owned).collect();
        self
    }

    /// Sorts by SQL terms when the caller gives no order.
    pub fn order_default_sql(mut self, terms: &str) -> Select {
        self.default_order_sql = Some(terms.to_owned());
        self
    }

    /// Sorts rows that the caller's order leaves equal.
    pub fn order_last_sql(mut self, terms: &str) -> Select {
        self.last_order_sql = Some(terms.to_owned());
        self
    }

    /// Allows the caller to order by these names only, instead of every alias.
    pub fn order_map(mut self, pairs: &[(&str, &str)]) -> Select {
        self.order_map =
            Some(pairs.iter().map(|(a, e)| ((*a).to_owned(), (*e).to_owned())).collect());
        self
    }

    /// Groups by an expression.
    pub fn group(mut self, expr: &str) -> Select {
        self.group.push(expr.to_owned());
        self
    }

    /// Lets the caller's options group by aliases.
    pub fn allow_group(mut self) -> Select {
        self.allow_group = true;
        self
    }

    /// Leaves out repeated rows.
    pub fn distinct(mut self) -> Select {
        self.distinct = true;
        self
    }

    /// Takes the caller's options.
    pub fn opts(mut self, opts: &QueryOpts) -> Select {
        self.opts = opts.clone();
        self
    }

    /// Runs it as the caller's options want: a list of mappings, a list of lists, or a number; the
    /// columns are in the order of their names, as Koji's clients see them.
    pub async fn fetch(mut self, tx: &mut Tx) -> Result<Value> {
        let (count, as_list) = (self.opts.count_only, self.opts.as_list);
        self.fields.sort_by(|a, b| a.1.cmp(&b.1));
        if count {
            return self.count(tx).await.map(Value::Int);
        }
        let rows = self.rows(tx).await?;
        let answer = |row: Row| {
            if as_list { Value::Array(row.into_values()) } else { Value::Struct(row.into_map()) }
        };
        Ok(Value::Array(rows.into_iter().map(answer).collect()))
    }

    /// Runs it for its rows.
    pub async fn rows(self, tx: &mut Tx) -> Result<Vec<Row>> {
        let (sql, params) = self.build(false)?;
        tx.query(&sql, &params).await
    }

    /// Runs it for the only row, or nothing.
    pub async fn row_opt(self, tx: &mut Tx) -> Result<Option<Row>> {
        let mut rows = self.rows(tx).await?;
        if rows.len() > 1 { Err(Error::ManyRows) } else { Ok(rows.pop()) }
    }

    /// Runs it for the number of rows (within the limit, if the caller gives one).
    pub async fn count(self, tx: &mut Tx) -> Result<i64> {
        let (sql, params) = self.build(true)?;
        tx.scalar(&sql, &params).await
    }

    /// The statement and its values.
    fn build(mut self, count: bool) -> Result<(String, Vec<Param>)> {
        let order = if count { String::new() } else { self.order()? };
        let group = self.grouping()?;
        let limited = self.opts.limit.is_some() || self.opts.offset.is_some();
        let wrapped = count && (limited || !group.is_empty() || self.distinct);
        let columns = match (count, self.distinct) {
            (true, false) if wrapped => "1".to_owned(),
            (true, false) => "count(*)".to_owned(),
            _ => self.columns(),
        };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{columns} FROM {}", self.table);
        for join in &self.joins {
            sql += &format!(" {join}");
        }
        for (i, filter) in self.filters.iter().enumerate() {
            sql += &format!(" {} ({filter})", if i == 0 { "WHERE" } else { "AND" });
        }
        sql += &group;
        sql += &order;
        self.paging(&mut sql);
        if wrapped {
            sql = format!("SELECT count(*) FROM ({sql}) numrows");
        } else if self.opts.row_lock && !count {
            sql += " FOR UPDATE";
        }
        Ok((sql, self.params))
    }

    fn columns(&self) -> String {
        let columns: Vec<String> =
            self.fields.iter().map(|(e, a)| format!("{e} AS \"{a}\"")).collect();
        columns.join(", ")
    }

    fn paging(&mut self, sql: &mut String) {
        // SQLite wants a limit before an offset.
        let all = self.opts.offset.map(|_| i64::MAX);
        if let Some(limit) = self.opts.limit.or(all) {
            self.params.push(Param::Int(limit));
            *sql += &format!(" LIMIT ${}", self.params.len());
        }
        if let Some(offset) = self.opts.offset {
            self.params.push(Param::Int(offset));
            *sql += &format!(" OFFSET ${}", self.params.len());
        }
    }

    fn order(&self) -> Result<String> {
        let given = self.opts.order.as_deref().map(|o| o.split(',').map(str::to_owned).collect());
        if let (None, Some(terms)) = (&given, &self.default_order_sql) {
            return Ok(format!(" ORDER BY {terms}"));
        }
        let last = self.last_order_sql.clone().filter(|_| given.is_some());
        let terms: Vec<String> = given.unwrap_or_else(|| self.default_order.clone());
        let mut out = Vec::new();
        for term in terms {
            let (name, direction) =
                term.strip_prefix('-').map_or((term.as_str(), ""), |n| (n, " DESC"));
            out.push(format!("{}{direction}", self.order_expr(name)?));
        }
        out.extend(last);
        Ok(if out.is_empty() { String::new() } else { format!(" ORDER BY {}", out.join(", ")) })
    }

    /// The expression behind a name; only known names, never a caller's text.
    fn order_expr(&self, name: &str) -> Result<&str> {
        if let Some(map) = &self.order_map {
            let found = map.iter().find(|(a, _)| a == name).map(|(_, e)| e.as_str());
            return found.ok_or_else(|| Error::Option(format!("Invalid order term: {name}")));
        }
        self.by_alias(name).ok_or_else(|| Error::Option(format!("Invalid order: {name}")))
    }

    fn by_alias(&self, name: &str) -> Option<&str> {
        let bare = |alias: &str| alias.split(':').next() == Some(name);
        self.fields.iter().find(|(_, alias)| bare(alias)).map(|(expr, _)| expr.as_str())
    }

    fn grouping(&self) -> Result<String> {
        let mut terms = self.group.clone();
        for name in self.opts.group.iter().filter(|_| self.allow_group).flat_map(|g| g.split(',')) {
            if !name.is_empty() {
                let expr = self
                    .by_alias(name)
                    .ok_or_else(|| Error::Option(format!("Invalid group: {name}")))?;
                terms.push(expr.to_owned());
            }
        }
        Ok(if terms.is_empty() { String::new() } else { format!(" GROUP BY {}", terms.join(", ")) })
    }

    /// Binds values and gives each `?` outside quotes its number.
    fn number(&mut self, text: &str, params: Vec<Param>) -> String {
        let mut out = String::with_capacity(text.len() + 4);
        let mut next = self.params.len();
        let mut quoted = false;
        for c in text.chars() {
            quoted ^= c == '\'';
            if c == '?' && !quoted {
                next += 1;
                out += &format!("${next}");
            } else {
                out.push(c);
            }
        }
        self.params.extend(params);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opts(pairs: &[(&'static str, Value)]) -> QueryOpts {
        let map = pairs.iter().map(|(k, v)| ((*k).into(), v.clone())).collect();
        QueryOpts::from_value(&Value::Struct(map)).unwrap()
    }

    fn base() -> Select {
        Select::from("t")
            .field("t.id", "id")
            .field("t.a IS NULL", "free:bool")
            .join("u ON u.id = t.u")
            .join("LEFT JOIN v ON v.id = t.v")
            .filter("t.name = ?", "x")
            .filter_any(vec![("t.a = ?", vec![1.into()]), ("t.b <> '?'", vec![])])
    }

    #[test]
    fn texts() {
        let from = "FROM t JOIN u ON u.id = t.u LEFT JOIN v ON v.id = t.v \
                    WHERE (t.name = $1) AND ((t.a = $2) OR (t.b <> '?'))";
        let columns = "t.id AS \"id\", t.a IS NULL AS \"free:bool\"";
        assert_eq!(base().build(false).unwrap().0, format!("SELECT {columns} {from}"));
        let paged = opts(&[
            ("limit", Value::Int(5)),
            ("offset", Value::Int(2)),
            ("order", Value::Str("-id,free".into())),
        ]);
        let (sql, params) = base().opts(&paged).build(false).unwrap();
        assert_eq!(
            sql,
            format!("SELECT {columns} {from} ORDER BY t.id DESC, t.a IS NULL LIMIT $3 OFFSET $4")
        );
        assert_eq!(params[2..], [Param::Int(5), Param::Int(2)]);
        assert_eq!(base().build(true).unwrap().0, format!("SELECT count(*) {from}"));
        let counted = base().opts(&paged).build(true).unwrap().0;
        assert_eq!(
            counted,
            format!("SELECT count(*) FROM (SELECT 1 {from} LIMIT $3 OFFSET $4) numrows")
        );
    }

    #[test]
    fn only_known_names_order() {
        let bad = opts(&[("order", Value::Str("id; DROP TABLE t".into()))]);
        let error = base().opts(&bad).build(false).unwrap_err();
        assert_eq!(error.to_string(), "Invalid order: id; DROP TABLE t");
        let error = base()
            .order_map(&[("x", "t.x")])
            .opts(&opts(&[("order", Value::Str("id".into()))]))
            .build(false);
        assert_eq!(error.unwrap_err().to_string(), "Invalid order term: id");
    }
}
