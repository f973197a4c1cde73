//! PostgreSQL and SQLite behind one [`Db`] and one [`Tx`]; all SQL of the system lives here.
//!
//! A statement is written once, in PostgreSQL's dialect with `$1` placeholders; `dialect` rewrites
//! it for SQLite, once for each text. Every value is bound, so texts are stable and stay prepared.
//!
//! ```no_run
//! # async fn f() -> toji_db::Result<()> {
//! use toji_db::{Db, Options, params};
//! let db = Db::open("sqlite:/var/lib/toji/toji.db", &Options::default()).await?;
//! db.migrate().await?;
//! let mut tx = db.begin();
//! let row = tx.query_opt("SELECT id, name FROM tag WHERE name = $1", params!["f42"]).await?;
//! let id = row.map(|r| r.get::<i64>("id")).transpose()?;
//! # Ok(()) }
//! ```
//!
//! Rules for statement texts:
//! - A result column without a declared type (an expression) that is a truth value, JSON or a time
//!   carries it in its alias: `x IS NULL AS "missing:bool"`, also `:json` and `:ts`.
//! - Moments are bound as [`Param::Time`] (see [`Time`]), or as any parameter cast with
//!   `$1::timestamptz`; they come out as text in Python's form, `2026-11-22 02:53:08.214251+00:00`.
//! - Lists are one parameter: `id = ANY($1)`, `id <> ALL($1)`.

pub mod admin;
pub mod archive;
pub mod build;
pub mod builder;
pub mod buildroot;
pub mod catalog;
pub mod channel;
pub mod claim;
mod db;
mod dialect;
mod error;
pub mod event;
pub mod explain;
pub mod external_repo;
mod fault;
pub mod fragment;
pub mod gc;
pub mod group;
pub mod history;
mod hold;
pub mod host;
pub mod host_work;
pub mod integrity;
pub mod journal;
pub mod key;
pub mod lease;
pub mod live;
pub mod load;
pub mod lockfile;
pub mod lookup;
pub mod message;
pub mod metrics;
mod migrate;
mod moment;
pub mod notice;
pub mod notification;
pub mod outbox;
pub mod package;
mod param;
pub mod past;
pub mod policy;
mod postgres;
pub mod presence;
pub mod repo;
pub mod returned;
mod row;
pub mod rpm;
pub mod scan;
pub mod scheduler;
pub mod search;
mod select;
pub mod session;
pub mod setup;
pub mod sidetag;
pub mod signing;
pub mod snapshot;
mod sql;
mod sqlite;
pub mod statement;
pub mod tag;
pub mod tagged;
pub mod tagging;
pub mod takeover;
pub mod target;
pub mod task;
mod time;
mod tx;
pub mod upload;
pub mod user;
pub mod versioned;
pub mod view;

pub use db::{Db, Durability, Engine, Options};
pub use error::{Error, Result};
pub use hold::{ABANDONED, Hold, Unsure};
pub use migrate::schema_digest;
pub use param::Param;
pub use row::{FromColumn, Row};
pub use select::{QueryOpts, Select};
pub use sql::Sql;
pub use time::Time;
pub use tx::{Clash, Savepoint, Tx};
