//! Side tags: made, changed, listed and deleted by those whose they are.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

both_databases! {
    async fn a_user_makes_and_removes_a_side_tag(db: Db) {
        let office = Office::new(db, |config| {
            config.sidetag.allowed_suffixes = vec!["good".into()];
        })
        .await;
        office.boss_kw("createTag", list!["base"], map! { "arches" => "x86_64" }).await;
        let made = office.ask(Who::Mate, "createSideTag", list!["base"], map! { "debuginfo" => true }).await;
        let made = made.unwrap();
        let id = made.get("id").as_int().unwrap();
        let name = format!("base-side-{id}");
        let shown = map! { "name" => &name, "id" => id, "task_id" => Value::Nil, "request" => Value::Nil };
        assert_eq!(made, Value::from(shown));
        let tag = office.boss("getTag", list![id]).await;
        assert_eq!(tag.get("arches"), &Value::from("x86_64"));
        let mate = office.boss("getUser", list!["mate"]).await.get("id").clone();
        let extra = map! {
            "sidetag" => true, "sidetag_user" => "mate", "sidetag_user_id" => mate.clone(),
            "with_debuginfo" => true,
        };
        assert_eq!(tag.get("extra"), &Value::from(extra));
        let target = office.boss("getBuildTarget", list![name.as_str()]).await;
        assert_eq!((target.get("build_tag"), target.get("dest_tag")), (&Value::Int(id), &Value::Int(id)));
        let parents = office.boss("getInheritanceData", list![id]).await;
        assert_eq!(column(&parents, "name"), ["base"]);

        let bad = map! { "suffix" => "bad" };
        let refused = office.fault(Who::Mate, "createSideTag", list!["base"], bad).await;
        assert_eq!(refused, "1000: bad suffix is not allowed for sidetag");
        let kw = map! { "suffix" => "good" };
        let other = office.boss_kw("createSideTag", list!["base"], kw).await;
        assert!(other.get("name").display().ends_with("-good"));
        let refused = office.fault(Who::Nobody, "createSideTag", list!["base"], map! {}).await;
        assert_eq!(refused, "1004: you must be logged in for this operation");

        let all = office.boss("listSideTags", list![]).await;
        assert_eq!(column(&all, "user_name"), ["mate", "boss"]);
        let own = office.boss_kw("listSideTags", list![], map! { "user" => "mate", "basetag" => "base" }).await;
        let one = map! {
            "id" => id, "name" => &name, "user_id" => mate.display(), "user_name" => "mate",
        };
        assert_eq!(own, list![one]);
        let count = map! { "queryOpts" => map! { "countOnly" => true } };
        assert_eq!(office.boss_kw("listSideTags", list![], count).await, Value::Int(2));

        let args = list![other.get("id")];
        let refused = office.fault(Who::Mate, "removeSideTag", args, map! {}).await;
        assert_eq!(refused, "1004: This is not your sidetag");
        let refused = office.fault(Who::Mate, "removeSideTag", list!["base"], map! {}).await;
        assert_eq!(refused, "1000: Not a sidetag: base");
        office.ask(Who::Mate, "removeSideTag", list![id], map! {}).await.unwrap();
        assert_eq!(office.boss("getTag", list![id]).await, Value::Nil);
        assert_eq!(office.boss("getBuildTarget", list![name]).await, Value::Nil);
        // an administrator removes everybody's
        office.boss("removeSideTag", list![other.get("name")]).await;
        assert_eq!(office.boss("listSideTags", list![]).await, list![]);
    }

    async fn the_policy_limits_side_tags(db: Db) {
        let office = Office::new(db, |config| {
            let rules = "compare number_of_tags < 1 && tag base :: allow\nall :: deny enough of them";
            config.policies = vec![("sidetag".into(), rules.into())];
        })
        .await;
        for tag in ["base", "other"] {
            office.boss("createTag", list![tag]).await;
        }
        let denied = "1004: policy violation (sidetag): enough of them";
        assert_eq!(office.fault(Who::Mate, "createSideTag", list!["other"], map! {}).await, denied);
        office.ask(Who::Mate, "createSideTag", list!["base"], map! {}).await.unwrap();
        assert_eq!(office.fault(Who::Mate, "createSideTag", list!["base"], map! {}).await, denied);
    }

    async fn changes_are_those_that_the_base_allows(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        let made = office.ask(Who::Mate, "createSideTag", list!["base"], map! {}).await.unwrap();
        let side = list![made.get("id")];
        let edit = |kw: Map| office.ask(Who::Mate, "editSideTag", side.clone(), kw);
        let refused = |kw: Map| office.fault(Who::Mate, "editSideTag", side.clone(), kw);
        let text = refused(map! { "debuginfo" => true }).await;
        assert_eq!(text, "1000: Debuginfo setting is not allowed in parent tag.");
        let text = refused(map! { "rpm_macros" => map! { "dist" => ".x" } }).await;
        assert_eq!(text, "1000: RPM macros change is not allowed in parent tag.");
        let text = refused(map! { "extra" => map! { "a" => 1 } }).await;
        assert_eq!(text, "1000: Extra can be modified only with sidetag_admin or admin permissions.");
        let extra = map! {
            "sidetag_debuginfo_allowed" => 1, "sidetag_rpm_macros_allowed" => "dist my_*",
        };
        office.boss_kw("editTag2", list!["base"], map! { "extra" => extra }).await;
        edit(map! { "debuginfo" => true, "rpm_macros" => map! { "dist" => ".x", "my_a" => 2 } }).await.unwrap();
        let text = refused(map! { "rpm_macros" => map! { "other" => 1 } }).await;
        assert_eq!(text, "1000: RPM macro other editing is not allowed via parent tag");
        let text = refused(map! { "rpm_macros" => map! { "1x" => 1 } }).await;
        assert_eq!(text, "1000: Invalid macro name '1x'");
        let text = refused(map! { "rpm_macros" => list!["dist"] }).await;
        assert!(text.ends_with("<class 'list'>, expected type <class 'dict'>"), "{text}");
        edit(map! { "remove_rpm_macros" => list!["my_a"] }).await.unwrap();
        office.boss_kw("editSideTag", side.clone(), map! { "extra" => map! { "a" => 1 } }).await;
        let shown = office.boss("getTag", side.clone()).await;
        let extra = shown.get("extra");
        assert_eq!(extra.get("rpm.macro.dist"), &Value::from(".x"));
        assert_eq!(extra.get("with_debuginfo"), &Value::Bool(true));
        assert_eq!((extra.get("rpm.macro.my_a"), extra.get("a")), (&Value::Nil, &Value::Int(1)));
    }

    async fn an_empty_side_tag_goes_where_that_is_wanted(db: Db) {
        let office = Office::new(db, |config| config.sidetag.remove_empty = true).await;
        office.boss("createTag", list!["base"]).await;
        office.boss("packageListAdd", list!["base", "p", "boss"]).await;
        for release in ["1", "2"] {
            office.boss("createEmptyBuild", list!["p", "1", release, Value::Nil]).await;
        }
        let made = office.boss("createSideTag", list!["base"]).await;
        let side = made.get("name").clone();
        for build in ["p-1-1", "p-1-2"] {
            office.boss("tagBuildBypass", list![side.clone(), build]).await;
        }
        office.boss("untagBuildBypass", list![side.clone(), "p-1-1"]).await;
        assert!(office.boss("getTag", list![side.clone()]).await.truthy());
        office.boss("untagBuildBypass", list![side.clone(), "p-1-2"]).await;
        assert_eq!(office.boss("getTag", list![side.clone()]).await, Value::Nil);
        assert_eq!(office.boss("getBuildTarget", list![side]).await, Value::Nil);
        // an ordinary tag stays
        office.boss("tagBuildBypass", list!["base", "p-1-1"]).await;
        office.boss("untagBuildBypass", list!["base", "p-1-1"]).await;
        assert!(office.boss("getTag", list!["base"]).await.truthy());
    }

    async fn policies_know_side_tags_and_their_owners(db: Db) {
        let office = Office::new(db, |config| {
            let rules = "is_sidetag && is_sidetag_owner :: allow\nis_sidetag :: deny not yours\nall :: deny no side tag";
            config.policies = vec![("tag".into(), rules.into())];
        })
        .await;
        office.boss("createTag", list!["base"]).await;
        let own = office.ask(Who::Mate, "createSideTag", list!["base"], map! {}).await.unwrap();
        let other = office.boss("createSideTag", list!["base"]).await;
        let build = office.boss("createEmptyBuild", list!["p", "1", "1", Value::Nil]).await;
        office.boss("packageListAdd", list!["base", "p", "boss"]).await;
        let tag = |tag: &Value| list![tag, build.clone()];
        let refused = office.fault(Who::Mate, "tagBuild", tag(&"base".into()), map! {}).await;
        assert_eq!(refused, "1004: policy violation (tag): no side tag");
        let refused = office.fault(Who::Mate, "tagBuild", tag(other.get("id")), map! {}).await;
        assert_eq!(refused, "1004: policy violation (tag): not yours");
        office.ask(Who::Mate, "tagBuild", tag(own.get("id")), map! {}).await.unwrap();
    }
}
