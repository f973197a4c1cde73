//! Copies of tags, new ones and ones that are brought up to date.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

/// A tag `src` that inherits from `base`, with packages, builds, groups and extra values.
async fn furnished(db: Db) -> Office {
    let office = Office::new(db, |_| {}).await;
    office.boss("createTag", list!["base"]).await;
    let kw = map! { "parent" => "base", "arches" => "x86_64", "extra" => map! { "k" => 1 } };
    office.boss_kw("createTag", list!["src"], kw).await;
    for package in ["a", "b", "c"] {
        office.boss("packageListAdd", list!["base", package, "mate"]).await;
    }
    office.boss("packageListBlock", list!["src", "c"]).await;
    for nvr in [("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")] {
        office.boss("createEmptyBuild", list![nvr.0, "1", nvr.1, Value::Nil]).await;
    }
    office.boss("massTag", list!["src", list!["a-1-1", "a-1-2"]]).await;
    office.boss("massTag", list!["base", list!["b-1-1"]]).await;
    office.boss("groupListAdd", list!["base", "build"]).await;
    office.boss("groupPackageListAdd", list!["base", "build", "make"]).await;
    office.boss("groupListAdd", list!["src", "more"]).await;
    office.boss("groupReqListAdd", list!["src", "more", "build"]).await;
    office
}

async fn builds(office: &Office, tag: &str) -> Vec<String> {
    column(&office.boss("listTagged", list![tag]).await, "nvr")
}

both_databases! {
    async fn a_tag_is_copied_as_it_is_and_as_it_was(db: Db) {
        let office = furnished(db).await;
        let before = office.boss("getLastEvent", list![]).await.get("id").clone();
        office.boss("massTag", list!["src", list!["a-1-3"]]).await;
        office.boss("snapshotTag", list!["src", "now"]).await;
        let shown = office.boss("getTag", list!["now"]).await;
        assert_eq!(shown.get("arches"), &Value::from("x86_64"));
        assert_eq!(shown.get("extra"), &Value::from(map! { "k" => 1 }));
        assert_eq!(office.boss("getInheritanceData", list!["now"]).await, list![]);
        let packages = office.boss_kw("listPackages", list![], map! { "tagID" => "now" }).await;
        let mut names = column(&packages, "package_name");
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(column(&packages, "owner_name"), ["mate", "mate", "mate"]);
        let blocked: Vec<_> = packages.as_array().unwrap().iter().filter(|p| p.get("blocked").truthy()).collect();
        assert_eq!(blocked.len(), 1);
        assert_eq!(builds(&office, "now").await, ["a-1-3", "b-1-1"]);
        let groups = office.boss("getTagGroups", list!["now"]).await;
        let mut names = column(&groups, "name");
        names.sort();
        assert_eq!(names, ["build", "more"]);
        let more = groups.as_array().unwrap().iter().find(|g| g.get("name") == &"more".into()).unwrap();
        assert_eq!(column(more.get("grouplist"), "name"), ["build"]);

        let old = map! { "event" => before, "latest_only" => false, "inherit_builds" => false, "groups" => false };
        office.boss_kw("snapshotTag", list!["src", "old"], old).await;
        assert_eq!(builds(&office, "old").await, ["a-1-2", "a-1-1"]);
        assert_eq!(office.boss("getTagGroups", list!["old"]).await, list![]);
    }

    async fn copies_are_refused_where_they_make_no_sense(db: Db) {
        let office = furnished(db).await;
        let refused = office.fault(Who::Mate, "snapshotTag", list!["src", "x"], map! {}).await;
        assert_eq!(refused, "1004: tag permission required (logged in as mate)");
        assert_eq!(office.refusal("snapshotTag", list!["src", "base"]).await, "1000: Target tag already exists");
        let text = "1019: builds can't be used without pkgs in snapshotTag";
        for method in ["snapshotTag", "snapshotTagModify"] {
            let kw = map! { "pkgs" => false };
            assert_eq!(office.fault(Who::Boss, method, list!["src", "x"], kw).await, text);
        }
        assert_eq!(office.refusal("snapshotTag", list!["nope", "x"]).await, "1000: No such tagInfo: 'nope'");
        office.boss_kw("editTag2", list!["src"], map! { "locked" => true }).await;
        let refused = office.refusal("snapshotTag", list!["src", "x"]).await;
        assert_eq!(refused, "1000: Source tag is locked, use force to copy");
        let refused = office.refusal("snapshotTagModify", list!["src", "base"]).await;
        assert_eq!(refused, "1000: Source or destination tag is locked, use force to copy");
        office.boss_kw("snapshotTag", list!["src", "x"], map! { "force" => true }).await;
        assert_eq!(office.boss("getTag", list!["x"]).await.get("locked"), &Value::Bool(true));
    }

    async fn a_copy_is_brought_up_to_date(db: Db) {
        let office = furnished(db).await;
        let kw = map! { "extra" => map! { "gone" => true } };
        office.boss_kw("createTag", list!["dst"], kw).await;
        office.boss("packageListAdd", list!["dst", "d", "boss"]).await;
        office.boss("packageListAdd", list!["dst", "a", "boss"]).await;
        office.boss("createEmptyBuild", list!["d", "1", "1", Value::Nil]).await;
        // in another order than in the source, with one that the source does not have
        office.boss("massTag", list!["dst", list!["d-1-1", "a-1-3", "a-1-2", "a-1-1"]]).await;
        office.boss("groupListAdd", list!["dst", "own"]).await;
        office.boss("groupListAdd", list!["dst", "build"]).await;
        let all = |more: Map| {
            let mut kw = map! { "latest_only" => false, "inherit_builds" => true };
            kw.extend(more);
            kw
        };
        office.boss_kw("snapshotTagModify", list!["src", "dst"], all(map! {})).await;
        let shown = office.boss("getTag", list!["dst"]).await;
        assert_eq!(shown.get("extra"), &Value::from(map! { "k" => 1 }));
        // what the source lacks is the oldest now, and blocked packages are not listed
        assert_eq!(builds(&office, "dst").await, ["a-1-2", "b-1-1", "a-1-1", "a-1-3"]);
        let packages = office.boss_kw("listPackages", list![], map! { "tagID" => "dst" }).await;
        let blocked = packages.as_array().unwrap().iter().filter(|p| p.get("blocked").truthy());
        let mut blocked: Vec<String> = blocked.map(|p| p.get("package_name").display()).collect();
        blocked.sort();
        assert_eq!(blocked, ["c", "d"]);
        let groups = office.boss("getTagGroups", list!["dst"]).await;
        let build = groups.as_array().unwrap().iter().find(|g| g.get("name") == &"build".into()).unwrap();
        assert_eq!(column(build.get("packagelist"), "package"), ["make"]);

        office.boss_kw("snapshotTagModify", list!["src", "dst"], all(map! { "remove" => true, "force" => true })).await;
        assert_eq!(builds(&office, "dst").await, ["a-1-2", "b-1-1", "a-1-1"]);
        let mut names = column(&office.boss("getTagGroups", list!["dst"]).await, "name");
        names.sort();
        assert_eq!(names, ["build", "more"]);
        // nothing is left to do: no build is tagged again
        let event = office.boss("getLastEvent", list![]).await;
        office.boss_kw("snapshotTagModify", list!["src", "dst"], all(map! { "config" => false })).await;
        let history = office.boss_kw("queryHistory", list![list!["tag_listing"]], map! { "tag" => "dst", "afterEvent" => event.get("id") }).await;
        assert_eq!(history.get("tag_listing"), &list![]);
    }
}
