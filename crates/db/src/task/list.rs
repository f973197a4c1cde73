//! The listing of tasks by any of their properties.

use toji_value::Value;

use crate::{Param, QueryOpts, Result, Select, Tx, sql};

/// What a number column must be.
#[derive(Clone, Debug)]
pub enum Match {
    /// Not set.
    Null,
    /// This number.
    One(i64),
    /// One of these.
    Many(Vec<i64>),
}

/// A number column that can be asked for.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// The owner's id.
    Owner,
    /// The host's id.
    Host,
    /// The channel's id.
    Channel,
    /// The parent's id.
    Parent,
}

/// A moment in a task's life.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// When it was made.
    Created,
    /// When it was opened.
    Started,
    /// When it ended.
    Completed,
}

/// Which tasks are wanted; everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Arches, and whether they are wanted or not.
    pub arches: Vec<(Vec<String>, bool)>,
    /// States, and whether they are wanted or not.
    pub states: Vec<(Vec<i64>, bool)>,
    /// Numbers, and whether they are wanted or not.
    pub numbers: Vec<(Number, Match, bool)>,
    /// The method.
    pub method: Option<String>,
    /// Limits in time; `true` is before.
    pub times: Vec<(Moment, bool, Param)>,
}

/// Free, open and assigned, as the index of unfinished tasks has them.
const UNFINISHED: [i64; 3] = [0, 1, 4];

/// Tasks with requests, results and owners, as the options want them.
pub async fn list(tx: &mut Tx, filter: Filter, opts: &QueryOpts) -> Result<Value> {
    let mut select = Select::from("task")
        .fields(&[
            ("task.arch", "arch"),
            ("task.awaited", "awaited"),
            ("task.channel_id", "channel_id"),
            ("task.completion_time", "completion_time"),
            ("date_part('epoch', task.completion_time)", "completion_ts"),
            ("task.create_time", "create_time"),
            ("date_part('epoch', task.create_time)", "create_ts"),
            ("task.host_id", "host_id"),
            ("task.id", "id"),
            ("task.label", "label"),
            ("task.method", "method"),
            ("task.owner", "owner"),
            ("users.name", "owner_name"),
            ("users.usertype", "owner_type"),
            ("task.parent", "parent"),
            ("task.priority", "priority"),
            ("task.request", "request"),
            ("task.result", "result"),
            ("task.start_time", "start_time"),
            ("date_part('epoch', task.start_time)", "start_ts"),
            ("task.state", "state"),
            ("task.waiting", "waiting"),
            ("task.weight", "weight"),
        ])
        .opts(opts);
    if !opts.count_only {
        select = select.join("LEFT JOIN users ON task.owner = users.id");
    }
    for (arches, wanted) in filter.arches {
        let text = if wanted { "task.arch = ANY(?)" } else { "task.arch <> ALL(?)" };
        select = select.filter(text, arches);
    }
    for (states, wanted) in filter.states {
        let text = if wanted { "task.state = ANY(?)" } else { "task.state <> ALL(?)" };
        // Follows from the condition itself, and is that of an index of few rows.
        if wanted && states.iter().all(|state| UNFINISHED.contains(state)) {
            select = select.filter_text("task.state IN (0, 1, 4)");
        }
        select = select.filter(text, states);
    }
    for (column, value, wanted) in filter.numbers {
        select = number(select, column, value, wanted);
    }
    for (moment, before, time) in filter.times {
        let column = match moment {
            Moment::Created => "task.create_time",
            Moment::Started => "task.start_time",
            Moment::Completed => "task.completion_time",
        };
        let sign = if before { "<" } else { ">" };
        select = select.filter(sql![column, " ", sign, " ?::timestamptz"], time);
    }
    select.filter_opt("task.method = ?", filter.method).order_default("id").fetch(tx).await
}

fn number(select: Select, column: Number, value: Match, wanted: bool) -> Select {
    let column = match column {
        Number::Owner => "task.owner",
        Number::Host => "task.host_id",
        Number::Channel => "task.channel_id",
        Number::Parent => "task.parent",
    };
    match (value, wanted) {
        (Match::Null, true) => select.filter_text(sql![column, " IS NULL"]),
        (Match::Null, false) => select.filter_text(sql![column, " IS NOT NULL"]),
        (Match::One(n), true) => select.filter(sql![column, " = ?"], n),
        (Match::One(n), false) => select.filter(sql![column, " <> ?"], n),
        (Match::Many(list), true) => select.filter(sql![column, " = ANY(?)"], list),
        (Match::Many(list), false) => select.filter(sql![column, " <> ALL(?)"], list),
    }
}
