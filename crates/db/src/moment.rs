//! Conditions for the rows of event-versioned tables that count at a moment.

use crate::{Param, Select, sql};

/// Restricts a listing to the rows of `table` that count now, or counted at an event.
pub(crate) fn at(select: Select, table: &'static str, event: Option<i64>) -> Select {
    match event {
        None => select.filter_text(sql![table, ".active = TRUE"]),
        Some(event) => select.filter_with(
            sql![
                table,
                ".create_event <= ? AND (",
                table,
                ".revoke_event IS NULL OR ? < ",
                table,
                ".revoke_event)"
            ],
            vec![Param::Int(event), Param::Int(event)],
        ),
    }
}
