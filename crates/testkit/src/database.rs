//! A fresh, migrated database for each test, copied from a template.

use std::fs;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use toji_db::{Db, Durability, Engine, Options, admin::Server, schema_digest};

use crate::server::{base_dir, locked, server_url};

/// A database that is removed when this is dropped.
pub struct TestDb {
    /// The handle.
    pub db: Db,
    /// How another handle or program reaches the same database.
    pub url: String,
    cleanup: Cleanup,
}

enum Cleanup {
    Dir(#[allow(dead_code, reason = "removes the directory when dropped")] tempfile::TempDir),
    Database { server: String, name: String },
}

impl TestDb {
    /// Makes one.
    ///
    /// Panics when it cannot, as a test should.
    pub async fn new(engine: Engine) -> TestDb {
        match engine {
            Engine::Sqlite => sqlite().await,
            Engine::Postgres => postgres().await,
        }
    }

    /// A further handle to the same database, as another process would have.
    pub async fn reopen(&self) -> Db {
        Db::open(&self.url, &options()).await.expect("the database opens again")
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if let Cleanup::Database { server, name } = &self.cleanup {
            let (server, name) = (server.clone(), name.clone());
            // Dropped inside of a runtime, which cannot wait: the work is done beside it.
            let work = move || {
                runtime().block_on(async {
                    let server = Server::connect(&server).await?;
                    server.drop(&name).await
                })
            };
            let _ = std::thread::spawn(work).join();
        }
    }
}

/// Options for tests: nothing survives a loss of power, and waits end soon.
fn options() -> Options {
    Options {
        readers: 4,
        connections: 6,
        wait: Duration::from_secs(20),
        durability: Durability::None,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime starts")
}

/// Runs a test body on a fresh database of the engine.
pub fn run_on<F: Future<Output = ()>>(engine: Engine, body: impl FnOnce(Db) -> F) {
    runtime().block_on(async {
        let test = TestDb::new(engine).await;
        body(test.db.clone()).await;
    });
}

/// A name that no other test process uses.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn sqlite() -> TestDb {
    let template = sqlite_template().await;
    let dir =
        tempfile::Builder::new().prefix("toji-test").tempdir().expect("a temporary directory");
    let path = dir.path().join("toji.db");
    fs::copy(template, &path).expect("the template is copied");
    let url = format!("sqlite:{}", path.display());
    let db = Db::open(&url, &options()).await.expect("the copy opens");
    TestDb { db, url, cleanup: Cleanup::Dir(dir) }
}

/// The migrated file that tests copy; made once for each schema.
async fn sqlite_template() -> PathBuf {
    let path = base_dir().join(format!("template-{:016x}.db", schema_digest()));
    let _lock = locked("template.lock");
    if !path.exists() {
        let dir = tempfile::tempdir_in(base_dir()).expect("a temporary directory");
        let draft = dir.path().join("toji.db");
        let db = Db::open(&format!("sqlite:{}", draft.display()), &options())
            .await
            .expect("a new file opens");
        db.migrate().await.expect("the schema applies");
        db.close().await;
        fs::rename(draft, &path).expect("the template is kept");
    }
    path
}

async fn postgres() -> TestDb {
    let server_url = server_url();
    let server = Server::connect(&server_url).await.expect("the test server answers");
    let template = postgres_template(&server, &server_url).await;
    let name = unique("toji_test");
    server.drop(&name).await.expect("an old test database goes away");
    server.create(&name, Some(&template)).await.expect("the template is copied");
    let url = with_database(&server_url, &name);
    let db = Db::open(&url, &options()).await.expect("the copy opens");
    TestDb { db, url, cleanup: Cleanup::Database { server: server_url, name } }
}

/// The migrated database that tests copy; made once for each schema.
async fn postgres_template(server: &Server, server_url: &str) -> String {
    let name = format!("toji_template_{:016x}", schema_digest());
    let _lock = locked("postgres-template.lock");
    if !server.exists(&name).await.expect("the server lists its databases") {
        let draft = format!("{name}_draft");
        server.drop(&draft).await.expect("a broken draft goes away");
        server.create(&draft, None).await.expect("a new database is made");
        let db = Db::open(&with_database(server_url, &draft), &options())
            .await
            .expect("a new database opens");
        db.migrate().await.expect("the schema applies");
        db.close().await;
        server.rename(&draft, &name).await.expect("the template is kept");
    }
    name
}

/// `postgres://…/OTHER?…` with another database name.
pub fn with_database(url: &str, name: &str) -> String {
    let (base, query) =
        url.split_once('?').map_or((url, String::new()), |(b, q)| (b, format!("?{q}")));
    let (scheme, rest) = base.split_once("://").expect("a URL");
    let host = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{host}/{name}{query}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_database() {
        let url = super::with_database("postgres:///postgres?host=/tmp/x&user=toji", "a");
        assert_eq!(url, "postgres:///a?host=/tmp/x&user=toji");
        assert_eq!(super::with_database("postgres://u@h:1/postgres", "a"), "postgres://u@h:1/a");
    }
}
