//! Garbage collection: what is taken, what stays, and what each decision says.

use std::sync::{Arc, Mutex};

use toji_bus::Bus;
use toji_db::Db;
use toji_hub::gc::{self, Action, Finding, Notice, Options, Run, Sending, Watch, rules};
use toji_hub::{Clock, Hub};
use toji_testkit::both_databases;
use toji_types::BuildState;
use toji_value::{Value, list};

use super::people::Stage;

/// Remembers what it is told.
#[derive(Default)]
struct Witness {
    told: Mutex<Vec<String>>,
    letters: Mutex<Vec<Notice>>,
}

impl Watch for Witness {
    fn tell(&self, finding: &Finding) {
        self.told.lock().unwrap().push(finding.to_string());
    }

    fn post<'a>(&'a self, notice: &'a Notice) -> Sending<'a> {
        self.letters.lock().unwrap().push(notice.clone());
        Box::pin(async { Err("no mail here".to_owned()) })
    }

    fn stopped(&self) -> bool {
        false
    }
}

/// A clock that is set by hand.
struct Hand(Mutex<f64>);

impl Hand {
    fn wait(&self, seconds: f64) {
        *self.0.lock().unwrap() += seconds;
    }
}

impl Clock for Hand {
    fn now(&self) -> f64 {
        *self.0.lock().unwrap()
    }
}

/// A hub with a trashcan and a tag.
struct Heap {
    stage: Stage,
    options: Options,
}

impl Heap {
    async fn new(db: Db) -> Heap {
        let stage = Stage::new(db).await;
        stage.world.tag("trashcan", &[]).await;
        stage.world.tag("f40", &[]).await;
        let options = Options {
            delay: 0.0,
            grace: 0.0,
            unprotected_keys: vec!["test*".into()],
            email_domain: Some("example.org".into()),
            ..Options::default()
        };
        Heap { stage, options }
    }

    /// A complete build, in a tag if one is named.
    async fn build(&self, name: &str, version: &str, tag: Option<&str>) -> i64 {
        let stage = &self.stage;
        let args = list![name, version, "1", Value::Nil, "alice"];
        let id = stage.ok(&stage.admin, "createEmptyBuild", args).await.as_int().unwrap();
        if let Some(tag) = tag {
            stage.ok(&stage.admin, "packageListAdd", list![tag, name, "alice"]).await;
            stage.ok(&stage.admin, "tagBuildBypass", list![tag, id]).await;
        }
        id
    }

    /// An RPM of a build, made in a buildroot; signed with a key if one is given.
    async fn rpm(&self, build: i64, name: &str, buildroot: Option<i64>, key: &str) -> i64 {
        let world = &self.stage.world;
        world.set(
            "INSERT INTO rpminfo (build_id, name, version, release, arch, draft, external_repo_id,
                                  payloadhash, size, buildtime, buildroot_id)
             VALUES ($1, $2, '1', '1', 'noarch', FALSE, 0, '', 1, 1, $3)",
            &[build.into(), name.into(), buildroot.into()],
        ).await;
        let found = world.get("SELECT id FROM rpminfo WHERE name = $1", &[name.into()]).await;
        let rpm = found.as_int().unwrap();
        let sql = "INSERT INTO rpmsigs (rpm_id, sigkey, sighash) VALUES ($1, $2, 'x')";
        world.set(sql, &[rpm.into(), key.into()]).await;
        rpm
    }

    /// A buildroot with an RPM in it.
    async fn buildroot(&self, rpm: i64) -> i64 {
        let world = &self.stage.world;
        world.set("INSERT INTO buildroot (br_type) VALUES (0)", &[]).await;
        let id = world.get("SELECT max(id) FROM buildroot", &[]).await.as_int().unwrap();
        let sql = "INSERT INTO buildroot_listing (buildroot_id, rpm_id, is_update) VALUES ($1, $2, FALSE)";
        world.set(sql, &[id.into(), rpm.into()]).await;
        id
    }

    async fn run(&self, action: Action, dry: bool) -> (usize, Vec<String>, Vec<Notice>) {
        let witness = Witness::default();
        let hub = &self.stage.world.hub;
        let run = Run { hub, options: &self.options, dry, watch: &witness };
        let taken = run.take(action).await.unwrap();
        (taken, witness.told.into_inner().unwrap(), witness.letters.into_inner().unwrap())
    }

    async fn tags(&self, build: i64) -> Vec<String> {
        let tags = self.stage.ok(&self.stage.admin, "listTags", list![build]).await;
        tags.as_array().unwrap().iter().map(|tag| tag.get("name").display()).collect()
    }

    async fn state(&self, build: i64) -> BuildState {
        let build = self.stage.ok(&self.stage.admin, "getBuild", list![build]).await;
        BuildState::try_from(build.get("state").as_int().unwrap()).unwrap()
    }
}

/// One of the lines says this of a build.
fn says(lines: &[String], parts: &[&str]) {
    let fits = |line: &String| parts.iter().all(|part| line.contains(part));
    assert!(lines.iter().any(fits), "nothing like {parts:?} in {lines:#?}");
}

both_databases! {
    async fn only_what_nothing_uses_goes_to_the_trash(db: Db) {
        let heap = Heap::new(db).await;
        let loose = heap.build("loose", "1", None).await;
        let tagged = heap.build("tagged", "1", Some("f40")).await;
        let (gold, test) = (heap.build("gold", "1", None).await, heap.build("test", "1", None).await);
        heap.rpm(gold, "gold", None, "f00d").await;
        heap.rpm(test, "test", None, "test-key").await;
        let used = heap.build("used", "1", None).await;
        let rpm = heap.rpm(used, "used", None, "").await;
        let root = heap.buildroot(rpm).await;
        heap.rpm(tagged, "tagged", Some(root), "").await;

        let (taken, told, letters) = heap.run(Action::Trash, true).await;
        assert_eq!((taken, letters.len()), (2, 0));
        says(&told, &["would move to the trash loose-1-1: never tagged"]);
        says(&told, &["would move to the trash test-1-1"]);
        says(&told, &["keep gold-1-1: signed with the protected key f00d"]);
        says(&told, &["keep used-1-1: tagged-1-1.noarch was made with it"]);
        assert!(!told.iter().any(|line| line.contains("tagged-1-1:")), "{told:?}");
        assert!(heap.tags(loose).await.is_empty());

        let (taken, told, letters) = heap.run(Action::Trash, false).await;
        assert_eq!(taken, 2);
        says(&told, &["moved to the trash loose-1-1"]);
        let [letter] = &letters[..] else { panic!("{letters:?}") };
        assert_eq!((letter.to.as_str(), letter.subject.as_str()), ("alice@example.org", "2 builds marked for deletion"));
        assert!(letter.text.contains("Build: loose-1-1\n") && letter.text.contains("test-1-1"));
        for (build, wanted) in
            [(loose, &["trashcan"][..]), (test, &["trashcan"]), (gold, &[]), (used, &[]), (tagged, &["f40"])]
        {
            assert_eq!(heap.tags(build).await, wanted, "{build}");
        }
        let (again, _, letters) = heap.run(Action::Trash, false).await;
        assert_eq!((again, letters.len()), (0, 0), "a second run finds nothing to do");
        let owned = heap.stage.ok(&heap.stage.admin, "getPackageConfig", list!["trashcan", "loose"]).await;
        assert_eq!(owned.get("owner_name"), &"alice".into());
    }

    async fn a_delay_protects(db: Db) {
        let mut heap = Heap::new(db).await;
        heap.options.delay = 3600.0;
        let fresh = heap.build("fresh", "1", Some("f40")).await;
        heap.stage.ok(&heap.stage.admin, "untagBuildBypass", list!["f40", fresh]).await;
        let (taken, told, _) = heap.run(Action::Trash, false).await;
        assert_eq!(taken, 0);
        says(&told, &["keep fresh-1-1: without a tag since", "less than the delay"]);
        heap.options.grace = 3600.0;
        let old = heap.build("old", "1", Some("trashcan")).await;
        assert_eq!(heap.run(Action::Delete, false).await.0, 0);
        assert_eq!(heap.tags(old).await, ["trashcan"]);
    }

    async fn the_trash_is_emptied(db: Db) {
        let heap = Heap::new(db).await;
        let gone = heap.build("gone", "1", Some("trashcan")).await;
        let back = heap.build("back", "1", Some("trashcan")).await;
        heap.stage.ok(&heap.stage.admin, "packageListAdd", list!["f40", "back", "alice"]).await;
        heap.stage.ok(&heap.stage.admin, "tagBuildBypass", list!["f40", back]).await;
        let signed = heap.build("signed", "1", Some("trashcan")).await;
        heap.rpm(signed, "signed", None, "f00d").await;
        let used = heap.build("used", "1", Some("trashcan")).await;
        let rpm = heap.rpm(used, "used", None, "").await;
        let root = heap.buildroot(rpm).await;
        heap.rpm(back, "back", Some(root), "").await;

        let (_, told, _) = heap.run(Action::Delete, true).await;
        says(&told, &["would delete gone-1-1: in the trash since"]);
        assert_eq!(heap.state(gone).await, BuildState::Complete);

        let (_, told, _) = heap.run(Action::Salvage, false).await;
        says(&told, &["taken out of the trash back-1-1: tagged with f40"]);
        says(&told, &["taken out of the trash signed-1-1: signed with the protected key f00d"]);
        says(&told, &["taken out of the trash used-1-1: back-1-1.noarch was made with it"]);
        says(&told, &["keep gone-1-1: still unused"]);
        let (taken, told, _) = heap.run(Action::Delete, false).await;
        assert_eq!(taken, 1);
        says(&told, &["deleted gone-1-1"]);
        assert_eq!(heap.state(gone).await, BuildState::Deleted);
        assert!(heap.tags(gone).await.is_empty());
        for build in [back, signed, used] {
            assert_eq!(heap.state(build).await, BuildState::Complete, "{build}");
        }
        assert_eq!(heap.tags(back).await, ["f40"]);
    }

    async fn the_policy_prunes(db: Db) {
        let mut heap = Heap::new(db).await;
        let policy = "sig f00d :: skip\ntag f* && order >= 1 :: untag\nage > 1 day :: untag";
        heap.options.policy = Some(rules::parse(policy).unwrap());
        heap.options.purge = true;
        let mut builds = Vec::new();
        for version in ["1", "2", "3", "4"] {
            builds.push(heap.build("hello", version, Some("f40")).await);
        }
        heap.rpm(builds[3], "hello", None, "f00d").await;
        let locked = heap.stage.world.tag("f41", &[]).await;
        let other = heap.build("other", "1", Some("f41")).await;
        heap.build("other", "2", Some("f41")).await;
        heap.stage.world.set("UPDATE tag_config SET locked = TRUE WHERE tag_id = $1", &[locked.into()]).await;

        let (taken, told, _) = heap.run(Action::Prune, true).await;
        assert_eq!(taken, 2);
        says(&told, &["would untag hello-1-1 (f40): tag f* && order >= 1 :: untag"]);
        says(&told, &["would delete hello-1-1: has left its last tag, f40"]);
        says(&told, &["keep hello-4-1 (f40): sig f00d :: skip"]);
        says(&told, &["keep hello-3-1 (f40): (no match)"]);
        assert_eq!(heap.tags(builds[0]).await, ["f40"]);

        let (taken, told, _) = heap.run(Action::Prune, false).await;
        assert_eq!(taken, 2);
        says(&told, &["deleted hello-2-1"]);
        let mut states = Vec::new();
        for build in &builds {
            states.push(heap.state(*build).await);
        }
        let (kept, gone) = (BuildState::Complete, BuildState::Deleted);
        assert_eq!(states, [gone, gone, kept, kept]);
        assert_eq!(heap.tags(other).await, ["f41"], "a locked tag is left alone");
        heap.options.bypass_locks = vec!["f41".into()];
        heap.options.purge = false;
        assert_eq!(heap.run(Action::Prune, false).await.0, 1);
        assert_eq!(heap.tags(other).await, Vec::<String>::new());
        let history = heap.stage.world.get(
            "SELECT users.name FROM tag_listing JOIN users ON users.id = revoker_id WHERE build_id = $1",
            &[other.into()],
        ).await;
        assert_eq!(history, "koji-gc".into());
    }

    async fn old_rows_are_swept(db: Db) {
        let mut heap = Heap::new(db).await;
        let world = &heap.stage.world;
        let build = heap.build("hello", "1", None).await;
        let scratch = heap.stage.open_task("build", list!["x", "t", toji_value::map! { "scratch" => true }]).await;
        let other = heap.stage.open_task("build", list!["scratch", "t", toji_value::map! { "scratch" => false }]).await;
        let child = heap.stage.open_task("buildArch", list!["x"]).await;
        let note = heap.stage.open_task("tagNotification", list![list!["a"]]).await;
        let (scratch_, other_, child_, note_): (toji_db::Param, toji_db::Param, toji_db::Param, toji_db::Param) =
            (scratch.into(), other.into(), child.into(), note.into());
        world.set("UPDATE task SET parent = $1 WHERE id = $2", &[scratch_.clone(), child_]).await;
        world.set("UPDATE task SET state = 2, completion_time = '2001-01-01 00:00:00+00'::timestamptz", &[]).await;
        world.set("UPDATE scheduler_log_messages SET msg_time = '2001-01-01 00:00:00+00'::timestamptz", &[]).await;
        let sql = "INSERT INTO build_reservations (build_id, token, created)
                   VALUES ($1, 't', '2001-01-01 00:00:00+00'::timestamptz)";
        world.set(sql, &[build.into()]).await;
        let user: toji_db::Param = world.user.into();
        for (key, master) in [("old", Value::Nil), ("kept", Value::Nil)] {
            let _ = master;
            let sql = "INSERT INTO sessions (user_id, key, authtype, hostip, update_time)
                       VALUES ($1, $2, 0, '-', '2001-01-01 00:00:00+00'::timestamptz)";
            world.set(sql, &[user.clone(), key.into()]).await;
        }
        let sql = "INSERT INTO sessions (user_id, key, authtype, hostip, master)
                   SELECT $1, 'young', 0, '-', id FROM sessions WHERE key = 'kept'";
        world.set(sql, &[user]).await;
        let rpm = heap.rpm(build, "hello", None, "").await;
        let loose = heap.buildroot(rpm).await;
        let named = heap.buildroot(rpm).await;
        heap.rpm(build, "other", Some(named), "").await;
        heap.options.sweep.tag_notifications = Some(86_400.0);
        heap.options.sweep.scratch = Some(86_400.0);
        heap.options.sweep.buildroots = true;
        let count = async |table: &str, id: i64| {
            let sql = format!("SELECT count(*) FROM {table} WHERE id = $1");
            heap.stage.world.get(&sql, &[id.into()]).await.as_int().unwrap()
        };

        let (_, told, _) = heap.run(Action::Sweep, true).await;
        says(&told, &["would delete 1 sessions"]);
        says(&told, &["would delete 1 build reservations"]);
        says(&told, &["would delete 1 buildroots"]);
        says(&told, &[&format!("would delete task {scratch}: ")]);
        assert_eq!((count("task", scratch).await, count("buildroot", loose).await), (1, 1));

        heap.run(Action::Sweep, false).await;
        for (task, wanted) in [(scratch, 0), (child, 0), (note, 0), (other, 1)] {
            assert_eq!(count("task", task).await, wanted, "task {task}");
        }
        assert_eq!((count("buildroot", loose).await, count("buildroot", named).await), (0, 1));
        let left = heap.stage.world.get("SELECT count(*) FROM sessions WHERE key IN ('old', 'kept', 'young')", &[]).await;
        assert_eq!(left, Value::Int(2), "a session with a younger subsession stays");
        let left = heap.stage.world.get("SELECT count(*) FROM build_reservations", &[]).await;
        assert_eq!(left, Value::Int(0));
        drop((scratch_, other_, note_));
    }

    async fn of_several_hubs_one_collects_once_a_day(db: Db) {
        let mut heap = Heap::new(db).await;
        heap.options.user = "koji-gc".into();
        let world = &heap.stage.world;
        heap.build("loose", "1", None).await;
        world.tag("f40-side-1", &[]).await;
        let tag = world.id("tag", "f40-side-1").await;
        let mut call = world.call().await;
        let row = [("tag_id", tag.into()), ("key", "sidetag".into()), ("value", "true".into())];
        toji_db::versioned::hold(&mut call.tx, "tag", tag).await.unwrap();
        toji_db::versioned::insert(&mut call.tx, "tag_extra", &row, world.user).await.unwrap();
        call.commit().await.unwrap();

        let target = list!["f40-side-1", "f40-side-1", "f40-side-1"];
        heap.stage.ok(&heap.stage.admin, "createBuildTarget", target).await;

        let clock = Arc::new(Hand(Mutex::new(world.hub.now())));
        let hub = || {
            let (db, config) = (world.hub.db.clone(), world.hub.config.clone());
            Hub::with_outside(db, Bus::new(), config, clock.clone(), Arc::new(toji_hub::SystemRandom))
        };
        let (one, two) = (hub(), hub());
        let turn = async |hub: &Hub| {
            let witness = Witness::default();
            let ran = gc::turn(hub, &heap.options, &witness).await.unwrap();
            (ran, witness.told.into_inner().unwrap())
        };
        let (ran, told) = turn(&one).await;
        assert!(ran);
        says(&told, &["moved to the trash loose-1-1"]);
        says(&told, &["keep f40-side-1: in use"]);
        assert!(!turn(&two).await.0, "it was done a moment ago");
        clock.wait(80_000.0);
        assert!(!turn(&one).await.0 && !turn(&two).await.0);
        clock.wait(86_400.0);
        let (ran, told) = turn(&two).await;
        assert!(ran);
        says(&told, &["deleted loose-1-1: in the trash since"]);
        says(&told, &["deleted f40-side-1: empty, made 46 hours ago"]);
        assert!(!turn(&one).await.0);

        // A hub that died at work is waited for, and then replaced; one that is at work is not.
        let (day, minute) = (90_000.0, 60.0);
        clock.wait(day);
        let at = |seconds: f64| toji_db::Time::from_epoch(one.now() + seconds).unwrap();
        let mut tx = one.db.begin_write().await.unwrap();
        let taken = toji_db::lease::take(&mut tx, "gc", "dead", at(0.0), at(600.0), at(-80_000.0)).await;
        assert!(taken.unwrap());
        tx.commit().await.unwrap();
        clock.wait(minute);
        assert!(!turn(&two).await.0);
        clock.wait(10.0 * minute);
        assert!(turn(&two).await.0);
        let mut tx = one.db.begin_write().await.unwrap();
        assert!(!toji_db::lease::keep(&mut tx, "gc", "dead", at(600.0)).await.unwrap());
    }

    async fn signed_copies_go_that_are_latest_nowhere(db: Db) {
        let mut heap = Heap::new(db).await;
        heap.stage.world.tag("f41", &[]).await;
        let (old, new) = (heap.build("hello", "1", Some("f40")).await, heap.build("hello", "2", Some("f40")).await);
        heap.rpm(old, "hello", None, "f00d").await;
        heap.rpm(new, "hello-new", None, "f00d").await;
        let top = heap.stage.dir.path().to_owned();
        let copy = |version: &str, name: &str| {
            let file = top.join(format!("packages/hello/{version}/1/data/signed/f00d/noarch/{name}-1-1.noarch.rpm"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, "signed").unwrap();
            let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
            std::fs::File::open(&file).unwrap().set_modified(long_ago).unwrap();
            file
        };
        let (old_copy, new_copy) = (copy("1", "hello"), copy("2", "hello-new"));
        let signed = |delay, protect: &str| {
            let protect_tags = protect.split_whitespace().map(str::to_owned).collect();
            Some(gc::options::Signed { delay, protect_tags, ..Default::default() })
        };
        heap.options.signed = signed(86_400.0, "");
        let (taken, told, _) = heap.run(Action::SignedCopies, false).await;
        assert_eq!(taken, 0);
        says(&told, &["keep hello-1-1: latest in f40 until 0 minutes ago"]);
        says(&told, &["keep hello-2-1: latest in f40"]);
        heap.options.signed = signed(-1.0, "f4*");
        let (taken, told, _) = heap.run(Action::SignedCopies, false).await;
        assert_eq!(taken, 0);
        says(&told, &["keep hello-1-1: in the protected tag f40"]);
        heap.options.signed = signed(-1.0, "");
        let (taken, told, _) = heap.run(Action::SignedCopies, true).await;
        says(&told, &["would delete 1 copies of hello-1-1 signed with f00d: not latest in any tag since"]);
        assert!(taken == 1 && old_copy.is_file());
        assert_eq!(heap.run(Action::SignedCopies, false).await.0, 1);
        assert!(!old_copy.exists() && new_copy.is_file());
        assert!(!top.join("packages/hello/1/1/data/signed").exists(), "empty directories go, too");
        assert_eq!(heap.run(Action::SignedCopies, false).await.0, 0);
    }
}

both_databases! {
    async fn what_nothing_has_used_for_long_moves_to_the_archive(db: Db) {
        let mut heap = Heap::new(db).await;
        let top = std::path::PathBuf::from(heap.stage.world.hub.paths.topdir());
        std::fs::create_dir_all(top.join("vol/archive")).unwrap();
        heap.stage.ok(&heap.stage.admin, "addVolume", list!["archive"]).await;
        let (old, lost) = (heap.build("old", "1", None).await, heap.build("lost", "1", None).await);
        heap.build("tagged", "1", Some("f40")).await;
        for name in ["old", "tagged"] {
            let dir = top.join("packages").join(name).join("1/1/noarch");
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join("file"), name).unwrap();
        }
        heap.options.archive_volume = Some("archive".into());
        let (taken, told, _) = heap.run(Action::ArchiveBuilds, false).await;
        assert_eq!(taken, 0);
        says(&told, &["keep old-1-1", "less than the age"]);
        heap.options.archive_age = Some(0.0);
        let (taken, told, _) = heap.run(Action::ArchiveBuilds, true).await;
        assert_eq!(taken, 2, "{told:?}");
        says(&told, &["would move old-1-1 (archive): never tagged"]);
        assert!(!top.join("vol/archive/packages").exists(), "a dry run");
        let (taken, told, _) = heap.run(Action::ArchiveBuilds, false).await;
        assert_eq!(taken, 1, "{told:?}");
        says(&told, &["moved old-1-1 (archive)"]);
        says(&told, &["keep lost-1-1: Build directory missing"]);
        assert!(!told.iter().any(|line| line.contains("tagged-1-1")), "{told:?}");
        let volume = |id| {
            let stage = &heap.stage;
            async move { stage.ok(&stage.admin, "getBuild", list![id]).await.get("volume_name").display() }
        };
        assert_eq!((volume(old).await, volume(lost).await), ("archive".to_owned(), "DEFAULT".to_owned()));
        assert!(top.join("vol/archive/packages/old/1/1/noarch/file").is_file());
        assert!(top.join("packages/old/1/1").is_symlink() && top.join("packages/tagged/1/1/noarch").is_dir());
        assert_eq!(heap.run(Action::ArchiveBuilds, false).await.0, 0, "it is there");
    }
}
