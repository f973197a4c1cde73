//! The statements of the listing calls on a database of many rows: each uses indexes, none has a caller's text in it,
//! and no transaction outlives its call.

use std::collections::BTreeSet;

use toji_db::{Db, Engine, Param, Sql, explain};
use toji_testkit::both_databases;
use toji_value::{Args, Map, Value, list, map};

use super::people::Stage;

/// Tables that grow with the use of a system.
const LARGE: [&str; 20] = [
    "archiveinfo",
    "build",
    "build_types",
    "buildroot",
    "buildroot_listing",
    "events",
    "package",
    "repo",
    "repo_queue",
    "rpminfo",
    "rpmsigs",
    "scheduler_log_messages",
    "scheduler_task_runs",
    "sessions",
    "standard_buildroot",
    "tag_listing",
    "tag_package_owners",
    "tag_packages",
    "task",
    "toji_outbox",
];

/// Table, number of rows, columns, and their values for the row with the number `i`, which begins with 1.
const ROWS: [(&str, u32, &str, &str); 35] = [
    ("events", 30_000, "time", "toji_ago(100000.0 - i)"),
    ("users", 300, "name, status, usertype", "'user' || i, 0, 0"),
    ("host", 20, "user_id, name", "i, 'host' || i"),
    ("host_config", 20, "host_id, arches, create_event, creator_id, active", "i, 'x86_64', i, 1, TRUE"),
    ("host_channels", 20, "host_id, channel_id, create_event, creator_id, active", "i, 1, i, 1, TRUE"),
    ("package", 3_000, "name", "'package' || i"),
    ("tag", 1_000, "name", "'tag' || i"),
    ("tag_config", 1_000, "tag_id, arches, create_event, creator_id, active", "i, 'x86_64', i, 1, TRUE"),
    ("tag_extra", 1_000, "tag_id, key, value, create_event, creator_id, active", "i, 'key', '1', i, 1, TRUE"),
    // chains of five
    (
        "tag_inheritance",
        796,
        "tag_id, parent_id, priority, pkg_filter, create_event, creator_id, active",
        "(i / 4) * 5 + i % 4 + 2, (i / 4) * 5 + i % 4 + 1, 0, '', i, 1, TRUE",
    ),
    ("build_target", 500, "name", "'target' || i"),
    ("build_target_config", 500, "build_target_id, build_tag, dest_tag, create_event, creator_id, active", "i, i, i + 1, i, 1, TRUE"),
    ("external_repo", 50, "name", "'outside' || i"),
    ("external_repo_config", 50, "external_repo_id, url, create_event, creator_id, active", "i, 'http://x/' || i, i, 1, TRUE"),
    ("tag_external_repos", 500, "tag_id, external_repo_id, priority, create_event, creator_id, active", "i, i % 50 + 1, 0, i, 1, TRUE"),
    ("groups", 5, "name", "'group' || i"),
    ("group_config", 5_000, "group_id, tag_id, display_name, create_event, creator_id, active", "(i - 1) / 1000 + 1, (i - 1) % 1000 + 1, 'x', i, 1, TRUE"),
    ("group_package_listing", 5_000, "group_id, tag_id, package, type, create_event, creator_id, active", "i % 5 + 1, i % 1000 + 1, 'p' || i, 'mandatory', i, 1, TRUE"),
    ("task", 20_000, "state, create_time, completion_time, channel_id, host_id, parent, owner, method, arch",
     "CASE WHEN i > 19950 THEN 0 WHEN i % 9 = 0 THEN 5 WHEN i % 31 = 0 THEN 3 ELSE 2 END, toji_ago(30000.0 - i), CASE WHEN i > 19950 THEN NULL ELSE toji_ago(30000.0 - i) END, i % 8 + 1,
      CASE WHEN i > 19950 THEN NULL ELSE i % 20 + 1 END, CASE WHEN i % 4 = 0 AND i > 4 THEN i / 4 ELSE NULL END, i % 300 + 1, 'method' || (i % 40), 'noarch'"),
    ("build", 20_000, "volume_id, pkg_id, version, release, create_event, start_time, completion_time, state, task_id, owner",
     "0, i % 3000 + 1, i || '', '1', i, toji_ago(30000.0 - i), CASE WHEN i > 19990 THEN NULL ELSE toji_ago(30000.0 - i) END,
         CASE WHEN i > 19990 THEN 0 WHEN i % 9 = 0 THEN 3 WHEN i % 31 = 0 THEN 4 ELSE 1 END, i, i % 300 + 1"),
    ("build_types", 20_000, "build_id, btype_id", "i, 1"),
    ("tag_listing", 20_000, "build_id, tag_id, create_event, creator_id, active", "i, i % 1000 + 1, i, 1, TRUE"),
    ("tag_packages", 30_000, "package_id, tag_id, create_event, creator_id, active",
     "i % 3000 + 1, i % 100 + (i - 1) / 3000 * 100 + 1, i, 1, TRUE"),
    ("tag_package_owners", 30_000, "package_id, tag_id, owner, create_event, creator_id, active",
     "i % 3000 + 1, i % 100 + (i - 1) / 3000 * 100 + 1, i % 300 + 1, i, 1, TRUE"),
    ("repo", 5_000, "create_event, tag_id, state, task_id, opts", "i, i % 1000 + 1, CASE WHEN i > 4990 THEN 0 WHEN i > 4900 THEN 1 WHEN i > 4850 THEN 2 ELSE 3 END, i, '{}'"),
    ("repo_queue", 5_000, "owner, priority, tag_id, opts, active, task_id", "1, 20, i % 1000 + 1, '{}', CASE WHEN i > 4990 THEN TRUE ELSE FALSE END, i"),
    ("buildroot", 5_000, "br_type", "0"),
    ("standard_buildroot", 5_000, "buildroot_id, host_id, repo_id, task_id, create_event, state", "i, i % 20 + 1, i, i, i, 3"),
    ("rpminfo", 30_000, "build_id, buildroot_id, name, version, release, arch, draft, external_repo_id, payloadhash, size, buildtime",
     "i % 20000 + 1, i % 5000 + 1, 'rpm' || i, '1', '1', 'x86_64', FALSE, 0, 'hash' || i, 1, 1"),
    ("rpmsigs", 30_000, "rpm_id, sigkey, sighash", "i, 'key' || (i % 500), 'x'"),
    ("buildroot_listing", 30_000, "buildroot_id, rpm_id", "i % 5000 + 1, i"),
    ("archiveinfo", 5_000, "type_id, btype_id, build_id, buildroot_id, filename, size, checksum, checksum_type",
     "1, 2, i, i, 'file' || i, i, 'sum' || i, 0"),
    ("scheduler_task_runs", 20_000, "task_id, host_id, active", "i, i % 20 + 1, CASE WHEN i > 19990 THEN TRUE ELSE FALSE END"),
    ("scheduler_log_messages", 20_000, "task_id, host_id, msg", "i, i % 20 + 1, 'x'"),
    ("sessions", 20_000, "user_id, expired, closed", "i % 300 + 1, TRUE, TRUE"),
];

async fn fill(db: &Db) {
    let mut tx = db.begin_write().await.unwrap();
    for (table, count, columns, values) in ROWS {
        let sql = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO {table} ({columns}) SELECT {values} FROM n"
        );
        let sql = Sql::unchecked(sql);
        tx.execute(sql, &[]).await.unwrap_or_else(|e| panic!("{table}: {e}"));
    }
    tx.commit().await.unwrap();
    let mut tx = db.begin_write().await.unwrap();
    tx.execute("ANALYZE", &[]).await.unwrap();
    tx.commit().await.unwrap();
}

/// The listing calls, each asked for something whose answer does not grow with the database.
fn questions() -> Vec<(&'static str, Value, Map)> {
    let last = || map! { "limit" => 20, "order" => "-id" };
    let mut all = Vec::new();
    let mut ask = |method, args: Value, kw: Map| all.push((method, args, kw));
    for kw in [
        map! { "packageID" => 5 },
        map! { "packageID" => 5, "state" => 1, "queryOpts" => map! { "order" => "-build_id", "limit" => 10 } },
        map! { "userID" => 7 },
        map! { "taskID" => 9 },
        map! { "packageID" => 5, "type" => "rpm" },
        map! { "cgID" => 3 },
        map! { "state" => 0 },
        map! { "completeAfter" => 9e9 },
        map! { "createdAfter" => 9e9 },
        map! { "packageID" => 5, "prefix" => "package5" },
        map! { "prefix" => "package25", "queryOpts" => map! { "limit" => 10 } },
        map! { "queryOpts" => map! { "order" => "-build_id", "limit" => 10 } },
    ] {
        ask("listBuilds", list![], kw);
    }
    for opts in [
        map! { "owner" => 7 },
        map! { "state" => list![0] },
        map! { "state" => list![0, 1, 4], "decode" => true },
        map! { "parent" => 9 },
        map! { "host_id" => 3, "state" => list![1, 4] },
        map! { "completeAfter" => 9e9 },
        map! { "createdAfter" => 9e9 },
        map! { "startedAfter" => 9e9 },
        map! { "method" => "method3", "state" => list![0] },
    ] {
        ask("listTasks", list![opts], map! {});
    }
    for opts in [
        map! {},
        map! { "method" => "method3" },
        map! { "channel_id" => 3 },
        map! { "host_id" => 3 },
        map! { "owner" => 3, "state" => list![2, 3] },
        map! { "parent" => Value::Nil },
    ] {
        ask("listTasks", list![opts, last()], map! {});
    }
    for kw in [
        map! {},
        map! { "inherit" => true },
        map! { "inherit" => true, "latest" => true },
        map! { "package" => "package5" },
        map! { "prefix" => "package" },
        map! { "event" => 25_000 },
        map! { "event" => 25_000, "inherit" => true, "latest" => true },
        map! { "owner" => "user3" },
    ] {
        ask("listTagged", list!["tag5"], kw.clone());
        if !kw.contains_key("prefix") {
            ask("listTaggedRPMS", list!["tag5"], kw);
        }
    }
    ask("listTaggedRPMS", list!["tag5"], map! { "rpmsigs" => true, "arch" => "x86_64" });
    ask("getLatestBuilds", list!["tag5"], map! {});
    ask("getLatestBuilds", list!["tag5"], map! { "package" => "package5" });
    ask("getLatestRPMS", list!["tag5"], map! {});
    ask("untaggedBuilds", list!["package5"], map! {});
    for kw in [
        map! { "buildID" => 5 },
        map! { "buildrootID" => 5 },
        map! { "componentBuildrootID" => 5 },
        map! { "buildID" => 5, "arches" => "x86_64" },
        map! { "imageID" => 5 },
    ] {
        ask("listRPMs", list![], kw);
    }
    ask("listBuildRPMs", list![5], map! {});
    ask("getRPM", list![5], map! {});
    ask("getRPM", list!["rpm5-1-1.x86_64"], map! {});
    ask(
        "getRPM",
        list![map! { "name" => "rpm5", "version" => "1", "release" => "1", "arch" => "x86_64" }],
        map! {},
    );
    ask("queryRPMSigs", list![5], map! {});
    ask(
        "queryRPMSigs",
        list![],
        map! { "sigkey" => "key5", "queryOpts" => map! { "limit" => 10 } },
    );
    for kw in [
        map! { "buildID" => 5 },
        map! { "buildrootID" => 5 },
        map! { "componentBuildrootID" => 5 },
        map! { "filename" => "file5" },
        map! { "archiveID" => 5 },
        map! { "imageID" => 5 },
    ] {
        ask("listArchives", list![], kw);
    }
    for kw in [
        map! { "taskID" => 5 },
        map! { "repoID" => 5 },
        map! { "rpmID" => 5 },
        map! { "archiveID" => 5 },
        map! { "buildrootID" => 5 },
        map! { "tagID" => 5 },
        map! { "hostID" => 5, "queryOpts" => last() },
    ] {
        ask("listBuildroots", list![], kw);
    }
    ask("getBuildroot", list![5], map! {});
    ask("getBuildrootListing", list![5], map! {});
    for kw in [
        map! { "tagID" => 5 },
        map! { "tagID" => 5, "inherited" => true },
        map! { "tagID" => 5, "pkgID" => 5 },
        map! { "userID" => 5 },
        map! { "pkgID" => 5 },
        map! { "tagID" => 5, "event" => 25_000, "inherited" => true },
    ] {
        ask("listPackages", list![], kw);
    }
    ask("listPackagesSimple", list!["package25"], map! {});
    ask("getPackageConfig", list!["tag5", "package5"], map! {});
    for kw in [
        map! { "build" => 5 },
        map! { "tag" => "tag5" },
        map! { "package" => "package5" },
        map! { "package" => "package5", "tag" => "tag5" },
        map! { "tag" => "tag5", "active" => true },
        map! { "tag" => "tag5", "afterEvent" => 29_000 },
    ] {
        ask("queryHistory", list![list!["tag_listing", "tag_packages", "tag_package_owners"]], kw);
    }
    ask(
        "queryHistory",
        list![list!["tag_config", "tag_extra", "tag_inheritance"]],
        map! { "tag" => "tag5" },
    );
    for (method, args) in [
        ("buildReferences", list![5]),
        ("getBuild", list![5]),
        ("getBuild", list!["package6-5-1"]),
        ("getBuildType", list![5]),
        ("getNextRelease", list![map! { "name" => "package5", "version" => "4" }]),
        ("getAverageBuildDuration", list!["package5"]),
        ("getTaskInfo", list![5, true]),
        ("getTaskChildren", list![5]),
        ("getTaskDescendents", list![5]),
        ("getTaskResult", list![19_990]),
        ("taskFinished", list![5]),
        ("getRepo", list!["tag5"]),
        ("getActiveRepos", list![]),
        ("repoInfo", list![5]),
        ("repo.get", list!["tag5"]),
        ("repo.query", list![list![list!["tag_id", 5]]]),
        ("repo.queryQueue", list![list![list!["tag_id", 5]]]),
        ("repo.queryQueue", list![list![list!["active", true]]]),
        ("repo.references", list![5]),
        ("scheduler.getTaskRuns", list![list![list!["task_id", 5]]]),
        ("scheduler.getTaskRuns", list![list![list!["active", true]]]),
        ("scheduler.getLogMessages", list![list![list!["task_id", 5]]]),
        ("scheduler.getTaskRefusals", list![list![list!["task_id", 5]]]),
        ("getTag", list!["tag5"]),
        ("listTags", list![5]),
        ("listTags", list![Value::Nil, 5]),
        ("getBuildTargets", list![]),
        ("getBuildTarget", list!["target5"]),
        ("getBuildConfig", list!["tag5"]),
        ("getTagGroups", list!["tag5"]),
        ("getFullInheritance", list!["tag5"]),
        ("getInheritanceData", list!["tag5"]),
        ("getExternalRepoList", list!["tag5"]),
        ("getTagExternalRepos", list!["tag5"]),
        ("tagLastChangeEvent", list!["tag5"]),
        ("tagFirstChangeEvent", list!["tag5", 20_000]),
        ("tagChangedSinceEvent", list![29_000, list![5]]),
        ("checkTagPackage", list!["tag5", "package5"]),
        ("getUser", list!["user5"]),
        ("getUserPerms", list!["user5"]),
        ("getBuildNotifications", list![5]),
        ("getLastEvent", list![]),
        ("getEvent", list![5]),
        ("getSessionInfo", list![true]),
        ("getLoggedInUser", list![]),
        ("listHosts", list![]),
        ("getHost", list!["host5"]),
        ("search", list!["package5", "package", "glob"]),
        ("host.getHostTasks", list![]),
        ("host.getTasks", list![]),
    ] {
        ask(method, args, map! {});
    }
    all
}

/// Questions that read all names of packages by their nature: a pattern may begin with anything, and a prefix is
/// compared without regard to upper and lower case.
fn reads_names(method: &str, kw: &Map) -> bool {
    ["search", "listPackagesSimple"].contains(&method) || kw.contains_key("prefix")
}

both_databases! {
    async fn every_listing_call_uses_indexes(db: Db) {
        fill(&db).await;
        whole_reads_are_noticed(&db).await;
        let stage = Stage::new(db.clone()).await;
        let mut seen: BTreeSet<String> = db.statements().into_iter().map(|(sql, _)| sql.as_str().to_owned()).collect();
        let mut found = Vec::new();
        for (method, args, kw) in questions() {
            let who = if method.starts_with("host.") { &stage.builder } else { &stage.admin };
            let shown = format!("{method}{} {}", args.repr(), Value::from(kw.clone()).repr());
            // Known: SQLite takes no index for a span of times with an open end.
            let open_span = db.engine() == Engine::Sqlite && shown.contains("After'");
            let large = LARGE.into_iter().filter(|t| *t != "package" || !reads_names(method, &kw));
            let large: Vec<&str> = large.filter(|t| *t != "task" || !open_span).collect();
            let args = Args { positional: args.as_array().unwrap().to_vec(), keywords: kw };
            if let Err(fault) = stage.world.hub.call(who, method, args).await {
                assert!(fault.code != 1 && fault.code != 1019, "{shown}: {fault}");
            }
            for (statement, values) in db.statements() {
                let sql = statement.as_str();
                let reading = sql.trim_start().starts_with("SELECT") || sql.trim_start().starts_with("WITH");
                if !reading || sql.contains("FOR UPDATE") || !seen.insert(sql.to_owned()) {
                    continue;
                }
                let mut tx = db.begin();
                let plan = explain::plan(&mut tx, &statement, &values).await.unwrap_or_else(|e| panic!("{e}: {sql}"));
                let reads = explain::whole_reads(db.engine(), sql, &plan, &large);
                if !reads.is_empty() {
                    found.push(format!("{shown}\n  {}\n  of {sql}\n{}", reads.join("\n  "), plan.join("\n")));
                }
            }
        }
        assert!(found.is_empty(), "{} statements read whole tables:\n\n{}", found.len(), found.join("\n\n"));
        no_transaction_is_left(&db).await;
    }

    async fn no_text_of_a_caller_is_in_a_statement(db: Db) {
        let stage = Stage::new(db.clone()).await;
        let bad = "canary'; DROP TABLE task; --";
        let replace = |value: &Value| match value {
            Value::Str(_) => Value::from(bad),
            Value::Struct(map) => {
                let keys = map.iter().map(|(k, _)| (k.to_string().into(), Value::from(bad)));
                Value::Struct(keys.chain([(bad.to_owned().into(), Value::Int(1))]).collect())
            }
            Value::Array(_) => list![list![bad, "=", bad], bad],
            other => other.clone(),
        };
        for (method, args, kw) in questions() {
            let positional: Vec<Value> = args.as_array().unwrap().iter().map(replace).collect();
            let keywords: Map = kw.iter().map(|(k, v)| (k.to_string().into(), replace(v))).collect();
            for opts in [map! {}, map! { "queryOpts" => map! { "order" => bad, "group" => bad } }] {
                let mut keywords = keywords.clone();
                keywords.extend(opts);
                let args = Args { positional: positional.clone(), keywords };
                if let Err(fault) = stage.world.hub.call(&stage.admin, method, args).await {
                    assert!(!fault.message.contains("SELECT"), "{method}: {fault}");
                }
            }
        }
        let told: Vec<String> = db.statements().iter().map(|(sql, _)| sql.as_str().to_owned()).filter(|s| s.contains("canary")).collect();
        assert_eq!(told, Vec::<String>::new());
        no_transaction_is_left(&db).await;
    }
}

/// The check finds what it is to find.
async fn whole_reads_are_noticed(db: &Db) {
    for (sql, whole) in [
        ("SELECT id FROM task WHERE priority > $1", true),
        ("SELECT t.id FROM build b JOIN task t ON t.id = b.task_id WHERE b.epoch = $1", true),
        ("SELECT id FROM task ORDER BY id", true),
        ("SELECT id FROM task ORDER BY id DESC LIMIT 5", false),
        ("SELECT id FROM task WHERE id = $1", false),
        ("SELECT id FROM users WHERE status = $1", false),
    ] {
        let mut tx = db.begin();
        let values = vec![Param::Int(1); usize::from(sql.contains("$1"))];
        let plan = explain::plan(&mut tx, sql, &values).await.unwrap();
        let reads = explain::whole_reads(db.engine(), sql, &plan, &LARGE);
        assert_eq!(!reads.is_empty(), whole, "{sql}: {plan:?}");
    }
}

/// After their calls, connections are at rest.
async fn no_transaction_is_left(db: &Db) {
    if db.engine() == Engine::Sqlite {
        // its writer is free
        db.begin_write().await.unwrap().rollback().await.unwrap();
        return;
    }
    let sql = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()";
    for _ in 0..200 {
        // a rollback that was sent may still be on its way
        if db.begin().scalar::<i64>(sql, &[]).await.unwrap() == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("transactions are open after their calls");
}
