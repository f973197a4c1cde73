//! Helpers for tests: databases of both engines, made fresh for each test.
//!
//! A test that runs on SQLite and on PostgreSQL:
//!
//! ```ignore
//! toji_testkit::both_databases! {
//!     /// Tags are found by name.
//!     async fn finds_tag(db: Db) {
//!         let mut tx = db.begin();
//!         assert!(tx.query("SELECT id FROM tag", &[]).await.unwrap().is_empty());
//!     }
//! }
//! ```
//!
//! This makes the tests `finds_tag::sqlite` and `finds_tag::postgres`. Each gets a migrated database
//! of its own, which vanishes afterwards. Tests that need more (the URL, several handles) call
//! [`TestDb::new`]. The PostgreSQL server is the one that `TOJI_TEST_POSTGRES` names, or one that is
//! started from the installed binaries, shared by all test processes and ended when it is idle; when
//! there is neither, the test fails.

mod cutter;
mod database;
mod koji;
mod server;

pub use cutter::Cutter;
pub use database::{TestDb, run_on, with_database};
pub use koji::koji_database;
pub use server::server_url;

pub use toji_db::{Db, Engine};

/// Makes a test for each engine from a function that takes a [`Db`].
#[macro_export]
macro_rules! both_databases {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: $type:ty) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$meta])*
            async fn body($db: $type) $body

            #[test]
            fn sqlite() {
                $crate::run_on($crate::Engine::Sqlite, body);
            }

            #[test]
            fn postgres() {
                $crate::run_on($crate::Engine::Postgres, body);
            }
        }
    )+};
}
