//! Hosts, channels, volumes, types and notifications.

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who, column};

both_databases! {
    async fn hosts_listen_to_channels(db: Db) {
        let office = Office::new(db, |c| c.host_principal_format = Some("host/%s@X".into())).await;
        let id = office.boss("addHost", list!["b1.example.com", list!["x86_64", "i686"]]).await;
        let user = office.boss("getUser", list!["b1.example.com"]).await;
        assert_eq!(user.get("usertype"), &Value::Int(1));
        assert_eq!(user.get("krb_principals"), &list!["host/b1.example.com@X"]);
        assert_eq!(
            office.refusal("addHost", list!["mate", list!["x86_64"]]).await,
            "1000: user mate already exists and it is not a host"
        );
        let channels = |id: &Value| office.boss("listChannels", list![id.clone()]);
        assert_eq!(column(&channels(&id).await, "name"), ["default"]);
        let kw = map! { "create" => true };
        office.boss_kw("addHostToChannel", list!["b1.example.com", "fast"], kw).await;
        assert_eq!(column(&channels(&id).await, "name"), ["default", "fast"]);
        assert_eq!(
            office.refusal("addHostToChannel", list!["b1.example.com", "fast"]).await,
            "1000: host b1.example.com is already subscribed to the fast channel"
        );
        office.boss_kw("disableChannel", list!["fast"], map! { "comment" => "off" }).await;
        office.boss("addHost", list!["b2.example.com", list!["aarch64"]]).await;
        assert_eq!(
            office.refusal("addHostToChannel", list!["b2.example.com", "fast"]).await,
            "1000: channel fast is disabled"
        );
        let edits = map! { "capacity" => 8.5, "comment" => "old" };
        let edit = || office.boss_kw("editHost", list!["b1.example.com"], edits.clone());
        assert_eq!((edit().await, edit().await), (Value::Bool(true), Value::Bool(false)));
        office.boss("disableHost", list!["b1.example.com"]).await;
        let host = office.boss("getHost", list![id]).await;
        assert_eq!(host.get("enabled"), &Value::Bool(false));
        assert_eq!(host.get("capacity"), &Value::Double(8.5));
        for (kw, names) in [
            (map! { "arches" => list!["i686"] }, vec!["b1.example.com"]),
            (map! { "enabled" => true }, vec!["b2.example.com"]),
            (map! { "channelID" => "fast" }, vec!["b1.example.com"]),
            (map! { "arches" => "arch64" }, vec![]),
        ] {
            let found = office.boss_kw("listHosts", list![], kw).await;
            assert_eq!(column(&found, "name"), names);
        }
        office.boss("removeHostFromChannel", list!["b1.example.com", "fast"]).await;
        assert_eq!(office.boss("getAllArches", list![]).await, list!["aarch64", "x86_64", "i386"]);
        assert_eq!(
            office.fault(Who::Mate, "enableHost", list!["b1.example.com"], Map::new()).await,
            "1004: host permission required (logged in as mate)"
        );
    }

    async fn volumes_need_a_directory(db: Db) {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir_all(top.join("vol/big")).unwrap();
        let office = Office::new(db, |config| config.topdir = top.clone()).await;
        let missing = "1000: please create the volume directory first";
        assert_eq!(office.refusal("addVolume", list!["small"]).await, missing);
        assert_eq!(office.refusal("addVolume", list!["../vol/big"]).await, missing);
        let made = office.boss("addVolume", list!["big"]).await;
        let link = std::fs::canonicalize(top.join("vol/big/toplink")).unwrap();
        assert_eq!(link, std::fs::canonicalize(&top).unwrap());
        assert_eq!(office.boss("getVolume", list!["big"]).await, made);
        office.boss("removeVolume", list!["big"]).await;
        assert_eq!(column(&office.boss("listVolumes", list![]).await, "name"), ["DEFAULT"]);
    }

    async fn the_longest_end_of_a_name_gives_its_type(db: Db) {
        let office = Office::new(db, |_| {}).await;
        let kind = |name: &str| office.boss("getArchiveType", list![name]);
        assert_eq!(kind("a.b.TAR.gz").await.get("name"), &Value::from("tar"));
        assert_eq!(kind("a.none").await, Value::Nil);
        office.boss("addArchiveType", list!["none", "Nothing", "none nil"]).await;
        assert_eq!(kind("a.nil").await.get("name"), &Value::from("none"));
        let kw = map! { "create" => true };
        office.boss_kw("grantCGAccess", list!["mate", "robot"], kw).await;
        let robots = office.boss("listCGs", list![]).await;
        assert_eq!(robots.get("robot").get("users"), &list!["mate"]);
    }

    async fn users_ask_to_be_told(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["base"]).await;
        let ask = |args: Value| office.ask(Who::Mate, "createNotification", args, Map::new());
        assert_eq!(ask(list!["mate", Value::Nil, "base", true]).await, Ok(Value::Nil));
        assert!(ask(list!["mate", Value::Nil, "base", true]).await.is_err());
        assert_eq!(
            ask(list!["boss", Value::Nil, "base", true]).await.map_err(|f| f.message),
            Err("user mate cannot create notifications for user boss".to_owned())
        );
        let found = office.boss("getBuildNotifications", list!["mate"]).await;
        assert_eq!(column(&found, "email"), ["mate@example.com"]);
        let id = found.as_array().unwrap()[0].get("id").clone();
        office.boss("updateNotification", list![id.clone(), Value::Nil, Value::Nil, false]).await;
        let found = office.boss("getBuildNotification", list![id.clone()]).await;
        assert_eq!(found.get("tag_id"), &Value::Nil);
        office.boss("deleteNotification", list![id]).await;
        assert_eq!(office.boss("getBuildNotifications", list!["mate"]).await, list![]);
    }
}
