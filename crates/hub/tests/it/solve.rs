//! The dependency solver over tags of a hub with real packages.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_types::lockfile::{Locked, Source};
use toji_types::{Lockfile, RepoState};
use toji_value::{Map, Value, list, map};

use super::fixture::{imported, packages};
use super::people::Stage;

async fn install(stage: &Stage, packages: Value, keywords: Map) -> Value {
    let args = list!["f40", "x86_64", packages];
    stage.ok_kw(&Default::default(), "solve.install", args, keywords).await
}

fn names(answer: &Value) -> Vec<&str> {
    let packages = answer.get("packages").as_array().unwrap_or_default();
    packages.iter().filter_map(|package| package.get("name").as_str()).collect()
}

fn lockfile(digit: char, name: &str) -> Lockfile {
    let package = Locked {
        name: name.into(),
        epoch: 0,
        version: "1".into(),
        release: "1".into(),
        arch: "x86_64".into(),
        digest: format!("sha256:{}", digit.to_string().repeat(64)),
        size: 100,
        location: format!("packages/{name}.rpm"),
        repository: "f40".into(),
    };
    let repositories = [("f40".to_owned(), Source::Hub)].into();
    Lockfile::new("x86_64", repositories, vec![package]).unwrap()
}

both_databases! {
    async fn a_plan_sees_a_build_in_the_moment_it_is_tagged(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let arches = map! { "arches" => "x86_64" };
        stage.ok_kw(&stage.admin, "createTag", list!["f40"], arches).await;
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
        let no = install(&stage, list!["shelf"], Map::new()).await;
        assert_eq!((no.get("solved"), no.get("missing")), (&Value::Bool(false), &list!["shelf"]));
        let before = stage.ok(&stage.admin, "tagLastChangeEvent", list!["f40"]).await;
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;

        let plan = install(&stage, list!["/usr/bin/shelf", "shelf-doc"], Map::new()).await;
        assert_eq!(names(&plan), ["shelf", "shelf-doc"], "{}", plan.repr());
        let lockfile = Lockfile::from_json(plan.get("lockfile").as_str().unwrap()).unwrap();
        assert_eq!(plan.get("digest").as_str(), Some(lockfile.digest().as_str()));
        let shelf = &lockfile.packages()[0];
        assert_eq!(shelf.location, "packages/shelf/1.0/1/x86_64/shelf-1.0-1.x86_64.rpm");
        let file = std::fs::read(stage.dir.path().join(&shelf.location)).unwrap();
        assert_eq!(shelf.size, file.len() as u64);
        let opts = map! { "requires" => list!["(shelf-doc if shelf)"], "exclude" => list!["shelf"] };
        let some = install(&stage, Value::Nil, map! { "opts" => opts }).await;
        assert!(some.get("solved").truthy() && names(&some).is_empty(), "{}", some.repr());

        let past = install(&stage, list!["shelf"], map! { "event" => before }).await;
        assert!(!past.get("solved").truthy());
        stage.ok(&stage.admin, "untagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let gone = install(&stage, list!["shelf"], Map::new()).await;
        assert!(!gone.get("solved").truthy());
        // what the tag was, and what it is
        assert_eq!(stage.world.hub.solver.pools(), 1);
    }

    async fn reasons_and_dependants_are_told(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let arches = map! { "arches" => "x86_64" };
        stage.ok_kw(&stage.admin, "createTag", list!["f40"], arches).await;
        stage.ok(&stage.admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let why = stage.ok(&stage.alice, "solve.why", list!["f40", "x86_64", "shelf", list!["/usr/bin/shelf"]]).await;
        let step = &why.as_array().unwrap()[0];
        assert_eq!(step.get("needs").as_str(), Some("/usr/bin/shelf"));
        assert_eq!(step.get("package").as_str(), Some("shelf-1.0-1.x86_64"));
        let none = stage.ok(&stage.alice, "solve.depends", list!["f40", "x86_64", "shelf"]).await;
        assert_eq!(none, list![]);
        let refused = stage.refused(&stage.alice, "solve.install", list!["f40", "s390x"]).await;
        assert_eq!(refused, "tag f40 has no arch s390x");
        let refused = stage.refused(&stage.alice, "solve.install", list!["f40", "x86_64", list!["a\0b"]]).await;
        assert_eq!(refused, "too many or too long wants");
        let opts = map! { "groups" => list!["build"] };
        let refused = stage.refused(&stage.alice, "solve.install", list!["f40", "x86_64", list![], Value::Nil, opts]).await;
        assert_eq!(refused, "no such group in the tag: build");
    }

    async fn lockfiles_are_stored_with_buildroots_and_builds(db: Db) {
        let stage = Stage::new(db).await;
        let nobody = Default::default();
        let tag = stage.world.tag("f40", &[]).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        let task = stage.open_task("buildArch", list!["x"]).await;
        let mut roots = Vec::new();
        for _ in 0..2 {
            let args = list![repo, "x86_64", task];
            roots.push(stage.ok(&stage.builder, "host.newBuildRoot", args).await);
        }
        assert_eq!(stage.ok(&nobody, "solve.lockfile", list![roots[0].clone()]).await, Value::Nil);
        let refused = stage.refused(&nobody, "solve.lockfile", list![roots[0].clone(), true]).await;
        assert!(refused.starts_with("no lockfile of buildroot"), "{refused}");
        let one = lockfile('a', "bash");
        let give = |root: &Value, text: &str| list![root.clone(), text, task];
        for text in [lockfile('b', "sed").to_json().unwrap(), one.to_json().unwrap()] {
            stage.ok(&stage.builder, "host.setBuildRootLockfile", give(&roots[0], &text)).await;
        }
        let spaced = one.to_json().unwrap().replace("  ", "    ");
        let digest = stage.ok(&stage.builder, "host.setBuildRootLockfile", give(&roots[1], &spaced)).await;
        assert_eq!(digest.as_str(), Some(one.digest().as_str()));
        // the last one counts, and the same list is kept once
        for root in &roots {
            let found = stage.ok(&nobody, "solve.lockfile", list![root.clone()]).await;
            assert_eq!(Lockfile::from_json(found.get("lockfile").as_str().unwrap()).unwrap(), one);
            assert_eq!((found.get("task_id"), found.get("planned")), (&task.into(), &false.into()));
        }
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_lockfile", &[]).await, 2.into());
        let args = list![roots[1].clone(), "EXPIRED", task];
        stage.ok(&stage.builder, "host.setBuildRootState", args).await;
        let late = give(&roots[1], &spaced);
        let refused = stage.refused(&stage.builder, "host.setBuildRootLockfile", late).await;
        assert!(refused.ends_with("is EXPIRED"), "{refused}");

        let nvr = map! { "name" => "hello", "version" => "1", "release" => "1", "epoch" => 0 };
        stage.ok(&stage.admin, "createImageBuild", list![nvr]).await;
        let build = stage.ok(&nobody, "getBuild", list!["hello-1-1"]).await.get("id").as_int().unwrap();
        let sql = "INSERT INTO rpminfo (build_id, buildroot_id, name, version, release, arch, draft, external_repo_id, payloadhash, size, buildtime)
                   VALUES ($1, $2, 'hello', '1', '1', 'x86_64', FALSE, 0, 'x', 1, 1)";
        stage.world.set(sql, &[build.into(), roots[1].as_int().unwrap().into()]).await;
        let all = stage.ok(&nobody, "solve.lockfiles", list!["hello-1-1"]).await;
        let ids: Vec<_> = all.as_array().unwrap().iter().map(|one| one.get("buildroot_id")).collect();
        assert_eq!(ids, [&roots[1]]);
    }
}
