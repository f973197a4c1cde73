//! A scratch build for another arch that is merged into a build.

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use toji_db::Db;
use toji_rpmgen::{Rpmbuild, find_rpms};
use toji_testkit::both_databases;
use toji_types::RepoState;
use toji_value::{Value, list, map};

use super::fixture::{name, packages, top};
use super::people::{DONE, Stage};
use super::volume::complete;

const SPEC: &[u8] = b"Name: shelf\nVersion: 1.0\nRelease: 1\nSummary: s\nLicense: MIT\n\
    %description\nd\n%install\nmkdir -p %{buildroot}/usr/bin\necho hi > %{buildroot}/usr/bin/shelf\n\
    %files\n/usr/bin/shelf\n";

/// The same package for another arch, with its source package.
fn other_arch() -> &'static [PathBuf] {
    static BUILT: OnceLock<(tempfile::TempDir, Vec<PathBuf>)> = OnceLock::new();
    let (_, found) = BUILT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let rpmbuild = Rpmbuild::new(dir.path(), &out).unwrap().arch("i686");
        rpmbuild.build("shelf", SPEC, &["-ba"]).unwrap();
        let found = find_rpms(&out).unwrap();
        (dir, found)
    });
    found
}

/// A closed build task whose child has made these files; gives the task's number.
async fn scratch(stage: &Stage, opts: Value, files: &[PathBuf], with_log: bool) -> i64 {
    let args = list!["shelf.src.rpm", Value::Nil, opts];
    let task = stage.open_task("build", args).await;
    let child = list!["buildArch", list!["shelf.src.rpm", 1, "i686", false, map! {}], task];
    let child = stage.ok(&stage.builder, "host.subtask", child).await.as_int().unwrap();
    stage.ok(&stage.builder, "host.openTask", list![child]).await;
    let repo = stage.world.get("SELECT max(id) FROM repo", &[]).await;
    stage.ok(&stage.builder, "host.newBuildRoot", list![repo, "i386", child]).await;
    let dir = top(stage, "work").join(stage.world.hub.paths.taskrelpath(child));
    fs::create_dir_all(&dir).unwrap();
    for file in files {
        fs::copy(file, dir.join(name(file))).unwrap();
    }
    if with_log {
        fs::write(dir.join("build.log"), "log").unwrap();
    }
    for id in [child, task] {
        stage.ok(&stage.builder, "host.closeTask", list![id, DONE]).await;
    }
    task
}

both_databases! {
    async fn another_arch_joins_a_build(db: Db) {
        let stage = Stage::new(db).await;
        let tag = stage.world.tag("f40", &[]).await;
        stage.world.repo(tag, RepoState::Ready, None).await;
        let build = complete(&stage, &packages().plain, false).await;
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let opts = map! { "scratch" => true };
        let task = scratch(&stage, opts.clone().into(), other_arch(), true).await;
        let refused = stage.refused(&stage.alice, "mergeScratch", list![task]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        let merged = stage.ok(&stage.admin, "mergeScratch", list![task]).await;
        assert_eq!(&merged, build.get("id"));
        let base = top(&stage, "packages/shelf/1.0/1");
        for path in ["i686/shelf-1.0-1.i686.rpm", "data/logs/i686/build.log",
                     "data/sigcache/i686/shelf-1.0-1.i686.rpm.sig"] {
            assert!(base.join(path).is_file(), "{path}");
        }
        let rpms = stage.ok(&stage.alice, "listBuildRPMs", list![merged]).await;
        let rpms = rpms.as_array().unwrap();
        assert_eq!(rpms.len(), 4);
        let new = rpms.iter().find(|rpm| rpm.get("arch") == &"i686".into()).unwrap();
        assert!(new.get("buildroot_id").as_int().is_some());
        let updates = "SELECT count(*) FROM tag_updates WHERE tag_id = $1 AND update_type = 1";
        assert_eq!(stage.world.get(updates, &[tag.into()]).await, Value::Int(1));
        let again = stage.refused(&stage.admin, "mergeScratch", list![task]).await;
        assert_eq!(again, format!("task {task} and shelf-1.0-1 produce rpms with the same arches: i686"));
    }

    async fn what_does_not_belong_is_refused(db: Db) {
        let stage = Stage::new(db).await;
        let tag = stage.world.tag("f40", &[]).await;
        stage.world.repo(tag, RepoState::Ready, None).await;
        let merge = |task: i64| stage.refused(&stage.admin, "mergeScratch", list![task]);
        assert_eq!(merge(999_999).await, "No such task: 999999");
        let running = stage.open_task("sleep", list![1]).await;
        assert_eq!(merge(running).await, format!("task {running} did not complete successfully"));
        stage.ok(&stage.builder, "host.closeTask", list![running, DONE]).await;
        assert_eq!(merge(running).await, format!("task {running} is not a build task"));
        let regular = scratch(&stage, map! {}.into(), other_arch(), true).await;
        assert_eq!(merge(regular).await, format!("task {regular} is not a scratch build"));
        let opts = || Value::from(map! { "scratch" => true });
        let empty = scratch(&stage, opts(), &[], true).await;
        assert_eq!(merge(empty).await, format!("nothing to do for task {empty}"));
        let silent = scratch(&stage, opts(), other_arch(), false).await;
        assert!(merge(silent).await.ends_with("is missing logs"));
        let alone = scratch(&stage, opts(), other_arch(), true).await;
        assert_eq!(merge(alone).await, "no such build: shelf-1.0-1");
    }
}
