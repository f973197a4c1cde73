//! Edits of one object by several callers: each waits for the one before it and keeps what that one has changed.

use std::sync::Arc;

use toji_db::admin::Server;
use toji_db::sql;
use toji_value::{Value, code, list, map};

use super::two_hubs::{Pair, Step, storm, storms};

/// An edit that meets another one.
struct Case {
    /// The edit.
    edit: Step,
    /// The row that stands for the object: its table and a condition.
    object: (&'static str, &'static str),
    /// What the other one has changed when it lets go of the object, as a statement.
    other: &'static str,
    /// Must be true in the end: both changes are there.
    both: &'static str,
}

fn starred(options: toji_value::Map) -> Value {
    let mut options = options;
    options.insert("__starstar", true);
    options.into()
}

/// One for each kind of object whose edits are read, changed and written back.
fn cases() -> Vec<Case> {
    let host = ("host", "name = 'builder.example.com'");
    let tag = ("tag", "name = 't'");
    vec![
        Case {
            edit: ("editHost", list!["builder.example.com", starred(map! { "arches" => "ppc64le" })]),
            object: host,
            other: "UPDATE host_config SET comment = 'theirs' WHERE active = TRUE",
            both: "SELECT comment = 'theirs' AND arches = 'ppc64le' FROM host_config WHERE active = TRUE",
        },
        Case {
            edit: ("disableHost", list!["builder.example.com"]),
            object: host,
            other: "UPDATE host_config SET capacity = 7 WHERE active = TRUE",
            both: "SELECT capacity = 7 AND NOT enabled FROM host_config WHERE active = TRUE",
        },
        Case {
            edit: ("editChannel", list!["default", starred(map! { "comment" => "ours" })]),
            object: ("channels", "name = 'default'"),
            other: "UPDATE channels SET description = 'theirs' WHERE name = 'default'",
            both: "SELECT comment = 'ours' AND description = 'theirs' FROM channels WHERE name = 'default'",
        },
        Case {
            edit: ("editTag2", list!["t", starred(map! { "locked" => true })]),
            object: tag,
            other: "UPDATE tag_config SET arches = 'theirs' FROM tag WHERE tag.id = tag_id AND name = 't' AND active = TRUE",
            both: "SELECT locked AND arches = 'theirs' FROM tag_config JOIN tag ON tag.id = tag_id WHERE name = 't' AND active = TRUE",
        },
        Case {
            edit: ("packageListSetOwner", list!["t", "thing", "root"]),
            object: tag,
            other: "UPDATE tag_packages SET extra_arches = 'theirs' WHERE active = TRUE",
            both: "SELECT extra_arches = 'theirs' AND u.name = 'root' FROM tag_packages p
                     JOIN tag_package_owners o ON o.package_id = p.package_id AND o.active = TRUE
                     JOIN users u ON u.id = o.owner WHERE p.active = TRUE",
        },
        Case {
            edit: ("groupPackageListAdd", list!["t", "build", "bash", starred(map! { "type" => "optional" })]),
            object: tag,
            other: "UPDATE group_package_listing SET requires = 'theirs' WHERE active = TRUE",
            both: "SELECT type = 'optional' AND requires = 'theirs' FROM group_package_listing WHERE active = TRUE",
        },
        Case {
            edit: ("groupReqListAdd", list!["t", "build", "base", starred(map! { "type" => "optional" })]),
            object: tag,
            other: "UPDATE group_req_listing SET is_metapkg = TRUE WHERE active = TRUE",
            both: "SELECT type = 'optional' AND is_metapkg FROM group_req_listing WHERE active = TRUE",
        },
        Case {
            edit: ("groupListAdd", list!["t", "build", starred(map! { "description" => "ours" })]),
            object: tag,
            other: "UPDATE group_config SET display_name = 'theirs' WHERE active = TRUE",
            both: "SELECT g.description = 'ours' AND display_name = 'theirs' FROM group_config g
                     JOIN groups ON groups.id = group_id WHERE groups.name = 'build' AND active = TRUE
                       AND g.description IS NOT NULL",
        },
        Case {
            edit: ("editTagExternalRepo", list!["t", "far", starred(map! { "merge_mode" => "bare" })]),
            object: tag,
            other: "UPDATE tag_external_repos SET arches = 'theirs' WHERE active = TRUE",
            both: "SELECT merge_mode = 'bare' AND arches = 'theirs' FROM tag_external_repos WHERE active = TRUE",
        },
        Case {
            edit: ("editExternalRepo", list!["far", Value::Nil, "http://ours/"]),
            object: ("external_repo", "name = 'far'"),
            // a client that gives no name keeps the one that is there by then
            other: "UPDATE external_repo_config SET url = 'http://theirs/' WHERE active = TRUE",
            both: "SELECT url = 'http://ours/' FROM external_repo_config WHERE active = TRUE",
        },
        Case {
            edit: ("editBuildTarget", list!["goal", "goal", "t", "base"]),
            object: ("build_target", "name = 'goal'"),
            other: "UPDATE build_target_config SET build_tag = dest_tag WHERE active = TRUE",
            both: "SELECT b.name = 't' AND d.name = 'base' FROM build_target_config
                     JOIN tag b ON b.id = build_tag JOIN tag d ON d.id = dest_tag WHERE active = TRUE",
        },
    ]
}

/// Returns when a call waits for a lock in the database of the pair.
async fn somebody_waits(pair: &Pair) {
    let waiting = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while pair.count(waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

async fn furnish(pair: &Pair) {
    for tag in ["t", "base"] {
        pair.ok(0, "createTag", list![tag]).await;
    }
    pair.ok(0, "packageListAdd", list!["t", "thing", "alice"]).await;
    pair.ok(0, "groupListAdd", list!["t", "build"]).await;
    pair.ok(0, "groupListAdd", list!["t", "base"]).await;
    pair.ok(0, "groupPackageListAdd", list!["t", "build", "bash"]).await;
    pair.ok(0, "groupReqListAdd", list!["t", "build", "base"]).await;
    pair.ok(0, "createExternalRepo", list!["far", "http://far/"]).await;
    pair.ok(0, "addExternalRepoToTag", list!["t", "far", 5]).await;
    pair.ok(0, "createBuildTarget", list!["goal", "base", "t"]).await;
    let base = pair.ok(0, "getTag", list!["base"]).await.get("id").clone();
    let link = map! {
        "parent_id" => base, "priority" => 0, "maxdepth" => Value::Nil, "intransitive" => false,
        "noconfig" => false, "pkg_filter" => "",
    };
    pair.ok(0, "setInheritanceData", list!["t", list![link]]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_waits_and_keeps_the_other_one() {
    let pair = Pair::new().await;
    furnish(&pair).await;
    let other = Server::connect(&pair.test.url).await.unwrap();
    for Case { edit: (method, args), object: (table, which), other: change, both } in cases() {
        let begin = format!("BEGIN; SELECT id FROM {table} WHERE {which} FOR NO KEY UPDATE");
        other.batch(&begin).await.unwrap();
        let editing = {
            let pair = pair.clone();
            tokio::spawn(async move { pair.ok(1, method, args).await })
        };
        somebody_waits(&pair).await;
        other.batch(change).await.unwrap();
        other.batch("COMMIT").await.unwrap();
        editing.await.unwrap();
        let kept: bool = pair.test.db.begin().scalar(both, &[]).await.unwrap();
        assert!(kept, "{method}");
    }
    pair.is_sound().await;
}

storms! {
    parts_change_at_the_same_time => super::parts;
    of_several_makers_one_makes_it => super::makers;
}

async fn parts(pair: Arc<Pair>) {
    const ROUNDS: usize = 12;
    furnish(&pair).await;
    let refused = storm(&pair, 8, ROUNDS, |worker, round| {
        let last = round + 1 == ROUNDS;
        let host = "builder.example.com";
        match worker {
            0 => ("editHost", list![host, starred(map! { "arches" => format!("a{round}") })]),
            1 => ("editHost", list![host, starred(map! { "comment" => format!("c{round}") })]),
            2 if last || round % 2 == 0 => ("disableHost", list![host]),
            2 => ("enableHost", list![host]),
            3 => {
                ("editChannel", list!["default", starred(map! { "comment" => format!("{round}") })])
            }
            4 => (
                "editChannel",
                list!["default", starred(map! { "description" => format!("{round}") })],
            ),
            5 => (
                "editTagExternalRepo",
                list!["t", "far", starred(map! { "priority" => round as i64 })],
            ),
            6 => {
                let mode = if last || round % 2 == 0 { "bare" } else { "simple" };
                ("editTagExternalRepo", list!["t", "far", starred(map! { "merge_mode" => mode })])
            }
            _ => ("editExternalRepo", list!["far", Value::Nil, format!("http://{round}/")]),
        }
    })
    .await;
    assert_eq!(refused.len(), 0, "{refused:?}");
    let n = ROUNDS - 1;
    let host = pair.ok(0, "getHost", list!["builder.example.com"]).await;
    let shown = ["arches", "comment", "enabled"].map(|member| host.get(member).clone());
    assert_eq!(shown, [format!("a{n}").into(), format!("c{n}").into(), Value::Bool(false)]);
    let channel = pair.ok(1, "getChannel", list!["default"]).await;
    assert_eq!(channel.get("comment"), &n.to_string().into());
    assert_eq!(channel.get("description"), &n.to_string().into());
    let used = pair.ok(0, "getTagExternalRepos", list!["t"]).await.as_array().unwrap()[0].clone();
    assert_eq!(used.get("priority"), &Value::Int(n as i64));
    assert_eq!(used.get("merge_mode"), &"bare".into());
    assert_eq!(used.get("url"), &format!("http://{n}/").into());
    pair.is_sound().await;
}

async fn makers(pair: Arc<Pair>) {
    pair.ok(0, "createTag", list!["t"]).await;
    pair.ok(0, "createExternalRepo", list!["far", "http://far/"]).await;
    let makers: [Step; 12] = [
        ("createTag", list!["new"]),
        ("createBuildTarget", list!["new", "t", "t"]),
        ("createExternalRepo", list!["new", "http://new/"]),
        ("addHost", list!["new.example.com", list!["x86_64"]]),
        ("addChannel", list!["new"]),
        ("createUser", list!["new"]),
        ("newGroup", list!["new-group"]),
        ("addHostToChannel", list!["builder.example.com", "createrepo"]),
        ("addExternalRepoToTag", list!["t", "far", 5]),
        ("grantCGAccess", list!["alice", "generator", true]),
        ("createNotification", list!["root", Value::Nil, "t", true]),
        ("grantPermission", list!["alice", "tag"]),
    ];
    for (method, args) in makers {
        let again = args.clone();
        let refused = storm(&pair, 6, 1, move |_, _| (method, again.clone())).await;
        assert_eq!(refused.len(), 5, "{method}: {refused:?}");
        for fault in refused {
            assert_eq!(fault.code, code::GENERIC, "{method}: {fault}");
            let told = ["already", "exists"].iter().any(|word| fault.message.contains(word));
            assert!(told, "{method}: {fault}");
        }
    }
    pair.is_sound().await;
    one_history(&pair).await;
}

/// Nothing that was made once has ended.
async fn one_history(pair: &Arc<Pair>) {
    for table in ["tag_config", "build_target_config", "host_config", "tag_external_repos"] {
        let ended = sql!["SELECT count(*) FROM ", table, " WHERE revoke_event IS NOT NULL"];
        assert_eq!(pair.test.db.begin().scalar::<i64>(ended, &[]).await.unwrap(), 0, "{table}");
    }
}
