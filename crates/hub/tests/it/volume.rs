//! Builds that move: between volumes, and from a draft's place to their own.

use std::fs;
use std::path::Path;

use toji_db::Db;
use toji_hub::Request;
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::fixture::{header, import, imported, name, packages, top};
use super::people::Stage;

/// A volume with its link to the top directory.
async fn add_volume(stage: &Stage, name: &str) {
    let dir = top(stage, &format!("vol/{name}"));
    fs::create_dir_all(&dir).unwrap();
    stage.ok(&stage.admin, "addVolume", list![name]).await;
    assert!(dir.join("toplink").is_symlink());
}

async fn repodata_is_made_anew(stage: &Stage) -> bool {
    let sql = "SELECT count(*) FROM toji_rpm_fragment";
    stage.world.get(sql, &[]).await == Value::Int(0)
}

both_databases! {
    async fn a_build_moves_and_leaves_links(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        for volume in ["one", "two"] {
            add_volume(&stage, volume).await;
        }
        let tag = stage.world.tag("f40", &[]).await;
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let refused = stage.refused(&stage.alice, "changeBuildVolume", list!["shelf-1.0-1", "one"]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        let base = top(&stage, "packages/shelf/1.0/1");
        let file = "x86_64/shelf-1.0-1.x86_64.rpm";
        for (volume, other) in [("one", "two"), ("two", "one")] {
            stage.ok(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", volume]).await;
            let build = stage.ok(&stage.alice, "getBuild", list!["shelf-1.0-1"]).await;
            assert_eq!(build.get("volume_name"), &Value::from(volume));
            let link = format!("../../../vol/{volume}/packages/shelf/1.0/1");
            assert_eq!(fs::read_link(&base).unwrap(), Path::new(&link));
            assert!(base.join(file).is_file());
            assert!(!top(&stage, &format!("vol/{other}/packages/shelf/1.0/1")).exists());
            assert!(repodata_is_made_anew(&stage).await, "metadata name the file's place");
        }
        let digest = "SELECT count(*) FROM toji_file WHERE path LIKE 'vol/two/packages/shelf/%'";
        assert_eq!(stage.world.get(digest, &[]).await, Value::Int(3));
        let there = stage.refused(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "two"]).await;
        assert_eq!(there, "Build shelf-1.0-1 already on volume two");
        stage.ok(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "two", false]).await;
        let none = stage.refused(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "zzz"]).await;
        assert_eq!(none, "No such entry in table volume: zzz");
        // something of the build's name on a third volume
        let stray = top(&stage, "vol/one/packages/shelf/1.0/1");
        fs::create_dir_all(&stray).unwrap();
        let refused = stage.refused(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "DEFAULT"]).await;
        assert_eq!(refused, format!("Unexpected cross-volume content: {}", stray.display()));
        let refused = stage.refused(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "one"]).await;
        assert_eq!(refused, format!("Destination directory exists: {}", stray.display()));
        fs::remove_dir(&stray).unwrap();
        stage.ok(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "DEFAULT"]).await;
        assert!(!base.is_symlink() && base.join(file).is_file());
        let updates = "SELECT count(*) FROM tag_updates WHERE tag_id = $1 AND update_type = 0";
        assert_eq!(stage.world.get(updates, &[tag.into()]).await, Value::Int(3));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
    }

    async fn a_move_that_fails_leaves_everything(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        add_volume(&stage, "one").await;
        let inner = |method: &str, params: Value| map! { "methodName" => method, "params" => params };
        let calls = list![list![
            inner("changeBuildVolume", list!["shelf-1.0-1", "one"]),
            inner("noSuchCall", list![]),
        ]];
        // a fault of one call does not undo the others
        stage.ok(&stage.admin, "multiCall", calls).await;
        let base = top(&stage, "packages/shelf/1.0/1");
        assert!(base.is_symlink());
        stage.ok(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "DEFAULT"]).await;
        fs::remove_dir_all(top(&stage, "vol/one")).unwrap();
        let refused = stage.refused(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "one"]).await;
        assert_eq!(refused, "Directory entry missing for volume one");
        assert!(base.join("src/shelf-1.0-1.src.rpm").is_file() && !base.is_symlink());
    }

    async fn an_interrupted_move_is_undone_or_finished(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        let base = top(&stage, "packages/shelf/1.0/1");
        let staged = top(&stage, "vol/one/packages/shelf/1.0/.1.moving");
        let new = top(&stage, "vol/one/packages/shelf/1.0/1");
        let id = stage.ok(&stage.alice, "findBuildID", list!["shelf-1.0-1"]).await;
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        for (state, kept) in [("placing", false), ("committed", true)] {
            toji_store::copy_tree(&base, &staged).unwrap();
            let steps = list![
                map! { "tree" => text(&staged) },
                map! { "rename" => list![text(&staged), text(&new)] },
                map! { "remove" => text(&base) },
                map! { "link" => list![text(&base), "../../../vol/one/packages/shelf/1.0/1"] },
            ];
            let mut call = stage.world.call().await;
            let entry = toji_db::journal::insert(&mut call.tx, id.as_int().unwrap(), &steps).await.unwrap();
            if state == "committed" {
                toji_db::journal::commit(&mut call.tx, entry).await.unwrap();
            }
            call.commit().await.unwrap();
            toji_hub::build::import::recover(&stage.world.hub, 0.0).await.unwrap();
            assert!(!staged.exists());
            assert_eq!(new.is_dir(), kept, "{state}");
            assert_eq!(base.is_symlink(), kept, "{state}");
            assert!(base.join("src/shelf-1.0-1.src.rpm").is_file());
            assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
        }
    }

    async fn what_is_written_during_moves_goes_with_them(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        add_volume(&stage, "one").await;
        let rpm = &made.signed[0];
        let nvra = name(rpm).trim_end_matches(".rpm").to_owned();
        let header = header(rpm);
        let places = ["packages/shelf/1.0/1", "vol/one/packages/shelf/1.0/1"];
        let find = |file: &str| places.map(|place| top(&stage, place).join(file).is_file());
        let (mut done, mut signed) = (0, false);
        for round in 0..30 {
            let volume = ["one", "DEFAULT"][done % 2];
            let moving = stage.call(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", volume]);
            let writing = async {
                match round % 3 {
                    0 if signed => stage.call(&stage.admin, "deleteRPMSig", list![&nvra, &made.key]).await,
                    0 => stage.call(&stage.admin, "addRPMSig", list![&nvra, header.clone()]).await,
                    _ => stage.call(&stage.admin, "writeSignedRPM", list![&nvra, &made.key, true]).await,
                }
            };
            let (moved, written) = tokio::join!(moving, writing);
            done += usize::from(moved.is_ok());
            signed ^= round % 3 == 0 && written.is_ok();
            for fault in [moved.err(), written.err()].into_iter().flatten() {
                let told = ["meanwhile", "being moved", "No cached signature", "No such"];
                assert!(told.iter().any(|text| fault.message.contains(text)), "{fault}");
            }
            let build = stage.ok(&stage.alice, "getBuild", list!["shelf-1.0-1"]).await;
            assert_eq!(build.get("volume_name"), &Value::from(["DEFAULT", "one"][done % 2]));
            let sql = "SELECT path FROM toji_file ORDER BY path";
            let mut call = stage.world.call().await;
            let rows = call.tx.query(sql, &[]).await.unwrap();
            let paths: Vec<String> = rows.iter().map(|row| row.get("path").unwrap()).collect();
            call.tx.rollback().await.unwrap();
            let place = places[done % 2];
            for path in paths {
                assert!(path.starts_with(place) && top(&stage, &path).is_file(), "{path} in round {round}");
            }
            assert!(find("x86_64/shelf-1.0-1.x86_64.rpm").contains(&true));
            assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
        }
        assert!(done > 0);
    }

    async fn the_policy_decides_at_import_and_later(db: Db) {
        let made = packages();
        let stage = Stage::with(db, |config| {
            let policy = "release *1 && package shelf :: one\nall :: DEFAULT";
            config.policies = vec![("volume".into(), policy.into())];
        })
        .await;
        add_volume(&stage, "one").await;
        let build = complete(&stage, &made.plain, false).await;
        assert_eq!(build.get("volume_name"), &Value::from("one"));
        let base = top(&stage, "packages/shelf/1.0/1");
        assert!(base.is_symlink() && base.join("noarch/shelf-doc-1.0-1.noarch.rpm").is_file());
        stage.ok(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "DEFAULT"]).await;
        let refused = stage.refused(&stage.alice, "applyVolumePolicy", list!["shelf-1.0-1"]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        for _ in 0..2 {
            stage.ok(&stage.admin, "applyVolumePolicy", list!["shelf-1.0-1"]).await;
            let build = stage.ok(&stage.alice, "getBuild", list!["shelf-1.0-1"]).await;
            assert_eq!(build.get("volume_name"), &Value::from("one"));
        }
    }

    async fn a_strict_policy_must_name_a_volume(db: Db) {
        let made = packages();
        let stage = Stage::with(db, |config| {
            config.policies = vec![("volume".into(), "all :: nowhere".into())];
        })
        .await;
        import(&stage, &made.plain).await;
        stage.ok(&stage.admin, "applyVolumePolicy", list!["shelf-1.0-1"]).await;
        let refused = stage.refused(&stage.admin, "applyVolumePolicy", list!["shelf-1.0-1", true]).await;
        assert_eq!(refused, "Policy returned no such volume: nowhere");
    }

    async fn a_draft_is_promoted_with_its_files(db: Db) {
        let made = packages();
        let stage = Stage::new(db).await;
        let build = complete(&stage, &made.plain, true).await;
        let id = build.get("id").as_int().unwrap();
        let release = format!("1,draft_{id}");
        assert_eq!(build.get("release"), &Value::from(&release));
        let draft = format!("shelf-1.0-{release}");
        let args = list!["shelf", "1.0", "1", Value::Nil, Value::Nil, true];
        let other = stage.ok(&stage.admin, "createEmptyBuild", args).await;
        let who: &Request = &stage.alice;
        let refused = stage.refused(who, "promoteBuild", list![id]).await;
        assert_eq!(
            refused,
            "policy violation (draft_promotion): \
             Only draft-promoter and build owner can do this via default policy"
        );
        let done = stage.ok(&stage.admin, "promoteBuild", list![draft.as_str(), true]).await;
        assert_eq!(done.get("nvr"), &Value::from("shelf-1.0-1"));
        assert_eq!(done.get("draft"), &Value::Bool(false));
        assert_eq!(done.get("promoter_name"), &Value::from("root"));
        assert!(!done.get("promotion_ts").is_nil());
        let new = top(&stage, "packages/shelf/1.0/1");
        let old = top(&stage, &format!("packages/shelf/1.0/{release}"));
        assert!(new.join("x86_64/shelf-1.0-1.x86_64.rpm").is_file() && !new.is_symlink());
        assert_eq!(fs::read_link(&old).unwrap(), Path::new("1"));
        let rpms = stage.ok(who, "listBuildRPMs", list![id]).await;
        assert!(rpms.as_array().unwrap().iter().all(|rpm| rpm.get("draft") == &Value::Bool(false)));
        let again = stage.refused(&stage.admin, "promoteBuild", list![id]).await;
        assert_eq!(again, "Cannot promote build shelf-1.0-1. Reason: Not a draft build");
        // another draft of the same name has no place to go to
        let refused = stage.refused(&stage.admin, "promoteBuild", list![other]).await;
        assert!(refused.ends_with(&format!("Reason: Target build exists: shelf-1.0-1(#{id})")), "{refused}");
        stage.ok(&stage.admin, "deleteBuild", list![id, true, 0]).await;
        assert!(!new.exists() && !old.is_symlink(), "the draft's old path goes with the build");
    }

    async fn owners_and_times_are_set(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let refused = stage.refused(&stage.alice, "setBuildOwner", list!["shelf-1.0-1", "alice"]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        stage.ok(&stage.admin, "setBuildOwner", list!["shelf-1.0-1", "alice"]).await;
        stage.ok(&stage.admin, "setBuildTimestamp", list!["shelf-1.0-1", 1_700_000_000.5]).await;
        let build = stage.ok(&stage.alice, "getBuild", list!["shelf-1.0-1"]).await;
        assert_eq!(build.get("owner_name"), &Value::from("alice"));
        assert_eq!(build.get("completion_ts"), &Value::Double(1_700_000_000.5));
        let date = Value::DateTime("20231114T22:13:20".into());
        stage.ok(&stage.admin, "setBuildTimestamp", list!["shelf-1.0-1", date]).await;
        let build = stage.ok(&stage.alice, "getBuild", list!["shelf-1.0-1"]).await;
        assert_eq!(build.get("completion_ts"), &Value::Double(1_700_000_000.0));
        let refused = stage.refused(&stage.admin, "setBuildTimestamp", list!["shelf-1.0-1", "now"]).await;
        assert_eq!(refused, "Invalid type for timestamp");
    }
}

/// Builds and completes the packages through the builder's calls.
pub(super) async fn complete(stage: &Stage, rpms: &[std::path::PathBuf], draft: bool) -> Value {
    let task = stage.open_task("build", list!["shelf.src.rpm", Value::Nil]).await;
    let data = map! {
        "task_id" => task, "name" => "shelf", "version" => "1.0", "release" => "1",
        "epoch" => Value::Nil, "draft" => draft,
    };
    let build = stage.ok(&stage.builder, "host.initBuild", list![data]).await;
    let rel = stage.world.hub.paths.taskrelpath(task);
    let dir = top(stage, "work").join(&rel);
    fs::create_dir_all(&dir).unwrap();
    let mut paths = Vec::new();
    for rpm in rpms {
        fs::copy(rpm, dir.join(name(rpm))).unwrap();
        paths.push(format!("{rel}/{}", name(rpm)));
    }
    let (srpm, rpms) = paths.into_iter().partition::<Vec<_>, _>(|path| path.ends_with(".src.rpm"));
    let args = list![task, build, &srpm[0], rpms, map! {}, map! {}];
    stage.ok(&stage.builder, "host.completeBuild", args).await
}
