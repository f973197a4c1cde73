//! A build from its first row to its tag, with real packages on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use toji_db::Db;
use toji_rpmgen::{Rpmbuild, find_rpms};
use toji_testkit::both_databases;
use toji_types::{BuildState, RepoState};
use toji_value::{Args, Map, Value, list, map};

use super::people::Stage;

const SPEC: &[u8] = b"Name: hello\nEpoch: 1\nVersion: 1.0\nRelease: 2\nSummary: s\nLicense: MIT\n\
    %description\nd\n%package doc\nSummary: s\nBuildArch: noarch\n%description doc\nd\n\
    %install\nmkdir -p %{buildroot}/usr/bin\necho hi > %{buildroot}/usr/bin/hello\n\
    %files\n/usr/bin/hello\n%files doc\n%changelog\n\
    * Wed Jan 01 2025 A B <a@example.com> - 1.0-2\n- first\n";

/// The source package and the others, built once.
pub(super) fn packages() -> &'static [PathBuf] {
    static BUILT: OnceLock<(tempfile::TempDir, Vec<PathBuf>)> = OnceLock::new();
    let (_, found) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        Rpmbuild::new(dir.path(), &out).unwrap().build("hello", SPEC, &["-ba"]).unwrap();
        let found = find_rpms(&out).unwrap();
        (dir, found)
    });
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A task with an entered build and its results in the upload area.
pub(super) struct Running {
    pub(super) stage: Stage,
    pub(super) task: i64,
    pub(super) build: i64,
    srpm: String,
    pub(super) rpms: Vec<String>,
    pub(super) log: String,
}

impl Running {
    async fn new(db: Db) -> Running {
        Running::on(Stage::new(db).await).await
    }

    pub(super) async fn on(stage: Stage) -> Running {
        let task = stage.open_task("build", list!["hello.src.rpm", Value::Nil]).await;
        let data = map! {
            "task_id" => task, "name" => "hello", "version" => "1.0", "release" => "2",
            "epoch" => 1, "source" => "git://x#1", "extra" => map! { "k" => 1 },
        };
        let build = stage.ok(&stage.builder, "host.initBuild", list![data]).await;
        let rel = stage.world.hub.paths.taskrelpath(task);
        let dir = stage.dir.path().join("work").join(&rel);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("build.log"), "log").unwrap();
        let mut paths = Vec::new();
        for package in packages() {
            fs::copy(package, dir.join(name(package))).unwrap();
            paths.push(format!("{rel}/{}", name(package)));
        }
        let (srpm, rpms) = paths.into_iter().partition::<Vec<_>, _>(|p| p.ends_with(".src.rpm"));
        let log = format!("{rel}/build.log");
        let build = build.as_int().unwrap();
        Running { stage, task, build, srpm: srpm[0].clone(), rpms, log }
    }

    pub(super) fn results(&self, brmap: Map) -> Value {
        let logs = map! { "x86_64" => list![&self.log] };
        list![self.task, self.build, &self.srpm, self.rpms.clone(), brmap, logs]
    }

    pub(super) fn top(&self, path: &str) -> PathBuf {
        self.stage.dir.path().join(path)
    }

    async fn build_state(&self) -> Option<i64> {
        let build = self.stage.ok(&self.stage.alice, "getBuild", list![self.build]).await;
        build.get("state").as_int()
    }

    /// Enters one of the packages, so that it cannot be imported.
    async fn has_doc(&self) {
        self.stage
            .world
            .set(
                "INSERT INTO rpminfo (build_id, name, version, release, epoch, arch, draft,
                                  external_repo_id, payloadhash, size, buildtime)
             VALUES ($1, 'hello-doc', '1.0', '2', 1, 'noarch', FALSE, 0, '', 1, 1)",
                &[self.build.into()],
            )
            .await;
    }
}

both_databases! {
    async fn is_imported_whole_and_tagged(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        let tag = stage.world.tag("f40", &[]).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        let args = list![repo, "x86_64", running.task];
        let root = stage.ok(&stage.builder, "host.newBuildRoot", args).await;
        let brmap = map! { running.rpms[0].clone() => root.clone() };
        let done = stage.ok(&stage.builder, "host.completeBuild", running.results(brmap)).await;
        assert_eq!(done.get("nvr"), &"hello-1.0-2".into());
        assert_eq!(running.build_state().await, Some(BuildState::Complete as i64));
        let base = running.top("packages/hello/1.0/2");
        for path in ["src/hello-1.0-2.src.rpm", "x86_64/hello-1.0-2.x86_64.rpm",
                     "noarch/hello-doc-1.0-2.noarch.rpm", "data/logs/x86_64/build.log",
                     "data/sigcache/src/hello-1.0-2.src.rpm.sig"] {
            assert!(base.join(path).is_file(), "{path}");
        }
        let old = running.top("work").join(&running.srpm);
        assert!(fs::symlink_metadata(&old).unwrap().is_symlink() && old.is_file());
        let task = stage.ok(&stage.alice, "rebuildCompare", list!["hello-1.0-2"]).await;
        let request = stage.ok(&stage.alice, "getTaskRequest", list![task]).await;
        assert_eq!(request, list![running.build, Value::Nil]);
        let rpms = stage.ok(&stage.alice, "listBuildRPMs", list![running.build]).await;
        let rpms = rpms.as_array().unwrap();
        assert_eq!(rpms.len(), 3);
        assert!(rpms.iter().any(|rpm| rpm.get("buildroot_id") == &root));
        let named = list!["hello-1.0-2.x86_64", Value::Nil, Value::Nil, list!["name", "epoch"]];
        let fields = stage.ok(&stage.alice, "getRPMHeaders", named).await;
        assert_eq!(fields, map! { "name" => "hello", "epoch" => 1 }.into());
        let changes = stage.ok(&stage.alice, "getChangelogEntries", list![running.build]).await;
        assert_eq!(changes.as_array().unwrap()[0].get("date"), &"2025-01-01 12:00:00".into());
        let logs = stage.ok(&stage.alice, "getBuildLogs", list!["hello-1.0-2"]).await;
        assert_eq!(logs.as_array().unwrap()[0].get("dir"), &"x86_64".into());
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_file", &[]).await, Value::Int(4));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_rpm_fragment", &[]).await, Value::Int(9));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));

        let tagging = list![tag, running.build];
        let refused = stage.refused(&stage.alice, "tagBuild", tagging.clone()).await;
        assert_eq!(refused, "Package hello not in list for f40");
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "hello", "alice"]).await;
        let submitted = stage.call(&stage.alice, "tagBuild", tagging).await;
        assert!(submitted.is_ok(), "{submitted:?}");
        let move_it = list![running.task, "f40", running.build];
        stage.ok(&stage.builder, "host.tagBuild", move_it.clone()).await;
        let again = stage.refused(&stage.builder, "host.tagBuild", move_it).await;
        assert_eq!(again, "build hello-1.0-2 already tagged (f40)");
        let references = stage.ok(&stage.alice, "buildReferences", list![running.build]).await;
        assert_eq!(references.get("tags"), &list![map! { "tag_id" => tag, "name" => "f40" }]);
        let refused = stage.refused(&stage.admin, "deleteBuild", list![running.build]).await;
        assert!(refused.starts_with("Cannot delete build, tagged: "), "{refused}");
        stage.ok(&stage.alice, "untagBuild", list!["f40", "hello-1.0-2"]).await;
        stage.ok(&stage.admin, "deleteBuild", list![running.build, true, 0]).await;
        assert!(!base.exists(), "files of a deleted build go");
    }

    async fn nothing_is_imported_by_half(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        let rpm = running.top("work").join(&running.rpms[0]);
        let whole = fs::read(&rpm).unwrap();
        fs::write(&rpm, &whole[..whole.len() - 10]).unwrap();
        let refused = stage.refused(&stage.builder, "host.completeBuild", running.results(map! {})).await;
        assert!(refused.contains("is not a usable rpm"), "{refused}");
        let refused = stage.refused(&stage.alice, "rebuildCompare", list![running.build]).await;
        assert_eq!(refused, "Build hello-1.0-2 is BUILDING");
        fs::write(&rpm, &whole).unwrap();
        let other = rpm.with_file_name("hello-9-9.x86_64.rpm");
        fs::copy(&rpm, &other).unwrap();
        let wrong = running.rpms[0].replace(&name(&rpm), &name(&other));
        let args = list![running.task, running.build, &running.srpm, list![wrong]];
        let refused = stage.refused(&stage.builder, "host.completeBuild", args).await;
        assert!(refused.starts_with("bad filename: hello-9-9.x86_64.rpm (expected "), "{refused}");
        let args = list![running.task, running.build, "../../etc/passwd", list![]];
        stage.refused(&stage.builder, "host.completeBuild", args).await;
        let args = list![running.task, running.build, &running.rpms[0], list![]];
        let refused = stage.refused(&stage.builder, "host.completeBuild", args).await;
        assert!(refused.starts_with("not a source package"), "{refused}");
        // a package that is in the database already fails after the files were placed
        running.has_doc().await;
        let refused = stage.refused(&stage.builder, "host.completeBuild", running.results(map! {})).await;
        assert_eq!(refused, "rpm hello-doc-1.0-2.noarch.rpm is already imported");
        assert!(!running.top("packages/hello").exists());
        assert_eq!(running.build_state().await, Some(BuildState::Building as i64));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
        stage.world.set("DELETE FROM rpminfo", &[]).await;
        stage.ok(&stage.builder, "host.completeBuild", running.results(map! {})).await;
    }

    async fn an_interrupted_import_is_undone_or_finished(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        let from = running.top("work").join(&running.srpm);
        let to = running.top("packages/hello/1.0/2/src").join(name(&from));
        let step = toji_store::Step { from: from.clone(), to: to.clone() };
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        for (state, kept) in [("placing", false), ("committed", true)] {
            toji_store::place(&step).unwrap();
            let mut call = stage.world.call().await;
            let steps = list![list![text(&from), text(&to)]];
            let id = toji_db::journal::insert(&mut call.tx, running.build, &steps).await.unwrap();
            if state == "committed" {
                toji_db::journal::commit(&mut call.tx, id).await.unwrap();
            }
            call.commit().await.unwrap();
            toji_hub::build::import::recover(&stage.world.hub, 0.0).await.unwrap();
            assert_eq!(to.exists(), kept, "{state}");
            assert_eq!(fs::symlink_metadata(&from).unwrap().is_symlink(), kept, "{state}");
            assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
        }
    }

    async fn an_import_that_is_taken_back_cannot_be_committed_any_more(db: Db) {
        let running = Running::new(db).await;
        let hub = &running.stage.world.hub;
        let enter = async || {
            let mut call = running.stage.world.call().await;
            let id = toji_db::journal::insert(&mut call.tx, running.build, &list![]).await.unwrap();
            call.commit().await.unwrap();
            id
        };
        let (one, two) = (enter().await, enter().await);
        let mut call = running.stage.world.call().await;
        assert!(toji_db::journal::claim(&mut call.tx, one, "placing", None).await.unwrap());
        assert!(toji_db::journal::commit(&mut call.tx, one).await.is_err());
        call.commit().await.unwrap();
        let mut call = running.stage.world.call().await;
        toji_db::journal::commit(&mut call.tx, two).await.unwrap();
        let (late, own) = (toji_db::journal::claim(&mut call.tx, two, "placing", None).await, call.tx.db().present());
        assert!(!late.unwrap(), "it is committed");
        assert_eq!(own, None, "this program has told nobody that it lives");
        let other = toji_db::journal::claim(&mut call.tx, two, "committed", Some(7)).await;
        assert!(!other.unwrap(), "another hub was faster");
        call.commit().await.unwrap();
        assert_eq!(toji_hub::build::import::recover(hub, 0.0).await.unwrap(), 2);
        assert_eq!(running.stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
    }

    async fn the_tree_of_a_committed_move_is_left_alone(db: Db) {
        let running = Running::new(db).await;
        let hub = &running.stage.world.hub;
        let mut call = running.stage.world.call().await;
        let trees = ["vol/far/packages/a/1/1", "vol/far/packages/a/1/10"].map(|tree| running.top(tree));
        for tree in &trees {
            fs::create_dir_all(tree).unwrap();
            fs::write(tree.join("f"), "x").unwrap();
            let steps = list![map! { "tree" => tree.to_str().unwrap() }];
            toji_db::journal::insert(&mut call.tx, None, &steps).await.unwrap();
        }
        toji_db::journal::set_digest(&mut call.tx, "vol/far/packages/a/1/1/f", 1, "00").await.unwrap();
        call.commit().await.unwrap();
        assert_eq!(toji_hub::build::import::recover(hub, 0.0).await.unwrap(), 2);
        assert!(trees[0].join("f").is_file(), "a file of it is known");
        assert!(!trees[1].exists());
    }

    async fn what_takes_long_is_not_taken_for_interrupted(db: Db) {
        let running = Running::new(db).await;
        let hub = &running.stage.world.hub;
        let tree = running.top("packages/a/1/.1.moving");
        fs::create_dir_all(&tree).unwrap();
        let steps = list![map! { "tree" => tree.to_str().unwrap() }];
        let mut call = running.stage.world.call().await;
        let id = toji_db::journal::insert(&mut call.tx, None, &steps).await.unwrap();
        call.commit().await.unwrap();
        running.stage.world.set("UPDATE toji_import SET created = '2020-01-01 00:00:00+00'", &[]).await;
        let mut call = running.stage.world.call().await;
        toji_db::journal::touch(&mut call.tx, id).await.unwrap();
        call.commit().await.unwrap();
        assert_eq!(toji_hub::build::import::recover(hub, 600.0).await.unwrap(), 0);
        assert!(tree.exists());
        running.stage.world.set("UPDATE toji_import SET created = '2020-01-01 00:00:00+00'", &[]).await;
        assert_eq!(toji_hub::build::import::recover(hub, 600.0).await.unwrap(), 1);
        assert!(!tree.exists());
    }

    async fn what_is_under_way_is_left_alone(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        if stage.world.hub.db.engine() != toji_db::Engine::Sqlite {
            // only there notes stand for rows
            return;
        }
        let from = running.top("work").join(&running.srpm);
        let to = running.top("packages/hello/1.0/2/src").join(name(&from));
        toji_store::place(&toji_store::Step { from: from.clone(), to: to.clone() }).unwrap();
        let leftover = to.with_file_name(format!(".{}.abc123.new", name(&to)));
        fs::write(&leftover, "half").unwrap();
        let note = running.top(".import-journal/0123.json");
        let text = format!("[[{from:?}, {to:?}], {{\"note\": {note:?}}}]");
        toji_store::write_durably(&note, text.as_bytes()).unwrap();
        let half = running.top(".import-journal/.0123.json.abc123.new");
        fs::write(&half, "[").unwrap();
        let hub = &stage.world.hub;
        assert_eq!(toji_hub::build::import::recover(hub, 600.0).await.unwrap(), 0);
        assert!(to.is_file() && leftover.exists() && note.exists() && half.exists());
        assert_eq!(toji_hub::build::import::recover(hub, 0.0).await.unwrap(), 1);
        assert!(!running.top("packages/hello").exists() && !note.exists() && !half.exists());
        assert!(from.is_file());
    }

    async fn an_import_after_other_changes_is_journaled_too(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        let hub = &stage.world.hub;
        let to = running.top("packages/hello/1.0/2/src").join(name(Path::new(&running.srpm)));
        let (dir, file) = running.srpm.rsplit_once('/').unwrap();
        let import = |file: &str| map! { "methodName" => "importRPM", "params" => list![dir, file] };
        let make = |tag: &str| map! { "methodName" => "createTag", "params" => list![tag] };

        // The call stops after the files were placed, and ends there, as with the process.
        let mut config = hub.config.clone();
        let program = "#!/bin/sh\nread hello\necho '{\"manifest\": {\"callbacks\": [\"postImport\"]}}'\nread event\nsleep 1000\n";
        fs::write(running.top("hang"), program).unwrap();
        fs::set_permissions(running.top("hang"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        config.plugins = vec!["hang".to_owned()];
        config.plugin_path = vec![running.top("")];
        let hanging = hub.reloaded(config).await.unwrap();
        let args = Args { positional: list![list![make("gone"), import(file)]].as_array().unwrap().to_vec(), keywords: map! {} };
        let process = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let admin = stage.admin.clone();
        let mut call = process.spawn(async move { hanging.call(&admin, "multiCall", args).await });
        while !to.is_file() {
            let look = std::time::Duration::from_millis(1);
            if let Ok(answer) = tokio::time::timeout(look, &mut call).await { panic!("{answer:?}") }
        }
        process.shutdown_background();
        assert!(call.await.is_err(), "the call ended by itself");
        assert!(to.is_file());
        assert_eq!(toji_hub::build::import::recover(hub, 0.0).await.unwrap(), 1);
        assert!(!running.top("packages/hello").exists());
        assert!(running.top("work").join(&running.srpm).is_file());
        assert_eq!(stage.ok(&stage.alice, "getTag", list!["gone"]).await, Value::Nil);
        assert_eq!(toji_hub::build::import::recover(hub, 0.0).await.unwrap(), 0);

        // In a multicall a failed import is taken back at once, and the rest stays.
        running.has_doc().await;
        let doc = running.rpms.iter().find(|rpm| rpm.contains("hello-doc")).unwrap();
        let file = name(Path::new(doc));
        for (tag, first) in [("early", false), ("late", true)] {
            let calls = if first { list![import(&file), make(tag)] } else { list![make(tag), import(&file)] };
            let done = stage.ok(&stage.admin, "multiCall", list![calls]).await;
            let done = done.as_array().unwrap();
            let fault = &done[usize::from(!first)];
            let text = "rpm hello-doc-1.0-2.noarch.rpm is already imported";
            assert_eq!(fault.get("faultString"), &Value::from(text), "{done:?}");
            assert_ne!(stage.ok(&stage.alice, "getTag", list![tag]).await, Value::Nil);
            assert!(!running.top("packages/hello").exists());
            assert!(running.top("work").join(doc).is_file());
            assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
            let notes = running.top(".import-journal");
            assert!(!notes.exists() || fs::read_dir(notes).unwrap().next().is_none());
        }
    }

    async fn a_failed_build_may_be_made_again(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        let (task, build) = (running.task, running.build);
        stage.ok(&stage.builder, "host.failBuild", list![task, build]).await;
        assert_eq!(running.build_state().await, Some(BuildState::Failed as i64));
        let data = map! {
            "task_id" => task, "name" => "hello", "version" => "1.0", "release" => "2", "epoch" => 1,
        };
        let again = stage.ok(&stage.builder, "host.initBuild", list![data.clone()]).await;
        assert_eq!(again, Value::Int(build));
        assert_eq!(stage.ok(&stage.builder, "host.initBuild", list![data]).await, again);
        stage.ok(&stage.admin, "cancelBuild", list![build]).await;
        assert_eq!(running.build_state().await, Some(BuildState::Canceled as i64));
        let info = stage.ok(&stage.alice, "getTaskInfo", list![task]).await;
        assert_eq!(info.get("state"), &Value::Int(3));
    }

    async fn a_scratch_build_goes_to_its_owner(db: Db) {
        let running = Running::new(db).await;
        let stage = &running.stage;
        let logs = map! { "x86_64" => list![&running.log] };
        let args = list![running.task, &running.srpm, running.rpms.clone(), logs];
        stage.ok(&stage.builder, "host.moveBuildToScratch", args).await;
        let dir = running.top(&format!("scratch/root/task_{}", running.task));
        assert!(dir.join("hello-1.0-2.src.rpm").is_file());
        assert!(dir.join("logs/x86_64/build.log").is_file());
        let output = stage.ok(&stage.alice, "listTaskOutput", list![running.task]).await;
        assert_eq!(output.as_array().map(<[Value]>::len), Some(4));
    }
}
