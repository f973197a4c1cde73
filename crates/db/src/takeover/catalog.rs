//! The objects of a PostgreSQL schema with their definitions, so that two states can be compared.

use crate::{Result, Tx};

/// A table, column, constraint, index, function, sequence or trigger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    /// `table`, `column`, …
    pub(crate) kind: String,
    /// The table it belongs to; its own name for tables, sequences and functions.
    pub(crate) table: String,
    /// Its name within the table.
    pub(crate) part: String,
    /// Its definition.
    pub(crate) text: String,
}

impl Object {
    /// `kind table.part`: what it is found by.
    pub(crate) fn key(&self) -> String {
        if self.part.is_empty() {
            return format!("{} {}", self.kind, self.table);
        }
        format!("{} {}.{}", self.kind, self.table, self.part)
    }
}

/// Definitions name the schema of what they refer to; it is taken out, so that two schemas compare.
const OBJECTS: &str = "
SELECT kind, own.part AS part, own.name AS name,
       replace(own.text, current_schema() || '.', '') AS text
  FROM (
    SELECT 'table' AS kind, c.relname::text AS name, '' AS part, c.relkind::text AS text
      FROM pg_class c WHERE c.relnamespace = current_schema()::text::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT 'sequence', c.relname::text, '', format_type(s.seqtypid, NULL) || ' ' || s.seqincrement || ' ' || s.seqcache
      FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
     WHERE c.relnamespace = current_schema()::text::regnamespace
    UNION ALL
    SELECT 'column', c.relname::text, a.attname::text,
           format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
           || COALESCE(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
     WHERE c.relnamespace = current_schema()::text::regnamespace AND c.relkind IN ('r', 'p')
       AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint', c.relname::text, k.conname::text,
           pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN '' ELSE ' not validated' END
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
     WHERE c.relnamespace = current_schema()::text::regnamespace
    UNION ALL
    SELECT 'index', t.relname::text, c.relname::text, pg_get_indexdef(c.oid)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
     WHERE c.relnamespace = current_schema()::text::regnamespace AND i.indisvalid
       AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
    UNION ALL
    SELECT 'trigger', c.relname::text, g.tgname::text, pg_get_triggerdef(g.oid)
      FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
     WHERE c.relnamespace = current_schema()::text::regnamespace AND NOT g.tgisinternal
    UNION ALL
    SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', '',
           pg_get_function_result(p.oid) || ' ' || p.prosrc
      FROM pg_proc p WHERE p.pronamespace = current_schema()::text::regnamespace AND p.prokind = 'f'
       AND NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')) own
 ORDER BY kind, name, part";

/// The objects of the current schema, in the order of their kinds and names.
pub(crate) async fn read(tx: &mut Tx) -> Result<Vec<Object>> {
    let rows = tx.query(OBJECTS, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(Object {
                kind: row.get("kind")?,
                table: row.get("name")?,
                part: row.get("part")?,
                text: row.get("text")?,
            })
        })
        .collect()
}

/// What `after` has and `before` has not.
///
/// What belongs to a new table comes and goes with it, and is not named by itself.
pub(crate) fn added<'a>(before: &[Object], after: &'a [Object]) -> Vec<&'a Object> {
    let known: std::collections::HashSet<String> = before.iter().map(Object::key).collect();
    let table_known = |table: &str| known.contains(&format!("table {table}"));
    after
        .iter()
        .filter(|o| !known.contains(&o.key()))
        .filter(|o| match o.kind.as_str() {
            "table" | "function" => true,
            // A sequence goes with the column that it belongs to.
            "sequence" => false,
            _ => table_known(&o.table),
        })
        .collect()
}
