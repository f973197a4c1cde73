//! Maven, Windows and image builds from their first row to their files, as builders make them.

use std::fs;
use std::path::PathBuf;

use toji_db::Db;
use toji_testkit::both_databases;
use toji_types::RepoState;
use toji_value::{Map, Value, list, map};

use super::archive::{put, stage};
use super::build::packages;
use super::people::Stage;

/// A task of the builder with a subtask that has made the files.
struct Work {
    stage: Stage,
    task: i64,
    made_by: i64,
    root: i64,
    repo: i64,
}

impl Work {
    async fn new(db: Db, method: &str) -> Work {
        let stage = stage(db).await;
        let task = stage.open_task(method, list!["git://x", "f40", map! {}]).await;
        let args = toji_value::Args {
            positional: vec!["buildMaven".into(), list!["x"], task.into()],
            keywords: map! { "arch" => "noarch" },
        };
        let made = stage.world.hub.call(&stage.builder, "host.subtask", args).await.unwrap();
        let made_by = made.as_int().unwrap();
        let tag = stage.world.tag("f40-build", &[]).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        let mut work = Work { root: 0, stage, task, made_by, repo };
        work.root = work.new_root().await;
        work
    }

    /// A buildroot of the task.
    async fn new_root(&self) -> i64 {
        let root = self.ok("host.newBuildRoot", list![self.repo, "x86_64", self.task]).await;
        root.as_int().unwrap()
    }

    fn put(&self, name: &str, content: &str) {
        let dir = self.stage.world.hub.paths.taskrelpath(self.made_by);
        put(&self.stage, &format!("{dir}/{name}"), content);
    }

    /// Puts real packages into the directory of the subtask, and describes them as a wrapper's.
    fn wrapper(&self, task: i64) -> Map {
        let dir = self.stage.world.hub.paths.taskrelpath(task);
        put(&self.stage, &format!("{dir}/wrapper.log"), "log");
        let mut rpms = Vec::new();
        for package in packages() {
            let name = package.file_name().unwrap().to_str().unwrap().to_owned();
            let to = self.stage.dir.path().join("work").join(&dir).join(&name);
            fs::copy(package, to).unwrap();
            rpms.push(name);
        }
        let (srpm, rpms): (Vec<_>, Vec<_>) =
            rpms.into_iter().partition(|n| n.ends_with(".src.rpm"));
        map! {
            "task_id" => task, "buildroot_id" => self.root, "srpm" => &srpm[0], "rpms" => rpms,
            "logs" => list!["wrapper.log"],
        }
    }

    fn top(&self, path: &str) -> PathBuf {
        self.stage.dir.path().join(path)
    }

    async fn ok(&self, method: &str, args: Value) -> Value {
        self.stage.ok(&self.stage.builder, method, args).await
    }

    async fn refused(&self, method: &str, args: Value) -> String {
        self.stage.refused(&self.stage.builder, method, args).await
    }
}

fn pom(artifact: &str) -> String {
    format!(
        "<project><parent><groupId>org.example</groupId><version>1.0</version></parent>\
         <artifactId>{artifact}</artifactId></project>"
    )
}

fn gav() -> Map {
    map! { "group_id" => "org.example", "artifact_id" => "foo", "version" => "1.0" }
}

both_databases! {
    async fn a_maven_build_with_wrapper_rpms(db: Db) {
        let work = Work::new(db, "maven").await;
        let info = map! {
            "name" => "org.example-foo", "version" => "1.0", "release" => Value::Nil,
            "epoch" => Value::Nil, "package_name" => "org.example-foo",
        };
        let args = list![work.task, info.clone(), gav()];
        let data = work.ok("host.initMavenBuild", args.clone()).await;
        assert_eq!(data.get("release"), &"1".into());
        assert_eq!((data.get("state"), data.get("task_id")), (&Value::Int(0), &Value::Int(work.task)));
        let build = data.get("id").as_int().unwrap();
        let second = work.ok("host.initMavenBuild", args).await;
        assert_eq!(second.get("release"), &"2".into());

        let dir = "org/example/foo/1.0";
        work.put(&format!("{dir}/foo-1.0.pom"), &pom("foo"));
        work.put(&format!("{dir}/foo-1.0.jar"), "jar");
        work.put(&format!("{dir}/foo-1.0.jar.md5"), "stale");
        work.put("org/example/bar/1.0/bar-1.0.pom", &pom("bar"));
        work.put("org/example/foo/maven-metadata.xml", "<metadata/>");
        work.put("build.log", "log");
        let mut files = map! {
            dir => list!["foo-1.0.jar", "foo-1.0.pom", "foo-1.0.jar.md5"],
            "org/example/bar/1.0" => list!["bar-1.0.pom"],
            "org/example/foo" => list!["maven-metadata.xml"],
        };
        let results = |files: &Map| map! {
            "task_id" => work.made_by, "buildroot_id" => work.root, "files" => files.clone(),
            "logs" => list!["build.log"],
        };
        let method = "host.completeMavenBuild";
        let args = |files: &Map, rpms: Value| list![work.task, build, results(files), rpms];
        files.insert("x", list!["what.isthis"]);
        work.put("x/what.isthis", "?");
        let refused = work.refused(method, args(&files, Value::Nil)).await;
        assert_eq!(refused, "unsupported file type: what.isthis");
        files.insert("x", list!["a.pom", "b.pom"]);
        work.put("x/a.pom", &pom("a"));
        work.put("x/b.pom", &pom("b"));
        let refused = work.refused(method, args(&files, Value::Nil)).await;
        assert_eq!(refused, "multiple .pom files in x: a.pom, b.pom");
        files.insert("x", list!["none.jar"]);
        let refused = work.refused(method, args(&files, Value::Nil)).await;
        assert!(refused.starts_with("No such file: "), "{refused}");
        files.remove("x");
        let mut foreign = results(&files);
        let other = work.stage.open_task("maven", list!["git://y", "f40", map! {}]).await;
        foreign.insert("task_id", other);
        let refused = work.refused(method, list![work.task, build, foreign, Value::Nil]).await;
        assert_eq!(refused, format!("task {other} is no part of task {}", work.task));
        let refused = work.refused(method, list![other, build, results(&files), Value::Nil]).await;
        assert!(refused.starts_with("Unable to complete build: task_id mismatch"), "{refused}");
        assert!(!work.top("packages/org.example-foo").exists());

        let rpms = work.wrapper(work.made_by);
        assert_eq!(work.ok(method, args(&files, rpms.into())).await, Value::Nil);
        let top = work.top("packages/org.example-foo/1.0/1");
        let jar = top.join("maven").join(dir).join("foo-1.0.jar");
        assert_eq!(fs::read_to_string(&jar).unwrap(), "jar");
        assert_ne!(fs::read_to_string(jar.with_file_name("foo-1.0.jar.md5")).unwrap(), "stale");
        for path in ["maven/org/example/foo/maven-metadata.xml.sha1", "data/logs/maven/build.log",
                     "maven/org/example/bar/1.0/bar-1.0.pom", "src/hello-1.0-2.src.rpm",
                     "data/logs/noarch/wrapper.log"] {
            assert!(top.join(path).is_file(), "{path}");
        }
        let stage = &work.stage;
        let archives = stage.ok(&stage.alice, "listArchives", list![build, Value::Nil, Value::Nil, Value::Nil, "maven"]).await;
        let of = |name: &str| {
            let all = archives.as_array().unwrap();
            all.iter().find(|a| a.get("filename").as_str() == Some(name)).unwrap().clone()
        };
        assert_eq!(archives.as_array().unwrap().len(), 3);
        assert_eq!(of("bar-1.0.pom").get("artifact_id"), &"bar".into());
        assert_eq!(of("foo-1.0.jar").get("buildroot_id"), &Value::Int(work.root));
        let shown = stage.ok(&stage.alice, "getBuild", list![build]).await;
        assert_eq!(shown.get("state"), &Value::Int(1));
        let refused = work.refused(method, args(&files, Value::Nil)).await;
        assert_eq!(refused, "Unable to complete build: state is COMPLETE");
        let rpms = work.wrapper(work.task);
        let refused = work.refused("host.importWrapperRPMs", list![work.task, build, rpms]).await;
        assert_eq!(refused, "wrapper rpms for org.example-foo-1.0-1 have already been imported");
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
    }

    async fn wrapper_rpms_come_later_too(db: Db) {
        let mut work = Work::new(db, "wrapperRPM").await;
        let nvr = map! { "name" => "m", "version" => "1.0", "release" => "1", "epoch" => Value::Nil };
        work.stage.ok(&work.stage.admin, "createMavenBuild", list![nvr, gav()]).await;
        let build = work.stage.ok(&work.stage.alice, "getBuild", list!["m-1.0-1"]).await;
        let id = build.get("id").clone();
        let rpms = work.wrapper(work.task);
        let refused = work.refused("host.importWrapperRPMs", list![work.task, id.clone(), rpms]).await;
        assert_eq!(refused, format!("task {} has nothing to do with build m-1.0-1", work.task));
        // The task that was submitted for this build.
        let args = list!["git://x", "f40", build, Value::Nil];
        work.task = work.stage.open_task("wrapperRPM", args).await;
        work.root = work.new_root().await;
        let stage = &work.stage;
        let rpms = work.wrapper(work.task);
        work.ok("host.importWrapperRPMs", list![work.task, id.clone(), rpms]).await;
        let found = stage.ok(&stage.alice, "listBuildRPMs", list![id.clone()]).await;
        assert_eq!(found.as_array().unwrap().len(), 3);
        assert!(work.top("packages/m/1.0/1/noarch/hello-doc-1.0-2.noarch.rpm").is_file());
        let open = work.ok("host.initWinBuild", list![work.task,
            map! { "name" => "w", "version" => "1", "release" => "1", "epoch" => 0 },
            map! { "platform" => "w10" }]).await;
        let rpms = work.wrapper(work.task);
        let args = list![work.task, open.get("id").clone(), rpms];
        let refused = work.refused("host.importWrapperRPMs", args).await;
        let want = "cannot import wrapper rpms for w-1-1: build state is building, not complete";
        assert_eq!(refused, want);
    }

    async fn a_windows_build(db: Db) {
        let work = Work::new(db, "winbuild").await;
        let info = map! { "name" => "w", "version" => "1", "release" => "1", "epoch" => 0 };
        let args = list![work.task, info, map! { "platform" => "w10" }];
        let data = work.ok("host.initWinBuild", args).await;
        let build = data.get("id").clone();
        work.put("bin/a.dll", "dll");
        work.put("readme.txt", "text");
        work.put("logs/build.log", "log");
        let what = map! { "platforms" => list!["i386"], "flags" => list!["fre", "chk"] };
        let results = map! {
            "task_id" => work.made_by, "buildroot_id" => work.root,
            "output" => map! { "bin/a.dll" => what.clone(), "readme.txt" => what },
            "logs" => list!["logs/build.log"],
        };
        let args = list![work.task, build.clone(), results.clone(), map! {}];
        work.ok("host.completeWinBuild", args).await;
        for path in ["win/bin/a.dll", "win/readme.txt", "data/logs/win/logs/build.log"] {
            assert!(work.top("packages/w/1/1").join(path).is_file(), "{path}");
        }
        let stage = &work.stage;
        let args = list![build, Value::Nil, Value::Nil, Value::Nil, "win"];
        let archives = stage.ok(&stage.alice, "listArchives", args).await;
        let dll = &archives.as_array().unwrap()[1];
        assert_eq!((dll.get("relpath"), dll.get("flags")), (&"bin".into(), &"fre chk".into()));
    }

    async fn an_image_build_with_its_rpms(db: Db) {
        let work = Work::new(db, "image").await;
        let stage = &work.stage;
        stage.ok(&stage.admin, "createExternalRepo", list!["ext", "http://localhost/"]).await;
        let info = map! { "name" => "disk", "version" => "40", "release" => Value::Nil, "epoch" => Value::Nil };
        let data = work.ok("host.initImageBuild", list![work.task, info]).await;
        assert_eq!(data.get("release"), &"1".into());
        let build = data.get("id").clone();
        for (name, content) in [("disk.qcow2", "image"), ("disk.xml", "<x/>"), ("oz.log", "log")] {
            work.put(name, content);
        }
        let external = map! {
            "name" => "x", "version" => "1", "release" => "1", "epoch" => Value::Nil,
            "arch" => "noarch", "payloadhash" => "abc", "size" => 1, "buildtime" => 1,
            "location" => "ext",
        };
        let unknown = map! { "name" => "u", "version" => "1", "release" => "1", "arch" => "noarch" };
        let sub = |rpms: Value| map! {
            "task_id" => work.made_by, "arch" => "x86_64", "files" => list!["disk.qcow2", "disk.xml"],
            "logs" => list!["oz.log"], "rpmlist" => rpms,
        };
        let all = |rpms: Value| map! { "x86_64" => sub(rpms), "aarch64" => map! { "failed" => true } };
        let method = "host.completeImageBuild";
        let args = list![work.task, build.clone(), all(list![unknown])];
        let refused = work.refused(method, args).await;
        assert!(refused.starts_with("No such rpm: {'name': 'u'"), "{refused}");
        let results = all(list![external.clone(), external]);
        work.ok(method, list![work.task, build.clone(), results]).await;
        for path in ["images/disk.qcow2", "images/disk.xml", "data/logs/image/oz.log"] {
            assert!(work.top("packages/disk/40/1").join(path).is_file(), "{path}");
        }
        let archives = stage.ok(&stage.alice, "listArchives", list![build]).await;
        let [xml, disk] = archives.as_array().unwrap() else { panic!("two archives") };
        let shown = stage.ok(&stage.alice, "getArchive", list![disk.get("id").clone()]).await;
        assert_eq!((shown.get("rootid"), shown.get("arch")), (&true.into(), &"x86_64".into()));
        let shown = stage.ok(&stage.alice, "getArchive", list![xml.get("id").clone()]).await;
        assert_eq!(shown.get("rootid"), &false.into());
    }

    async fn a_buildroot_has_packages_of_this_system_and_of_others(db: Db) {
        let work = Work::new(db, "build").await;
        let stage = &work.stage;
        stage.ok(&stage.admin, "createExternalRepo", list!["ext", "http://localhost/"]).await;
        let build = stage.ok(&stage.admin, "createEmptyBuild", list!["own", "1", "1", Value::Nil]).await.as_int();
        let draft = stage.ok(&stage.admin, "createEmptyBuild", list!["own", "1", "2", Value::Nil]).await.as_int();
        stage.world.set("UPDATE build SET draft = TRUE, release = release || ',draft_' || id WHERE id = $1", &[draft.into()]).await;
        stage.world.set(
            "INSERT INTO rpminfo (build_id, name, version, release, arch, draft, external_repo_id, payloadhash, size, buildtime)
             VALUES ($1, 'own', '1', '1', 'noarch', FALSE, 0, '', 1, 1), ($2, 'own', '1', '1', 'noarch', TRUE, 0, '', 1, 1),
                    ($2, 'draft', '1', '1', 'noarch', TRUE, 0, '', 1, 1)",
            &[build.into(), draft.into()],
        ).await;
        let rpm = |name: &str| map! { "name" => name, "version" => "1", "release" => "1", "arch" => "noarch" };
        let far = |hash: &str| {
            let mut far = rpm("own");
            for (key, value) in map! { "location" => "ext", "epoch" => Value::Nil, "payloadhash" => hash, "size" => 1, "buildtime" => 1 } {
                far.insert(key, value);
            }
            far
        };
        let list = list![rpm("own"), rpm("draft"), far("abc"), far("abc")];
        work.ok("host.setBuildRootList", list![work.root, list, work.task]).await;
        let shown = stage.ok(&stage.alice, "getBuildrootListing", list![work.root]).await;
        let shown = shown.as_array().unwrap().iter().map(|rpm| {
            let part = |key: &str| rpm.get(key).display();
            format!("{} {} {}", part("name"), part("draft"), part("external_repo_name"))
        });
        assert_eq!(shown.collect::<Vec<_>>(), ["own False INTERNAL", "draft True INTERNAL", "own None ext"]);
        let mut elsewhere = far("abc");
        elsewhere.insert("location", "far");
        for (rpm, text) in [
            (far("def"), "hash changed for external rpm: own-1-1.noarch@ext (abc -> def)"),
            (rpm("none"), "No such rpm: {'name': 'none', 'version': '1', 'release': '1', 'arch': 'noarch'}"),
            (elsewhere, "No such entry in table external_repo: far"),
        ] {
            let root = work.new_root().await;
            let refused = work.refused("host.setBuildRootList", list![root, list![rpm], work.task]).await;
            assert_eq!(refused, text);
        }
    }

    async fn scratch_results_go_to_the_owner(db: Db) {
        let work = Work::new(db, "image").await;
        let (task, by) = (work.task, work.made_by);
        work.put("org/foo/1/foo.jar", "jar");
        work.put("a.dll", "dll");
        work.put("disk.raw", "raw");
        for log in ["m.log", "w.log", "i.log"] {
            work.put(log, "log");
        }
        let maven = map! {
            "task_id" => by, "files" => map! { "org/foo/1" => list!["foo.jar"] }, "logs" => list!["m.log"],
        };
        let rpms = work.wrapper(by);
        work.ok("host.moveMavenBuildToScratch", list![task, maven, rpms]).await;
        let win = map! { "task_id" => by, "output" => map! { "a.dll" => map! {} }, "logs" => list!["w.log"] };
        work.ok("host.moveWinBuildToScratch", list![task, win, Value::Nil]).await;
        let image = map! { "task_id" => by, "files" => list!["disk.raw"], "logs" => list!["i.log"] };
        work.ok("host.moveImageBuildToScratch", list![task, map! { "x86_64" => image }]).await;
        for path in [format!("task_{task}/org/foo/1/foo.jar"), format!("task_{task}/m.log"),
                     format!("task_{task}/rpms/hello-1.0-2.src.rpm"), format!("task_{task}/a.dll"),
                     format!("task_{by}/disk.raw"), format!("task_{by}/i.log")] {
            assert!(work.top("scratch/root").join(&path).is_file(), "{path}");
        }
        let bad = map! { "task_id" => by, "output" => map! { "../../x" => map! {} }, "logs" => list![] };
        let refused = work.refused("host.moveWinBuildToScratch", list![task, bad, Value::Nil]).await;
        assert_eq!(refused, "Invalid path segment: ../../x");
    }

    async fn what_a_buildroot_holds(db: Db) {
        let work = Work::new(db, "maven").await;
        let stage = &work.stage;
        let nvr = map! { "name" => "m", "version" => "1.0", "release" => "1", "epoch" => Value::Nil };
        stage.ok(&stage.admin, "createMavenBuild", list![nvr, gav()]).await;
        put(stage, "up/foo-1.0.jar", "jar");
        stage.ok(&stage.admin, "importArchive", list!["up/foo-1.0.jar", "m-1.0-1", "maven", gav()]).await;
        let archives = stage.ok(&stage.alice, "listArchives", list![]).await;
        let method = "host.updateBuildrootArchives";
        let args = list![work.root, work.task, archives.clone(), true];
        let refused = work.refused(method, args.clone()).await;
        assert_eq!(refused, format!("buildroot {} in wrong state 0", work.root));
        work.ok("host.setBuildRootState", list![work.root, "BUILDING", work.task]).await;
        work.ok(method, args.clone()).await;
        work.ok(method, args).await;
        let found = stage.ok(&stage.alice, "listArchives", list![Value::Nil, Value::Nil, work.root]).await;
        assert_eq!(found.as_array().unwrap()[0].get("project"), &true.into());
        stage.world.set("DELETE FROM buildroot_archives", &[]).await;

        let entry = |version: &str, name: &str, size: i64| map! {
            "maven_info" => map! { "group_id" => "org.example", "artifact_id" => "foo", "version" => version },
            "files" => list![map! { "path" => "p", "filename" => name, "size" => size }],
        };
        let method = "host.updateMavenBuildRootList";
        let known = entry("1.0", "foo-1.0.jar", 3);
        let args = list![work.root, work.task, list![known.clone()]];
        let refused = work.refused(method, args).await;
        assert_eq!(refused, "No such file in build environment: p/foo-1.0.jar, size: 3");
        // the build as a further source, an artifact to ignore, and one that the subtask has made
        work.put("org/example/foo/2.0/foo-2.0.jar", "four");
        let list = list![known, entry("0.9", "x.jar", 1), entry("2.0", "foo-2.0.jar", 4)];
        let ignore = list![entry("0.9", "x.jar", 1)];
        let extra = list!["m-1.0-1", work.made_by];
        let args = list![work.root, work.task, list, ignore, false, false, extra];
        work.ok(method, args).await;
        let count = stage.world.get("SELECT count(*) FROM buildroot_archives", &[]).await;
        assert_eq!(count, Value::Int(1));
        let args = list![work.root, work.task, list![entry("9", "y.jar", 1)], Value::Nil, false, true];
        work.ok(method, args).await;
    }

    async fn builders_import_files_of_their_tasks_only(db: Db) {
        let work = Work::new(db, "maven").await;
        let stage = &work.stage;
        let nvr = map! { "name" => "m", "version" => "1.0", "release" => "1", "epoch" => Value::Nil };
        work.ok("host.initImageBuild", list![work.task, nvr]).await;
        work.ok("host.createMavenBuild", list!["m-1.0-1", gav()]).await;
        let dir = stage.world.hub.paths.taskrelpath(work.task);
        put(stage, &format!("{dir}/foo-1.0.jar"), "jar");
        put(stage, "cli/foo-1.0.jar", "jar");
        let full = work.top("work").join(&dir).join("foo-1.0.jar").display().to_string();
        for path in ["cli/foo-1.0.jar", "/etc/passwd", "tasks/1/1/../../../cli/foo-1.0.jar"] {
            let args = list![path, "m-1.0-1", "maven", gav()];
            let refused = work.refused("host.importArchive", args).await;
            assert_eq!(refused, format!("No such file: {path}"));
        }
        let refused = work.refused("host.importArchive", list![&full, "m-1.0-1", "image", gav()]).await;
        assert_eq!(refused, "unsupported archive type: image");
        work.ok("host.importArchive", list![&full, "m-1.0-1", "maven", gav()]).await;
        assert!(work.top("packages/m/1.0/1/maven/org/example/foo/1.0/foo-1.0.jar.sha1").is_file());
    }

    async fn submissions_make_the_right_tasks(db: Db) {
        let stage = stage(db).await;
        let build_tag = stage.world.tag("f40-build", &[]).await;
        stage.world.target("f40", build_tag).await;
        let opts = map! { "scratch" => true };
        let made = async |method: &str, args: Value| {
            let id = stage.ok(&stage.admin, method, args).await;
            let info = stage.ok(&stage.alice, "getTaskInfo", list![id, true]).await;
            let channel = stage.ok(&stage.alice, "getChannel", list![info.get("channel_id").clone()]).await;
            (info.get("method").display(), info.get("request").clone(), channel.get("name").display())
        };
        let lost = stage.ok(&stage.admin, "winBuild", list!["w10", "git://x", "f40"]).await;
        let refused = stage.refused(&stage.admin, "getTaskResult", list![lost.clone()]).await;
        assert!(refused.starts_with("winbuild needs a VM host") && refused.ends_with("no host is in channel vm"), "{refused}");
        stage.ok(&stage.admin, "addHost", list!["vms.example.com", list!["x86_64"]]).await;
        stage.ok(&stage.admin, "addHostToChannel", list!["vms.example.com", "vm"]).await;
        let waits = stage.ok(&stage.admin, "winBuild", list!["w10", "git://x", "f40"]).await;
        let state = async |id: Value| stage.ok(&stage.admin, "getTaskInfo", list![id]).await.get("state").clone();
        assert_eq!((state(lost).await, state(waits).await), (5.into(), 0.into()));
        for (method, args, task, request, channel) in [
            ("mavenBuild", list!["git://x", "f40"], "maven", list!["git://x", "f40", map! {}], "maven"),
            ("chainMaven", list![map! { "a" => map! {} }, "f40", opts.clone()], "chainmaven",
                list![map! { "a" => map! {} }, "f40", opts.clone()], "maven"),
            ("winBuild", list!["w10", "git://x", "f40"], "winbuild",
                list!["w10", "git://x", "f40", map! {}], "vm"),
            ("buildImageOz", list!["n", "1", list!["x86_64"], "f40", "http://t", opts.clone()], "image",
                list!["n", "1", list!["x86_64"], "f40", "http://t", opts.clone()], "image"),
            ("buildImageIndirection", list![opts.clone()], "indirectionimage", list![opts.clone()], "image"),
            ("kiwiBuild", list!["f40", list!["x86_64"], "git://d#1", "d/x.kiwi", "s390x", "Live"], "kiwiBuild",
                list!["f40", list!["x86_64"], "git://d#1", "d/x.kiwi", map! {
                    "profile" => "Live", "optional_arches" => list!["s390x"], "use_buildroot_repo" => true,
                }], "image"),
            ("dudBuild", list!["d", "1", list![], "f40", list!["bash"]], "dudBuild",
                list!["d", "1", list![], "f40", list!["bash"], map! {
                    "scratch" => false, "alldeps" => false, "scmurl" => Value::Nil, "optional_arches" => Value::Nil,
                }], "image"),
            ("buildImage", list!["n", "1", "x86_64", "f40", "k.ks", "livecd"], "livecd",
                list!["n", "1", "x86_64", "f40", "k.ks", Value::Nil], "livecd"),
        ] {
            assert_eq!(made(method, args).await, (task.into(), request, channel.into()), "{method}");
        }
        let nvr = map! { "name" => "m", "version" => "1.0", "release" => "1", "epoch" => Value::Nil };
        stage.ok(&stage.admin, "createMavenBuild", list![nvr, gav()]).await;
        let args = list!["m-1.0-1", "git://spec", "f40"];
        let (method, request, _) = made("wrapperRPM", args).await;
        assert_eq!(method, "wrapperRPM");
        let request = request.as_array().unwrap();
        assert_eq!(request[1].get("build_tag_name"), &"f40-build".into());
        assert_eq!(request[2].get("nvr"), &"m-1.0-1".into());
        assert_eq!(request[3..], [Value::Nil, map! {}.into()]);
        for (method, args, want) in [
            ("winBuild", list!["w", "git://x", "f40"], "policy violation (vm)"),
            ("buildImageIndirection", list![opts], "image permission required (logged in as alice)"),
            ("dudBuild", list!["d", "1", list![], "f40", list![]], "image permission required (logged in as alice)"),
            ("buildImage", list!["n", "1", "x", "f40", "k", "floppy"], "Unrecognized image type: floppy"),
            ("mavenBuild", list!["git://x", "f40", map! {}, -1], "only admins may create high-priority tasks"),
            ("chainMaven", list![list![], "f40"],
                "Invalid type for value '[]': <class 'list'>, expected type <class 'dict'>"),
        ] {
            let refused = stage.refused(&stage.alice, method, args).await;
            assert!(refused.starts_with(want), "{method}: {refused}");
        }
        let refused = stage.refused(&stage.admin, "buildImageIndirection", list![map! {}]).await;
        assert_eq!(refused, "Non-scratch builds must provide url for the indirection template");
        let refused = stage.refused(&stage.admin, "kiwiBuild", list!["none", list![], "git://d#1", "d"]).await;
        assert_eq!(refused, "No such build target: none");
        let refused = stage.refused(&stage.admin, "kiwiBuild", list!["f40", list!["a/b"], "git://d#1", "d"]).await;
        assert_eq!(refused, "Architecture can be only [a-zA-Z0-9_-]");
    }
}
