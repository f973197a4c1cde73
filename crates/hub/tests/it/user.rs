//! Users, groups and permissions.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

both_databases! {
    async fn users_are_made_found_and_locked_out(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let kw = map! { "krb_principal" => "carl@EXAMPLE.COM" };
        let id = office.boss_kw("createUser", list!["carl"], kw).await;
        let shown = map! {
            "id" => id.clone(), "name" => "carl", "status" => 0, "usertype" => 0,
            "krb_principals" => list!["carl@EXAMPLE.COM"],
        };
        for info in [
            id.clone(),
            "carl".into(),
            "carl@EXAMPLE.COM".into(),
            map! { "krb_principal" => "carl@EXAMPLE.COM" }.into(),
            map! { "id" => id.clone(), "name" => "carl" }.into(),
        ] {
            assert_eq!(office.boss("getUser", list![info]).await, Value::from(shown.clone()));
        }
        assert_eq!(office.boss("getUser", list!["nobody"]).await, Value::Nil);
        assert_eq!(
            office.refusal("createUser", list!["carl"]).await,
            "1000: user already exists: carl"
        );
        assert_eq!(
            office.refusal("createUser", list!["bad user!"]).await,
            "1000: Name bad user! does not match RegexUserName value"
        );
        let pairs = list![map! { "old" => "carl@EXAMPLE.COM", "new" => "c@EXAMPLE.COM" }];
        let kw = map! { "name" => "carla", "krb_principal_mappings" => pairs };
        office.boss_kw("editUser", list!["carl"], kw).await;
        office.boss("disableUser", list!["carla"]).await;
        let found = office.boss("getUser", list![id]).await;
        assert_eq!(found.get("name"), &Value::from("carla"));
        assert_eq!(found.get("status"), &Value::Int(1));
        assert_eq!(found.get("krb_principals"), &list!["c@EXAMPLE.COM"]);
        assert_eq!(
            office.fault(Who::Mate, "disableUser", list!["carla"], Map::new()).await,
            "1004: admin permission required (logged in as mate)"
        );
    }

    async fn permissions_come_from_the_user_and_from_groups(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("newGroup", list!["crew"]).await;
        office.boss("addGroupMember", list!["crew", "mate"]).await;
        assert_eq!(
            office.refusal("addGroupMember", list!["crew", "mate"]).await,
            "1000: User already in group"
        );
        office.boss("grantPermission", list!["crew", "host"]).await;
        let kw = map! { "create" => true, "description" => "may sweep" };
        office.boss_kw("grantPermission", list!["mate", "sweep"], kw).await;
        assert_eq!(office.boss("getUserPerms", list!["mate"]).await, list!["sweep", "host"]);
        assert_eq!(office.boss("getUserPerms", list!["mate", false]).await, list!["sweep"]);
        let sources = map! { "sweep" => list![Value::Nil], "host" => list!["crew"] };
        let found = office.boss("getUserPermsInheritance", list!["mate"]).await;
        assert_eq!(found, Value::from(sources));
        let may = office.ask(Who::Mate, "hasPerm", list!["host"], Map::new()).await;
        assert_eq!(may, Ok(Value::Bool(true)));
        let members = office.boss("getGroupMembers", list!["crew"]).await;
        assert_eq!(column(&members, "name"), ["mate"]);
        for (kw, names) in [
            (map! { "perm" => "host", "inherited_perm" => true }, vec!["mate"]),
            (map! { "perm" => "host" }, vec![]),
            (map! { "userType" => 2 }, vec!["crew"]),
            (map! { "prefix" => "MA" }, vec!["mate"]),
        ] {
            let found = office.boss_kw("listUsers", list![], kw).await;
            assert_eq!(column(&found, "name"), names);
        }
        office.boss("dropGroupMember", list!["crew", "mate"]).await;
        office.boss("revokePermission", list!["mate", "sweep"]).await;
        assert_eq!(office.boss("getUserPerms", list!["mate"]).await, list![]);
    }
}
