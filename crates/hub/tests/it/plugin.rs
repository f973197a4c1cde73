//! Plugins in the hub: vetoes, what is undone, added calls, policy tests, and the built-in ones.

use std::path::{Path, PathBuf};

use toji_db::Db;
use toji_hub::Config;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who};

/// The examples that the guide shows.
fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/plugins")
}

fn settings(config: &mut Config, name: &str, pairs: &[(&str, &str)]) {
    let values = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let section = [(name.to_owned(), values.collect())].into();
    config.plugin_options.insert(name.to_owned(), section);
}

/// A hub with one script.
async fn with_script(db: Db, source: &str) -> (Office, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("own.rhai"), source).unwrap();
    let path = folder.path().to_owned();
    let office = Office::new(db, |config| {
        config.plugins = vec!["own".to_owned()];
        config.plugin_path = vec![path];
    })
    .await;
    (office, folder)
}

/// A complete build of `bash`, listed in the tags `one` and `two`.
async fn a_build(office: &Office) -> i64 {
    for tag in ["one", "two"] {
        office.boss("createTag", list![tag]).await;
        office.boss("packageListAdd", list![tag, "bash", "boss"]).await;
    }
    office.boss("createEmptyBuild", list!["bash", "5", "1", Value::Nil]).await.as_int().unwrap()
}

async fn tagged(office: &Office, tag: &str) -> usize {
    office.boss("listTagged", list![tag]).await.as_array().unwrap().len()
}

/// Kinds and bodies of the outbox.
async fn outbox(office: &Office) -> Vec<(String, Value)> {
    let mut call = office.hub.internal().await.unwrap();
    let entries = toji_db::outbox::after(&mut call.tx, 0, 10_000).await.unwrap();
    entries.into_iter().map(|entry| (entry.kind, entry.body)).collect()
}

both_databases! {
    async fn the_example_script_vetoes_answers_and_tests(db: Db) {
        let office = Office::new(db, |config| {
            config.plugins = vec!["freeze".to_owned()];
            config.plugin_path = vec![examples()];
            settings(config, "freeze", &[("tags", "one three")]);
            let tag = "is_frozen && user mate :: deny frozen\nall :: allow";
            config.policies.push(("tag".to_owned(), tag.to_owned()));
        })
        .await;
        let nobody = office.ask(Who::Nobody, "frozenTags", list![], Map::new()).await.unwrap();
        assert_eq!(nobody, list!["one", "three"]);
        let build = a_build(&office).await;
        let before = outbox(&office).await.len();
        let refusal = office.refusal("tagBuildBypass", list!["one", build]).await;
        let want = "1017: Error running preTag callback from freeze:\n\
                    tag one is frozen: bash-5-1 cannot enter it";
        assert_eq!(refusal, want);
        assert_eq!((tagged(&office, "one").await, outbox(&office).await.len()), (0, before));
        office.boss("tagBuildBypass", list!["two", build]).await;
        office.boss("tagBuildBypass", list!["one", build, true]).await;
        assert_eq!((tagged(&office, "one").await, tagged(&office, "two").await), (1, 1));
        let mate = office.fault(Who::Mate, "tagBuild", list!["one", build], Map::new()).await;
        assert!(mate.contains("policy violation (tag): frozen"), "{mate}");
        let api = office.boss("system.listMethods", list![]).await;
        assert!(api.as_array().unwrap().contains(&"frozenTags".into()));
    }

    async fn the_example_program_keeps_a_ledger(db: Db) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("builds").to_str().unwrap().to_owned();
        let office = Office::new(db, |config| {
            config.plugins = vec!["ledger".to_owned()];
            config.plugin_path = vec![examples()];
            settings(config, "ledger", &[("file", &file)]);
        })
        .await;
        a_build(&office).await;
        let lines = office.boss("ledgerLines", list![]).await;
        assert_eq!(lines, list!["bash-5-1 by boss"]);
        let refused = office.fault(Who::Nobody, "ledgerLines", list![], Map::new()).await;
        assert!(refused.starts_with("1004: "), "{refused}");
        let wrong = office.refusal("ledgerLines", list![1, 2]).await;
        assert_eq!(wrong, "1019: ledgerLines() takes from 0 to 1 positional arguments but 2 were given");
    }

    async fn a_failure_after_the_deed_undoes_it_unless_it_is_ignored(db: Db) {
        let source = r#"
            callback("postTag", |name, args| {
                if args.tag.name == "two" { throw "no two" }
            });
            callback("postUntag", |name, args| {
                hub("addBType", ["never"]);
                throw "too late";
            }, #{ ignore_error: true });
        "#;
        let (office, _folder) = with_script(db, source).await;
        let build = a_build(&office).await;
        office.boss("tagBuildBypass", list!["one", build]).await;
        let refusal = office.refusal("tagBuildBypass", list!["two", build]).await;
        assert_eq!(refusal, "1017: Error running postTag callback from own:\nno two");
        assert_eq!((tagged(&office, "one").await, tagged(&office, "two").await), (1, 0));
        office.boss("untagBuildBypass", list!["one", build]).await;
        assert_eq!(tagged(&office, "one").await, 0);
        let types = office.boss("listBTypes", list![map! { "name" => "never" }]).await;
        assert_eq!(types, list![]);
    }

    async fn the_commit_is_told_before_and_after(db: Db) {
        let source = r#"
            callback("preCommit", |name, args| {
                if hub("getTag", ["vetoed"]) != () { throw "not that tag" }
            });
            callback("postCommit", |name, args| {
                if hub("listBTypes", [#{ name: "seen" }]).len() == 0 {
                    if hub("getTag", ["told"]) != () { hub("addBType", ["seen"]) }
                }
                throw "only logged";
            }, #{ ignore_error: false });
        "#;
        let (office, _folder) = with_script(db, source).await;
        let refusal = office.refusal("createTag", list!["vetoed"]).await;
        assert_eq!(refusal, "1017: Error running preCommit callback from own:\nnot that tag");
        assert_eq!(office.boss("getTag", list!["vetoed"]).await, Value::Nil);
        office.boss("createTag", list!["told"]).await;
        assert_ne!(office.boss("getTag", list!["told"]).await, Value::Nil);
    }

    async fn callbacks_do_not_run_for_ever(db: Db) {
        let source = r#"
            callback("postPackageListChange", |name, args| {
                hub("packageListAdd", [args.tag.id, args["package"].name + "x", "boss"]);
            });
        "#;
        let (office, _folder) = with_script(db, source).await;
        office.boss("createTag", list!["one"]).await;
        let refusal = office.refusal("packageListAdd", list!["one", "bash", "boss"]).await;
        assert!(refusal.contains("callbacks lead to callbacks"), "{refusal}");
        assert_eq!(office.boss("listPackages", list!["one"]).await, list![]);
    }

    async fn callbacks_may_lead_deep(db: Db) {
        // Each level is a call, a callback and a script, on a worker's stack of two megabytes.
        let source = r#"
            callback("postPackageListChange", |name, args| {
                let name = args["package"].name;
                if name.len() < 15 { hub("packageListAdd", [args.tag.id, name + "x", "boss"]); }
                if name == "xxxxx" { try { hub("packageListAdd", [args.tag.id, "y", "nobody"]) } catch (e) { } }
            });
            rpc("down", |n| { if n == 0 { 0 } else { 1 + hub("down", [n - 1]) } }, #{ params: ["n"] });
        "#;
        let (office, _folder) = with_script(db, source).await;
        office.boss("createTag", list!["one"]).await;
        office.boss("packageListAdd", list!["one", "x", "boss"]).await;
        assert_eq!(office.boss("listPackages", list!["one"]).await.as_array().unwrap().len(), 15);
        assert_eq!(office.boss("down", list![12]).await, Value::Int(12));
        let refusal = office.refusal("down", list![100]).await;
        assert!(refusal.contains("callbacks lead to callbacks"), "{refusal}");
    }

    async fn a_plugin_works_with_the_rights_of_the_caller(db: Db) {
        let source = r#"
            rpc("make", |name| {
                try { hub("createTag", ["first " + name]) } catch (e) { }
                hub("createTag", [name])
            }, #{ params: ["name"], access: "login" });
            rpc("own", || { throw #{ code: 1004, message: "never" } }, #{ access: "tag" });
        "#;
        let (office, _folder) = with_script(db, source).await;
        let refused = office.fault(Who::Mate, "make", list!["x"], Map::new()).await;
        assert_eq!(refused, "1004: tag permission required (logged in as mate)");
        assert!(office.boss("make", list!["x"]).await.as_int().is_some());
        assert_eq!(office.refusal("own", list![]).await, "1004: never");
        let refused = office.fault(Who::Mate, "own", list![], Map::new()).await;
        assert_eq!(refused, "1004: tag permission required (logged in as mate)");
        let wrong = office.refusal("make", list![]).await;
        assert_eq!(wrong, "1019: make() missing 1 required positional argument: 'name'");
    }

    async fn messages_have_kojis_form(db: Db) {
        let office = Office::new(db, |config| {
            config.plugins = vec!["echo".to_owned(), "protonmsg".to_owned()];
        })
        .await;
        let build = a_build(&office).await;
        office.boss("tagBuildBypass", list!["one", build]).await;
        office.boss("untagBuildBypass", list!["one", build]).await;
        let told: Vec<Value> = outbox(&office)
            .await
            .into_iter()
            .filter(|(kind, _)| kind == "protonmsg")
            .map(|(_, body)| body)
            .collect();
        let addresses: Vec<String> = told.iter().map(|m| m.get("address").display()).collect();
        let kinds = ["package.add", "package.add", "build.complete", "build.tag", "build.untag"];
        let told_kinds: Vec<&String> =
            addresses.iter().filter(|address| !address.starts_with("task.")).collect();
        assert_eq!(told_kinds, kinds.iter().collect::<Vec<_>>());
        let tag = told.iter().find(|m| m.get("address").as_str() == Some("build.tag")).unwrap();
        let props = map! {
            "type" => "Tag", "tag" => "one", "name" => "bash", "version" => "5", "release" => "1",
            "user" => "boss",
        };
        assert_eq!(tag.get("props"), &Value::from(props));
        let body: serde_json::Value =
            serde_json::from_str(tag.get("body").as_str().unwrap()).unwrap();
        assert_eq!(body["build"]["nvr"], "bash-5-1");
        assert_eq!(body["force"], false);
        let done = told.iter().find(|m| m.get("address").as_str() == Some("build.complete"));
        let done = done.unwrap();
        assert_eq!(done.get("props").get("new"), &Value::from("COMPLETE"));
        let body: serde_json::Value =
            serde_json::from_str(done.get("body").as_str().unwrap()).unwrap();
        assert!(body["btypes"].is_object(), "{body}");
        assert_eq!(body["new"], 1);
    }
}
