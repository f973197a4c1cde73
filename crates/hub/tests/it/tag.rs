//! Tags, inheritance, targets, external repositories and groups of packages.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

/// An inheritance link.
fn link(parent: &Value, priority: i64) -> Map {
    map! {
        "parent_id" => parent, "priority" => priority, "maxdepth" => Value::Nil,
        "intransitive" => false, "noconfig" => false, "pkg_filter" => "",
    }
}

/// The newest event.
async fn now(office: &Office) -> Value {
    office.boss("getLastEvent", list![]).await.get("id").clone()
}

both_databases! {
    async fn tags_inherit_settings_and_keep_their_history(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let extra = map! { "mock.a" => 1, "mock.b" => list!["x", Value::Nil] };
        let kw = map! { "arches" => "x86_64 aarch64", "extra" => extra };
        office.boss_kw("createTag", list!["base"], kw).await;
        let kw = map! { "parent" => "base" };
        let id = office.boss_kw("createTag", list!["build"], kw).await;
        let before = now(&office).await;
        let edits = map! { "extra" => map! { "own" => "y" }, "arches" => Value::Nil };
        office.boss_kw("editTag2", list!["build"], edits).await;
        let edits = map! { "block_extra" => list!["mock.a"], "locked" => true };
        office.boss_kw("editTag2", list!["build"], edits).await;
        let config = office.boss("getBuildConfig", list!["build"]).await;
        assert_eq!(config.get("arches"), &Value::from("x86_64 aarch64"));
        let merged = map! { "own" => "y", "mock.b" => list!["x", Value::Nil] };
        assert_eq!(config.get("extra"), &Value::from(merged));
        let sources = config.get("config_inheritance");
        assert_eq!(sources.get("arches").get("name"), &Value::from("base"));
        assert_eq!(sources.get("extra").get("mock.b").get("name"), &Value::from("base"));
        let kw = map! { "blocked" => true };
        let blocked = office.boss_kw("getTag", list!["build"], kw).await;
        assert_eq!(blocked.get("extra").get("mock.a"), &list![true, Value::Nil]);
        let old = office.boss_kw("getTag", list![id.clone()], map! { "event" => before }).await;
        assert_eq!(old.get("locked"), &Value::Bool(false));
        assert_eq!(old.get("extra"), &Value::from(Map::new()));
        let access = office.boss("checkTagAccess", list![id.clone()]).await;
        assert_eq!(access, list![false, true, "tag is locked"]);
        office.boss("deleteTag", list!["build"]).await;
        assert_eq!(office.boss("getTag", list!["build"]).await, Value::Nil);
        let kw = map! { "event" => "auto" };
        let last = office.boss_kw("getTag", list!["build"], kw).await;
        assert_eq!(last.get("locked"), &Value::Bool(true));
        assert_eq!(office.boss("tagLastChangeEvent", list!["build"]).await, now(&office).await);
        let again = office.boss("createTag", list!["build"]).await;
        assert_eq!(again, id);
    }

    async fn bad_tags_are_refused_and_change_nothing(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        for (args, kw, text) in [
            (list!["base"], Map::new(), "1000: A tag with the name 'base' already exists"),
            (list!["a b"], Map::new(), "1000: Name a b does not match RegexNameInternal value"),
            (list![7], Map::new(), "1000: Name should be string"),
            (
                list!["new"],
                map! { "parent" => "none" },
                "1000: Parent tag 'none' could not be found",
            ),
            (
                list!["new"],
                map! { "perm" => "none" },
                "1000: No such entry in table permissions: none",
            ),
            (
                list!["new"],
                map! { "arches" => "x86!" },
                "1000: Architecture can be only [a-zA-Z0-9_-]",
            ),
            (list!["new"], map! { "maven_support" => true }, "1000: Maven support not enabled"),
        ] {
            assert_eq!(office.fault(Who::Boss, "createTag", args, kw).await, text);
        }
        assert_eq!(
            office.fault(Who::Mate, "createTag", list!["new"], Map::new()).await,
            "1004: tag permission required (logged in as mate)"
        );
        let kw = map! { "create" => true };
        assert_eq!(
            office.fault(Who::Nobody, "getTagID", list!["new"], kw).await,
            "1004: tag permission required (user not logged in)"
        );
        assert_eq!(column(&office.boss("listTags", list![]).await, "name"), ["base"]);
    }

    async fn inheritance_is_ordered_and_limited(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let mut ids = Vec::new();
        for name in ["top", "left", "right", "deep"] {
            ids.push(office.boss("createTag", list![name]).await);
        }
        let [_, left, right, deep] = &ids[..] else { panic!("four tags") };
        let links = list![link(right, 5), link(left, 1)];
        office.boss("setInheritanceData", list!["top", links]).await;
        office.boss("setInheritanceData", list!["left", list![link(deep, 0)]]).await;
        office.boss("setInheritanceData", list!["right", list![link(deep, 0)]]).await;
        let full = office.boss("getFullInheritance", list!["top"]).await;
        assert_eq!(column(&full, "name"), ["left", "deep", "right"]);
        assert_eq!(column(&full, "currdepth"), ["1", "2", "1"]);
        let kw = map! { "reverse" => true };
        let reverse = office.boss_kw("getFullInheritance", list!["deep"], kw).await;
        assert_eq!(column(&reverse, "name"), ["left", "top", "right"]);
        assert_eq!(
            office.refusal("setInheritanceData", list!["top", link(deep, 5)]).await,
            format!(
                "1000: Multiple parent tags ([{}, {}]) cannot have the same priority value (5) \
                 on child tag {}",
                right.display(), deep.display(), ids[0].display(),
            )
        );
        let drop = map! { "parent_id" => left, "delete link" => true };
        office.boss("setInheritanceData", list!["top", list![drop]]).await;
        let own = office.boss("getInheritanceData", list!["top"]).await;
        assert_eq!(column(&own, "name"), ["right"]);
        let before = now(&office).await;
        office.boss_kw("editTag2", list!["deep"], map! { "locked" => true }).await;
        let after = now(&office).await;
        let changed = |tags: Value| office.boss("tagChangedSinceEvent", list![before.clone(), tags]);
        assert_eq!(changed(list![deep.clone()]).await, Value::Bool(true));
        assert_eq!(changed(list![left.clone()]).await, Value::Bool(false));
        assert_eq!(office.boss("tagLastChangeEvent", list!["top"]).await, after);
        let args = list!["top", before.clone()];
        assert_eq!(office.boss("tagFirstChangeEvent", args).await, after);
        let args = list!["top", before, false];
        assert_eq!(office.boss("tagFirstChangeEvent", args).await, Value::Nil);
    }

    async fn targets_point_at_tags(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["build"]).await;
        office.boss("createTag", list!["dest"]).await;
        office.boss("createBuildTarget", list!["t", "build", "dest"]).await;
        assert_eq!(
            office.refusal("createBuildTarget", list!["u", "build", "none"]).await,
            "1000: destination tag 'none' does not exist"
        );
        let found = office.boss("getBuildTarget", list!["t"]).await;
        assert_eq!(found.get("dest_tag_name"), &Value::from("dest"));
        office.boss("editBuildTarget", list!["t", "t2", "build", "build"]).await;
        let kw = map! { "destTagID" => "build" };
        let found = office.boss_kw("getBuildTargets", list![], kw).await;
        assert_eq!(column(&found, "name"), ["t2"]);
        office.boss("deleteBuildTarget", list!["t2"]).await;
        assert_eq!(office.boss("getBuildTarget", list!["t2"]).await, Value::Nil);
    }

    async fn external_repositories_are_inherited_once(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        office.boss_kw("createTag", list!["build"], map! { "parent" => "base" }).await;
        for name in ["one", "two"] {
            let url = format!("http://example.com/{name}");
            let made = office.boss("createExternalRepo", list![name, url.clone()]).await;
            assert_eq!(made.get("url"), &Value::from(format!("{url}/")));
        }
        office.boss("addExternalRepoToTag", list!["base", "one", 5]).await;
        office.boss("addExternalRepoToTag", list!["base", "two", 9]).await;
        office.boss("addExternalRepoToTag", list!["build", "two", 1]).await;
        assert_eq!(
            office.refusal("addExternalRepoToTag", list!["build", "one", 1]).await,
            "1000: tag build already associated with an external repo at priority 1"
        );
        let list = office.boss("getExternalRepoList", list!["build"]).await;
        assert_eq!(column(&list, "external_repo_name"), ["two", "one"]);
        assert_eq!(column(&list, "tag_name"), ["build", "base"]);
        let kw = map! { "merge_mode" => "bare", "arches" => "x86_64" };
        let changed = office.boss_kw("editTagExternalRepo", list!["build", "two"], kw).await;
        assert_eq!(changed, Value::Bool(true));
        office.boss("deleteExternalRepo", list!["one"]).await;
        let uses = office.boss("getTagExternalRepos", list![]).await;
        assert_eq!(column(&uses, "merge_mode"), ["bare", "koji"]);
    }

    async fn groups_are_inherited_and_blocked(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        office.boss_kw("createTag", list!["build"], map! { "parent" => "base" }).await;
        office.boss("groupListAdd", list!["base", "build"]).await;
        office.boss("groupListAdd", list!["base", "tools"]).await;
        for package in ["bash", "gcc"] {
            office.boss("groupPackageListAdd", list!["base", "build", package]).await;
        }
        office.boss("groupReqListAdd", list!["base", "build", "tools"]).await;
        office.boss("groupPackageListBlock", list!["build", "build", "gcc"]).await;
        let groups = office.boss("getTagGroups", list!["build"]).await;
        assert_eq!(column(&groups, "name"), ["build", "tools"]);
        let build = &groups.as_array().unwrap()[0];
        assert_eq!(column(build.get("packagelist"), "package"), ["bash"]);
        assert_eq!(column(build.get("grouplist"), "name"), ["tools"]);
        office.boss("groupListBlock", list!["build", "tools"]).await;
        let groups = office.boss("getTagGroups", list!["build"]).await;
        assert_eq!(column(&groups, "name"), ["build"]);
        assert_eq!(groups.as_array().unwrap()[0].get("grouplist"), &list![]);
        assert_eq!(
            office.refusal("groupListAdd", list!["build", "tools"]).await,
            "1000: group tools is blocked in tag build"
        );
        office.boss("groupListUnblock", list!["build", "tools"]).await;
        office.boss("groupPackageListUnblock", list!["build", "build", "gcc"]).await;
        let groups = office.boss("getTagGroups", list!["build"]).await;
        let build = &groups.as_array().unwrap()[0];
        assert_eq!(column(build.get("packagelist"), "package"), ["bash", "gcc"]);
    }
}
