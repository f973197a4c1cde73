//! Listing statements that are put together from parts.

mod opts;

pub use opts::QueryOpts;

use toji_value::Value;

use crate::{Error, Param, Result, Row, Sql, Tx, sql};

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
    table: Sql,
    distinct: bool,
    fields: Vec<(Sql, Sql)>,
    joins: Vec<Sql>,
    filters: Vec<Sql>,
    params: Vec<Param>,
    group: Vec<Sql>,
    default_order: Vec<String>,
    default_order_sql: Option<Sql>,
    last_order_sql: Option<Sql>,
    order_map: Option<Vec<(&'static str, Sql)>>,
    opts: QueryOpts,
    allow_group: bool,
}

impl Select {
    /// From a table (or `a, b`).
    pub fn from(table: impl Into<Sql>) -> Select {
        Select {
            table: table.into(),
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
    pub fn field(mut self, expr: impl Into<Sql>, alias: impl Into<Sql>) -> Select {
        self.fields.push((expr.into(), alias.into()));
        self
    }

    /// Adds result columns from pairs of expression and alias.
    pub fn fields(mut self, pairs: &[(&'static str, &'static str)]) -> Select {
        self.fields.extend(pairs.iter().map(|(e, a)| ((*e).into(), (*a).into())));
        self
    }

    /// Adds a join; `JOIN` is put before it unless the text has the word.
    pub fn join(mut self, text: impl Into<Sql>) -> Select {
        let text = text.into();
        let has_word = ["JOIN ", "LEFT "].iter().any(|word| text.as_str().starts_with(word));
        let text = if has_word { text } else { sql!["JOIN ", text] };
        if !self.joins.contains(&text) {
            self.joins.push(text);
        }
        self
    }

    /// Adds a join whose `?` are bound in order.
    pub fn join_with(mut self, text: impl Into<Sql>, params: Vec<Param>) -> Select {
        let text = self.number(&text.into(), params);
        self.join(text)
    }

    /// Adds a condition; its `?` is the value.
    pub fn filter(self, text: impl Into<Sql>, param: impl Into<Param>) -> Select {
        self.filter_with(text, vec![param.into()])
    }

    /// Adds a condition if there is a value.
    pub fn filter_opt(self, text: impl Into<Sql>, param: Option<impl Into<Param>>) -> Select {
        match param {
            Some(param) => self.filter(text, param),
            None => self,
        }
    }

    /// Adds a condition without a value.
    pub fn filter_text(self, text: impl Into<Sql>) -> Select {
        self.filter_with(text, Vec::new())
    }

    /// Adds a condition whose `?` are bound in order.
    pub fn filter_with(mut self, text: impl Into<Sql>, params: Vec<Param>) -> Select {
        let text = self.number(&text.into(), params);
        self.filters.push(text);
        self
    }

    /// Adds a condition that holds if one of several does.
    pub fn filter_any<T: Into<Sql>>(mut self, alternatives: Vec<(T, Vec<Param>)>) -> Select {
        let texts: Vec<Sql> = alternatives
            .into_iter()
            .map(|(text, params)| sql!["(", self.number(&text.into(), params), ")"])
            .collect();
        let none = texts.is_empty();
        self.filters.push(if none { "FALSE".into() } else { Sql::join(texts, " OR ") });
        self
    }

    /// Sorts by these terms (`-name` descends) when the caller gives no order; aliases as in the options.
    pub fn order_default(mut self, terms: &str) -> Select {
        self.default_order = terms.split(',').map(str::to_owned).collect();
        self
    }

    /// Sorts by SQL terms when the caller gives no order.
    pub fn order_default_sql(mut self, terms: impl Into<Sql>) -> Select {
        self.default_order_sql = Some(terms.into());
        self
    }

    /// Sorts rows that the caller's order leaves equal.
    pub fn order_last_sql(mut self, terms: impl Into<Sql>) -> Select {
        self.last_order_sql = Some(terms.into());
        self
    }

    /// Allows the caller to order by these names only, instead of every alias.
    pub fn order_map<T: Into<Sql>>(
        mut self,
        pairs: impl IntoIterator<Item = (&'static str, T)>,
    ) -> Select {
        self.order_map = Some(pairs.into_iter().map(|(name, sql)| (name, sql.into())).collect());
        self
    }

    /// Groups by an expression.
    pub fn group(mut self, expr: impl Into<Sql>) -> Select {
        self.group.push(expr.into());
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
        self.fields.sort_by(|a, b| a.1.as_str().cmp(b.1.as_str()));
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
        tx.query(sql, &params).await
    }

    /// Runs it for the only row, or nothing.
    pub async fn row_opt(self, tx: &mut Tx) -> Result<Option<Row>> {
        let mut rows = self.rows(tx).await?;
        if rows.len() > 1 { Err(Error::ManyRows) } else { Ok(rows.pop()) }
    }

    /// Runs it for the number of rows (within the limit, if the caller gives one).
    pub async fn count(self, tx: &mut Tx) -> Result<i64> {
        let (sql, params) = self.build(true)?;
        tx.scalar(sql, &params).await
    }

    /// The statement and its values.
    fn build(mut self, count: bool) -> Result<(Sql, Vec<Param>)> {
        let order = if count { Sql::default() } else { self.order()? };
        let group = self.grouping()?;
        let limited = self.opts.limit.is_some() || self.opts.offset.is_some();
        let wrapped = count && (limited || !group.is_empty() || self.distinct);
        let columns = match (count, self.distinct) {
            (true, false) if wrapped => "1".into(),
            (true, false) => "count(*)".into(),
            _ => self.columns(),
        };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = sql!["SELECT ", distinct, columns, " FROM ", &self.table];
        for join in &self.joins {
            sql.push(sql![" ", join]);
        }
        for (i, filter) in self.filters.iter().enumerate() {
            sql.push(sql![if i == 0 { " WHERE (" } else { " AND (" }, filter, ")"]);
        }
        sql.push(group);
        sql.push(order);
        self.paging(&mut sql);
        if wrapped {
            sql = sql!["SELECT count(*) FROM (", sql, ") numrows"];
        } else if self.opts.row_lock && !count {
            sql.push(" FOR UPDATE");
        }
        Ok((sql, self.params))
    }

    fn columns(&self) -> Sql {
        Sql::join(self.fields.iter().map(|(e, a)| sql![e, " AS \"", a, "\""]), ", ")
    }

    fn paging(&mut self, sql: &mut Sql) {
        // SQLite wants a limit before an offset.
        let all = self.opts.offset.map(|_| i64::MAX);
        if let Some(limit) = self.opts.limit.or(all) {
            self.params.push(Param::Int(limit));
            sql.push(sql![" LIMIT $", self.params.len()]);
        }
        if let Some(offset) = self.opts.offset {
            self.params.push(Param::Int(offset));
            sql.push(sql![" OFFSET $", self.params.len()]);
        }
    }

    fn order(&self) -> Result<Sql> {
        let given = self.opts.order.as_deref().map(|o| o.split(',').map(str::to_owned).collect());
        if let (None, Some(terms)) = (&given, &self.default_order_sql) {
            return Ok(sql![" ORDER BY ", terms]);
        }
        let last = self.last_order_sql.clone().filter(|_| given.is_some());
        let terms: Vec<String> = given.unwrap_or_else(|| self.default_order.clone());
        let mut out: Vec<Sql> = Vec::new();
        for term in terms {
            let (name, direction) =
                term.strip_prefix('-').map_or((term.as_str(), ""), |n| (n, " DESC"));
            out.push(sql![self.order_expr(name)?, direction]);
        }
        out.extend(last);
        Ok(if out.is_empty() { Sql::default() } else { sql![" ORDER BY ", Sql::join(out, ", ")] })
    }

    /// The expression behind a name; only known names, never a caller's text.
    fn order_expr(&self, name: &str) -> Result<&Sql> {
        if let Some(map) = &self.order_map {
            let found = map.iter().find(|(a, _)| *a == name).map(|(_, e)| e);
            return found.ok_or_else(|| Error::Option(format!("Invalid order term: {name}")));
        }
        self.by_alias(name).ok_or_else(|| Error::Option(format!("Invalid order: {name}")))
    }

    fn by_alias(&self, name: &str) -> Option<&Sql> {
        let bare = |alias: &Sql| alias.as_str().split(':').next() == Some(name);
        self.fields.iter().find(|(_, alias)| bare(alias)).map(|(expr, _)| expr)
    }

    fn grouping(&self) -> Result<Sql> {
        let mut terms = self.group.clone();
        for name in self.opts.group.iter().filter(|_| self.allow_group).flat_map(|g| g.split(',')) {
            if !name.is_empty() {
                let expr = self
                    .by_alias(name)
                    .ok_or_else(|| Error::Option(format!("Invalid group: {name}")))?;
                terms.push(expr.clone());
            }
        }
        let none = terms.is_empty();
        Ok(if none { Sql::default() } else { sql![" GROUP BY ", Sql::join(terms, ", ")] })
    }

    /// Binds values and gives each `?` outside quotes its number.
    fn number(&mut self, text: &Sql, params: Vec<Param>) -> Sql {
        let numbered = text.numbered(self.params.len() + 1);
        self.params.extend(params);
        numbered
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
        assert_eq!(base().build(false).unwrap().0.as_str(), format!("SELECT {columns} {from}"));
        let paged = opts(&[
            ("limit", Value::Int(5)),
            ("offset", Value::Int(2)),
            ("order", Value::Str("-id,free".into())),
        ]);
        let (sql, params) = base().opts(&paged).build(false).unwrap();
        assert_eq!(
            sql.as_str(),
            format!("SELECT {columns} {from} ORDER BY t.id DESC, t.a IS NULL LIMIT $3 OFFSET $4")
        );
        assert_eq!(params[2..], [Param::Int(5), Param::Int(2)]);
        assert_eq!(base().build(true).unwrap().0.as_str(), format!("SELECT count(*) {from}"));
        let counted = base().opts(&paged).build(true).unwrap().0;
        assert_eq!(
            counted.as_str(),
            format!("SELECT count(*) FROM (SELECT 1 {from} LIMIT $3 OFFSET $4) numrows")
        );
    }

    #[test]
    fn only_known_names_order() {
        let bad = opts(&[("order", Value::Str("id; DROP TABLE t".into()))]);
        let error = base().opts(&bad).build(false).unwrap_err();
        assert_eq!(error.to_string(), "Invalid order: id; DROP TABLE t");
        let error = base()
            .order_map([("x", "t.x")])
            .opts(&opts(&[("order", Value::Str("id".into()))]))
            .build(false);
        assert_eq!(error.unwrap_err().to_string(), "Invalid order term: id");
    }
}
