//! Policies of builds and tags with what is in the database, and changed ones on past decisions.

use toji_db::Db;
use toji_hub::plugin::Plugins;
use toji_hub::policy::{self, past};
use toji_testkit::both_databases;
use toji_value::{Map, Value, list, map};

use super::office::{Office, Who};

async fn evaluated(office: &Office, name: &str, data: Map) -> Value {
    office.boss("evalPolicy", list![name, data]).await
}

/// The policies of the office with one of them changed.
fn changed(office: &Office, name: &str, text: &str) -> toji_policy::PolicySet {
    let mut config = office.hub.config.clone();
    config.policies = vec![(name.to_owned(), text.to_owned())];
    policy::load(&config, &Plugins::default()).unwrap()
}

async fn differing(office: &Office, name: &str, text: &str) -> (usize, Vec<String>) {
    let mut call = office.hub.reading();
    let (count, found) =
        past::simulate(&mut call, &changed(office, name, text), name, 100).await.unwrap();
    let lines =
        found.iter().map(|d| format!("{}: {} -> {}", d.what, d.before.action(), d.after.action()));
    (count, lines.collect())
}

both_databases! {
    async fn side_tags_and_their_owners(db: Db) {
        let office = Office::new(db, |config| {
            for (name, text) in [
                ("side", "is_sidetag :: yes"),
                ("owner", "is_sidetag_owner :: yes"),
                ("both", "is_sidetag_owner both :: yes"),
                ("wrong", "is_sidetag_owner neither :: yes"),
                ("sub", "by_tag_subtask :: yes\nall :: no"),
            ] {
                config.policies.push((name.to_owned(), text.to_owned()));
            }
        })
        .await;
        let mate = office.boss("getUser", list!["mate"]).await.get("id").clone();
        let extra = map! { "sidetag" => true, "sidetag_user_id" => mate.clone() };
        office.boss_kw("createTag", list!["s"], map! { "extra" => extra }).await;
        office.boss("createTag", list!["plain"]).await;
        for (name, tag, from, user, want) in [
            ("side", "s", "s", "mate", "yes"),
            ("side", "plain", "s", "mate", ""),
            ("owner", "s", "plain", "mate", "yes"),
            ("owner", "plain", "plain", "mate", ""),
            ("both", "s", "s", "mate", "yes"),
            ("both", "s", "plain", "mate", ""),
        ] {
            let data = map! { "tag" => tag, "fromtag" => from, "user_id" => user };
            let answer = office.ask(Who::Mate, "evalPolicy", list![name, data], Map::new()).await;
            let answer = answer.unwrap();
            assert_eq!(answer.as_str().unwrap_or_default(), want, "{name} {tag} {from}");
        }
        let wrong = office.refusal("evalPolicy", list!["wrong", map! { "tag" => "s" }]).await;
        assert!(wrong.contains("(got neither)"), "{wrong}");
        let data = map! { "by_tag_subtask" => true };
        assert_eq!(evaluated(&office, "sub", data).await, "yes".into());
        assert_eq!(evaluated(&office, "sub", Map::new()).await, "no".into());
    }

    async fn changed_policies_on_past_taggings(db: Db) {
        let office = Office::new(db, |config| {
            config.policies.push(("tag".to_owned(), "all :: allow".to_owned()));
        })
        .await;
        for tag in ["one", "two"] {
            office.boss("createTag", list![tag]).await;
            office.boss("packageListAdd", list![tag, "bash", "boss"]).await;
        }
        let build = office.boss("createEmptyBuild", list!["bash", "5", "1", Value::Nil]).await;
        office.boss("tagBuildBypass", list!["one", build.clone()]).await;
        office.boss("tagBuildBypass", list!["two", build.clone()]).await;
        office.boss("untagBuildBypass", list!["one", build.clone()]).await;
        let same = differing(&office, "tag", "true :: allow").await;
        assert_eq!(same, (3, vec![]));
        let text = "operation untag && fromtag one :: deny keep\n(tag two or tag three) && user boss :: deny\nall :: allow";
        let (count, lines) = differing(&office, "tag", text).await;
        assert_eq!((count, lines.len()), (3, 2), "{lines:?}");
        assert!(lines[0].starts_with("untag from one") && lines[0].ends_with("allow -> deny keep"));
        assert!(lines[1].starts_with("tag into two") && lines[1].ends_with("allow -> deny"));
    }

    async fn changed_policies_on_past_package_lists_and_tasks(db: Db) {
        let office = Office::new(db, |_| {}).await;
        office.boss("createTag", list!["one"]).await;
        office.boss("packageListAdd", list!["one", "bash", "boss"]).await;
        office.boss("packageListBlock", list!["one", "bash"]).await;
        office.boss("packageListUnblock", list!["one", "bash"]).await;
        office.boss("packageListRemove", list!["one", "bash"]).await;
        let text = "match action block :: deny no blocks\nhas_perm admin :: allow";
        let (count, lines) = differing(&office, "package_list", text).await;
        assert_eq!(lines, ["block bash in one: allow -> deny no blocks"], "of {count}");
        let task = office.boss("makeTask", list!["sleep", list![5]]).await;
        let channel = "method sleep :: use quiet\nall :: use default";
        let (_, lines) = differing(&office, "channel", channel).await;
        assert_eq!(lines, [format!("task {} (sleep): use default -> use quiet", task.display())]);
    }
}
