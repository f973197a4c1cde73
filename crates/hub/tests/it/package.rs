//! Package lists of tags, the policy that guards them, and search.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

async fn listed(office: &Office, tag: &str) -> Vec<String> {
    let kw = map! { "tagID" => tag, "inherited" => true, "queryOpts" => map! { "order" => "package_name" } };
    let found = office.boss_kw("listPackages", list![], kw).await;
    let names = column(&found, "package_name").into_iter();
    let blocked = column(&found, "blocked").into_iter();
    names
        .zip(blocked)
        .map(|(name, b)| if b == "True" { format!("-{name}") } else { name })
        .collect()
}

both_databases! {
    async fn lists_are_inherited_filtered_and_blocked(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let base = office.boss("createTag", list!["base"]).await;
        office.boss("createTag", list!["top"]).await;
        for package in ["perl", "perl-a", "zlib"] {
            office.boss("packageListAdd", list!["base", package, "mate"]).await;
        }
        let link = map! {
            "parent_id" => base, "priority" => 0, "maxdepth" => Value::Nil, "intransitive" => false,
            "noconfig" => false, "pkg_filter" => "^perl",
        };
        office.boss("setInheritanceData", list!["top", link]).await;
        assert_eq!(listed(&office, "top").await, ["perl", "perl-a"]);
        office.boss("packageListBlock", list!["top", "perl"]).await;
        assert_eq!(listed(&office, "top").await, ["-perl", "perl-a"]);
        let check = |package: &str| office.boss("checkTagPackage", list!["top", package]);
        assert_eq!(check("perl").await, Value::Bool(false));
        assert_eq!(check("perl-a").await, Value::Bool(true));
        assert_eq!(check("zlib").await, Value::Bool(false));
        assert_eq!(
            office.refusal("packageListAdd", list!["top", "perl", "mate", false]).await,
            "1000: package perl is blocked in tag top"
        );
        office.boss("packageListUnblock", list!["top", "perl"]).await;
        assert_eq!(listed(&office, "top").await, ["perl", "perl-a"]);
        let config = office.boss("getPackageConfig", list!["top", "perl"]).await;
        assert_eq!(config.get("tag_name"), &Value::from("base"));
        // a block further back is overridden, not removed
        office.boss("packageListBlock", list!["base", "perl"]).await;
        office.boss("packageListUnblock", list!["top", "perl"]).await;
        assert_eq!(listed(&office, "top").await, ["perl", "perl-a"]);
        assert_eq!(listed(&office, "base").await, ["-perl", "perl-a", "zlib"]);
        office.boss("packageListSetOwner", list!["base", "zlib", "boss"]).await;
        let kw = map! { "userID" => "boss" };
        let found = office.boss_kw("listPackages", list![], kw).await;
        assert_eq!(column(&found, "package_name"), ["zlib"]);
    }

    async fn the_policy_decides_who_lists_packages(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        let add = |who| office.fault(who, "packageListAdd", list!["base", "x", "mate"], Map::new());
        assert_eq!(add(Who::Nobody).await, "1004: you must be logged in for this operation");
        assert_eq!(
            add(Who::Mate).await,
            "1004: policy violation (package_list): Only admin/tag can do this via default policy"
        );
        assert_eq!(office.boss("getPackage", list!["x"]).await, Value::Nil);
        assert_eq!(
            office.refusal("packageListAdd", list!["base", "x"]).await,
            "1000: owner not specified"
        );
        office.boss("grantPermission", list!["mate", "tag"]).await;
        let done = office.ask(Who::Mate, "packageListAdd", list!["base", "x", "mate"], Map::new());
        assert_eq!(done.await, Ok(Value::Nil));
    }

    async fn configured_policies_are_asked(db: Db) {
        let rules = "user_in_group crew :: allow\n\
                     tag base && ! is_new_package :: deny old\n\
                     policy other :: allow\n\
                     all :: deny";
        let office = Office::new(db, |config| {
            config.policies =
                vec![("tag".into(), rules.into()), ("other".into(), "package z* :: yes".into())];
        })
        .await;
        office.boss("createTag", list!["base"]).await;
        office.boss("packageListAdd", list!["base", "zlib", "boss"]).await;
        let ask = |data: Map| office.boss("evalPolicy", list!["tag", data]);
        let data = map! { "tag" => "base", "package" => "zlib" };
        assert_eq!(ask(data).await, Value::from("deny old"));
        let data = map! { "tag" => "base", "package" => "zsh" };
        assert_eq!(ask(data).await, Value::from("allow"));
        let data = map! { "package" => "bash" };
        assert_eq!(ask(data.clone()).await, Value::from("deny"));
        office.boss("newGroup", list!["crew"]).await;
        office.boss("addGroupMember", list!["crew", "boss"]).await;
        assert_eq!(ask(data).await, Value::from("allow"));
        assert_eq!(
            office.refusal("evalPolicy", list!["none", Map::new()]).await,
            "1000: no such policy: none"
        );
    }

    async fn things_are_found_by_name(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["f1_a"]).await;
        office.boss("createTag", list!["f1xa"]).await;
        let find = |terms: &str, how: &str| office.boss("search", list![terms, "tag", how]);
        assert_eq!(column(&find("F1_*", "glob").await, "name"), ["f1_a"]);
        assert_eq!(column(&find("f1?a", "glob").await, "name"), ["f1_a", "f1xa"]);
        assert_eq!(column(&find("X.$", "regexp").await, "name"), ["f1xa"]);
        assert_eq!(column(&find("f1_a", "exact").await, "name"), ["f1_a"]);
        let kw = map! { "queryOpts" => map! { "order" => "-id", "asList" => true, "limit" => 1 } };
        let found = office.boss_kw("search", list!["*", "user", "glob"], kw).await;
        assert_eq!(found.as_array().unwrap()[0].as_array().unwrap()[1], Value::from("mate"));
        assert_eq!(office.refusal("search", list!["", "tag", "glob"]).await, "1000: empty search terms");
    }

    async fn history_tells_who_changed_what(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        office.boss("packageListAdd", list!["base", "x", "mate"]).await;
        let before = office.boss("getLastEvent", list![]).await.get("id").clone();
        office.boss("packageListRemove", list!["base", "x"]).await;
        let kw = map! { "tables" => list!["tag_packages", "tag_config"], "package" => "x" };
        let found = office.boss_kw("queryHistory", list![], kw.clone()).await;
        assert_eq!(found.as_struct().unwrap().keys().collect::<Vec<_>>(), ["tag_packages"]);
        let row = &found.get("tag_packages").as_array().unwrap()[0];
        assert_eq!(row.get("active"), &Value::Nil);
        assert_eq!(row.get("tag.name"), &Value::from("base"));
        assert_eq!(row.get("revoker_name"), &Value::from("boss"));
        let mut kw = kw;
        kw.insert("afterEvent", before);
        kw.insert("editor", "boss");
        let found = office.boss_kw("queryHistory", list![], kw).await;
        let row = &found.get("tag_packages").as_array().unwrap()[0];
        assert_eq!(row.get("_created_after_event"), &Value::Bool(false));
        assert_eq!(row.get("_revoked_after_event"), &Value::Bool(true));
        assert_eq!(row.get("_revoked_by"), &Value::Bool(true));
        let kw = map! { "tables" => list!["tag_config"], "user" => "mate" };
        assert_eq!(office.boss_kw("queryHistory", list![], kw).await, Value::from(Map::new()));
    }
}
