//! Databases as a Koji hub of an older version leaves them, made by altering the present schema backwards.

use std::process::Command;

use toji_db::admin::Server;
use toji_db::{Db, Engine};

use crate::database::TestDb;
use crate::server::program;

/// What only this project has.
const OWN: &str = "
DO $$ DECLARE x RECORD; BEGIN
  FOR x IN SELECT tablename AS n FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'toji@_%' ESCAPE '@' LOOP
    EXECUTE format('DROP TABLE %I CASCADE', x.n);
  END LOOP;
  FOR x IN SELECT indexname AS n FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'toji@_%' ESCAPE '@' LOOP
    EXECUTE format('DROP INDEX %I', x.n);
  END LOOP;
  FOR x IN SELECT oid::regprocedure AS n FROM pg_proc WHERE proname LIKE 'toji@_%' ESCAPE '@' LOOP
    EXECUTE format('DROP FUNCTION %s', x.n);
  END LOOP;
END $$;
DELETE FROM locks WHERE name LIKE 'toji%';
DELETE FROM archivetypes WHERE name = 'wsl';
DROP INDEX standard_buildroot_host_id, standard_buildroot_repo_id, standard_buildroot_task_id,
           standard_buildroot_create_event, standard_buildroot_retire_event;";

/// Rows of every kind that a take-over looks at.
const ROWS: &str = "
INSERT INTO users (name, status, usertype) VALUES ('somebody', 0, 0);
INSERT INTO host (user_id, name) VALUES (1, 'builder');
INSERT INTO package (name) VALUES ('thing');
INSERT INTO tag (name) VALUES ('theirs');
INSERT INTO tag_config (tag_id, arches, creator_id) VALUES (1, 'x86_64', 1);
INSERT INTO task (state, channel_id, owner, method, arch) VALUES (2, 1, 1, 'build', 'noarch');
INSERT INTO build (volume_id, pkg_id, version, release, state, task_id, owner, completion_time)
     VALUES (0, 1, '1.0', '1', 1, 1, 1, NOW());
INSERT INTO tag_listing (build_id, tag_id, creator_id) VALUES (1, 1, 1);
INSERT INTO external_repo (name) VALUES ('elsewhere');
INSERT INTO rpminfo (build_id, draft, name, version, release, arch, external_repo_id, payloadhash, size, buildtime)
     VALUES (1, FALSE, 'thing', '1.0', '1', 'x86_64', 0, 'aa', 10, 20),
            (NULL, NULL, 'foreign', '2', '3', 'x86_64', 1, 'bb', 30, 40);
INSERT INTO repo (tag_id, state) VALUES (1, 2);
INSERT INTO proton_queue (address, props, body) VALUES ('a', '{}', '{}');";

/// From each version to the one before it.
const BACKWARDS: [(&str, &str); 4] = [
    (
        "1.35",
        "ALTER TABLE rpminfo DROP COLUMN sigmd5, DROP COLUMN sha1header, DROP COLUMN sha256header,
                             DROP COLUMN sha3_256header;
         DELETE FROM archivetypes WHERE name LIKE 'erofs%' OR name LIKE 'squashfs%';",
    ),
    (
        "1.34",
        "DROP TABLE repo_queue, external_repo_data;
         ALTER TABLE repo DROP COLUMN creation_time, DROP COLUMN state_time, DROP COLUMN begin_event,
                          DROP COLUMN end_event, DROP COLUMN opts, DROP COLUMN custom_opts;
         DROP INDEX rpminfo_nvra;
         DELETE FROM locks WHERE name = 'repo-queue';",
    ),
    (
        "1.33",
        "DROP TABLE scheduler_task_runs, scheduler_host_data, scheduler_sys_data, scheduler_task_refusals,
                    scheduler_log_messages;
         DROP INDEX rpminfo_unique_nvra_not_draft;
         ALTER TABLE rpminfo DROP COLUMN draft,
               ADD CONSTRAINT rpminfo_unique_nvra UNIQUE (name, version, release, arch, external_repo_id),
               ADD CONSTRAINT rpminfo_build_id_fkey FOREIGN KEY (build_id) REFERENCES build(id);
         ALTER TABLE build DROP COLUMN draft, DROP COLUMN promotion_time, DROP COLUMN promoter;
         DELETE FROM permissions WHERE name = 'draft-promoter';
         DELETE FROM locks WHERE name = 'scheduler';",
    ),
    (
        "1.32",
        "DROP TABLE locks;
         ALTER TABLE sessions DROP COLUMN renew_time;
         ALTER TABLE host DROP COLUMN update_time;",
    ),
];

/// A database of a Koji hub of a version from `1.32` to `1.36`, with some rows.
///
/// `1.36 plain` is one of that version without the digests of RPM headers. Panics when it cannot be made.
pub async fn koji_database(version: &str) -> TestDb {
    let test = TestDb::new(Engine::Postgres).await;
    // Its connections remember statements of tables that change now.
    test.db.close().await;
    let mut script = format!("{ROWS}{OWN}");
    let (wanted, plain) = version.split_once(' ').map_or((version, false), |(v, _)| (v, true));
    if plain {
        script += BACKWARDS[0].1.split_once("DELETE").expect("two statements").0;
    }
    for (to, sql) in BACKWARDS {
        if wanted <= to && !plain {
            script += sql;
        }
    }
    let server = Server::connect(&test.url).await.expect("the database answers");
    server.batch(&script).await.expect("the schema goes backwards");
    test
}

impl TestDb {
    /// Everything in a PostgreSQL database as `pg_dump` writes it.
    pub fn dump(&self) -> String {
        let out = Command::new(program("pg_dump")).arg("--dbname").arg(&self.url).output();
        let out = out.expect("pg_dump runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let text = String::from_utf8(out.stdout).expect("a dump in UTF-8");
        // Newer versions put a random word at both ends.
        let lines =
            text.lines().filter(|l| !l.starts_with("\\restrict") && !l.starts_with("\\unrestrict"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Runs statements past the project's own code.
    pub async fn run(&self, sql: &str) {
        let server = Server::connect(&self.url).await.expect("the database answers");
        server.batch(sql).await.unwrap_or_else(|e| panic!("{e}: {sql}"));
    }

    /// A further handle that is closed when the work is done.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&Db) -> T) -> T {
        let db = self.reopen().await;
        let out = work(&db).await;
        db.close().await;
        out
    }
}
