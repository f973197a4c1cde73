//! Events of a hub that has no stream of them: what is found by asking is what the hub itself would tell.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use toji_client::{
    BuildState, Client, Error, Event, Events, Numbered, TaskState, Value, Wanted, args, list, map,
};
use toji_db::Db;
use toji_testkit::both_databases;

use super::World;
use super::watching::{Farm, next};

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

/// The number of the newest event: that of Toji's for its stream, else of Koji's.
async fn newest(client: &Client) -> i64 {
    let after = Some(1_000_000);
    let told = client.events(Wanted { after, ..Wanted::default() });
    let end =
        tokio::time::timeout(std::time::Duration::from_secs(30), { told }.into_future()).await;
    let Ok((Some(Err(Error::EventsGone { newest, .. })), _)) = end else { panic!("no end") };
    newest
}

fn shown(told: &Numbered) -> String {
    let what = match &told.event {
        Event::Tag(t) => format!("+{} {}", t.build.nvr().unwrap(), t.user.as_deref().unwrap()),
        Event::Untag(t) => format!("-{} {}", t.build.nvr().unwrap(), t.user.as_deref().unwrap()),
        Event::PackageList { package, action, .. } => format!("{action} {package}"),
        Event::RepoInit(repo) => format!("init {}", repo.tag),
        Event::RepoDone(repo) => format!("done {}", repo.tag),
        Event::Other { name, body } => {
            format!("{name} {:?} {:?}", body.str("old"), body.str("new"))
        }
        other => panic!("{other:?}"),
    };
    format!("{} {what}", told.key)
}

async fn some(stream: &mut Events<Numbered>, count: usize) -> Vec<(i64, String)> {
    let mut all = Vec::new();
    for _ in 0..count {
        let told = next(stream).await;
        all.push((told.number, shown(&told)));
    }
    all
}

fn texts(told: &[(i64, String)]) -> Vec<&str> {
    told.iter().map(|(_, text)| text.as_str()).collect()
}

fn task_of(told: &Numbered) -> (i64, Option<TaskState>, TaskState) {
    let Event::TaskState { task, old, new } = &told.event else { panic!("{told:?}") };
    (task.id().unwrap(), *old, *new)
}

both_databases! {
    async fn tags_and_packages_are_told_alike(db: Db) {
        let world = World::new(db).await;
        let root = world.root().await;
        for tag in ["f1", "f2"] {
            root.call("createTag", (tag,)).await.unwrap();
            root.call("packageListAdd", (tag, "bash", "root")).await.unwrap();
        }
        for version in ["1", "2"] {
            root.call("createEmptyBuild", ("bash", version, "1", Value::Nil)).await.unwrap();
        }
        let clients = [world.root().await, world.old().await];
        let mut streams = Vec::new();
        for client in &clients {
            let kinds = words(&["build.tag", "build.untag", "package.*"]);
            let after = Some(newest(client).await);
            let all = Wanted { kinds, after, ..Wanted::default() };
            let one = Wanted { tags: words(&["f2"]), ..all.clone() };
            let zsh = Wanted { packages: words(&["zsh"]), ..all.clone() };
            streams.push([all, one, zsh].map(|wanted| (client.events(wanted.clone()), wanted)));
        }
        let call = async |method: &str, args: toji_client::Args| {
            root.call(method, args).await.unwrap_or_else(|e| panic!("{method}: {e}"))
        };
        call("tagBuildBypass", args!("f1", "bash-1-1")).await;
        call("createTag", args!("f3")).await;
        let mut calls = root.multicall();
        calls.add("untagBuildBypass", args!("f1", "bash-1-1"));
        calls.add("tagBuildBypass", args!("f2", "bash-2-1"));
        calls.strict().await.unwrap();
        call("tagBuildBypass", args!("f2", "bash-2-1"; "force" => true)).await;
        call("packageListAdd", args!("f2", "zsh", "root")).await;
        call("packageListAdd", args!("f1", "zsh", "root"; "block" => true)).await;
        call("packageListUnblock", args!("f1", "zsh")).await;
        call("packageListBlock", args!("f1", "zsh")).await;
        call("packageListRemove", args!("f2", "zsh")).await;
        let f = async |tag: &str| {
            let tag = root.tag(tag).await.unwrap().unwrap().id().unwrap();
            format!("tag:{tag}")
        };
        let (f1, f2) = (f("f1").await, f("f2").await);
        let mut expected = vec![
            format!("{f1} +bash-1-1 root"),
            format!("{f1} -bash-1-1 root"),
            format!("{f2} +bash-2-1 root"),
            format!("{f2} +bash-2-1 root"),
            format!("{f2} add zsh"),
            format!("{f1} block zsh"),
            format!("{f1} unblock zsh"),
            format!("{f1} block zsh"),
            format!("{f2} remove zsh"),
        ];
        // Koji's history knows that what is tagged anew leaves the tag before.
        let anew = format!("{f2} -bash-2-1 root");
        let part = |all: &[String], fits: &dyn Fn(&str) -> bool| {
            all.iter().filter(|text| fits(text)).cloned().collect::<Vec<_>>()
        };
        for (n, mut three) in streams.into_iter().enumerate() {
            if n == 1 {
                expected.insert(3, anew.clone());
            }
            let of_f2 = part(&expected, &|text| text.starts_with(&f2));
            let of_zsh = part(&expected, &|text| text.ends_with("zsh"));
            let all = some(&mut three[0].0, expected.len()).await;
            assert_eq!(texts(&all), expected);
            assert!(all.is_sorted_by_key(|(number, _)| *number), "{all:?}");
            assert_eq!(texts(&some(&mut three[1].0, of_f2.len()).await), of_f2);
            assert_eq!(texts(&some(&mut three[2].0, of_zsh.len()).await), of_zsh);
            // Whoever goes on from an event hears what came after it.
            let (number, _) = all[4];
            let rest = all.iter().filter(|(other, _)| *other > number).count();
            let wanted = Wanted { after: Some(number), ..three[0].1.clone() };
            let again = some(&mut clients[n].events(wanted), rest).await;
            assert_eq!(again, all[all.len() - rest..]);
            // And from before the first event everything.
            let kinds = words(&["package.list"]);
            let wanted = Wanted { after: Some(0), kinds, tags: words(&["f1"]), ..Wanted::default() };
            let first = some(&mut clients[n].events(wanted), 2).await;
            assert_eq!(texts(&first), [format!("{f1} add bash"), format!("{f1} block zsh")]);
            // Nothing was told twice: the next thing is what happens next.
            call("packageListUnblock", args!("f1", "zsh")).await;
            let last = some(&mut three[0].0, 1).await;
            assert_eq!(last[0].1, format!("{f1} unblock zsh"));
            call("packageListBlock", args!("f1", "zsh")).await;
            if n == 0 {
                expected.extend([format!("{f1} unblock zsh"), format!("{f1} block zsh")]);
            }
        }
    }

    async fn tasks_of_a_hub_that_is_asked(db: Db) {
        let world = World::new(db).await;
        let farm = Farm::new(&world).await;
        let old = world.old().await;
        for filter in ["all", "owner", "tree", "key"] {
            farm.root.call("createTag", (filter,)).await.unwrap();
            let after = Some(newest(&old).await);
            let top = farm.task(None).await;
            let beside = farm.task(None).await;
            let mut wanted = Wanted { kinds: words(&["task.state"]), after, ..Wanted::default() };
            let mut ids = BTreeSet::from([top]);
            match filter {
                "tree" => wanted.tasks = vec![top],
                "key" => wanted.keys = vec![format!("task:{top}")],
                "owner" => wanted.owners = words(&["root"]),
                _ => {}
            }
            if filter == "key" {
                // One that is made later.
                wanted.keys.push(format!("task:{}", beside + 1));
            }
            if matches!(filter, "all" | "owner") {
                ids.insert(beside);
            }
            let mut events = old.events(wanted);
            let mut seen = Vec::new();
            for _ in 0..ids.len() {
                seen.push(task_of(&next(&mut events).await));
            }
            let wanted: Vec<_> = ids.iter().map(|id| (*id, None, TaskState::Open)).collect();
            assert_eq!(seen, wanted, "{filter}");
            let below = farm.task(Some(top)).await;
            assert!(filter != "key" || below == beside + 1);
            let (id, _, mut state) = task_of(&next(&mut events).await);
            assert_eq!(id, below);
            while state != TaskState::Open {
                (_, _, state) = task_of(&next(&mut events).await);
            }
            ids.insert(below);
            farm.root.call("cancelTask", (top,)).await.unwrap();
            farm.root.call("cancelTask", (beside,)).await.unwrap();
            let mut ended = BTreeSet::new();
            while ended.len() < ids.len() {
                let (id, old, new) = task_of(&next(&mut events).await);
                assert_eq!((old, new), (Some(TaskState::Open), TaskState::Canceled));
                assert!(ended.insert(id), "{filter}: told twice");
            }
            assert_eq!(ended, ids, "{filter}");
        }
        let nobody = Wanted { owners: words(&["nobody"]), ..Wanted::default() };
        let refused = old.events(nobody).next().await;
        assert!(matches!(refused, Some(Err(Error::NotTold(_)))), "{refused:?}");
    }

    async fn builds_of_a_hub_that_is_asked(db: Db) {
        let world = World::new(db).await;
        let farm = Farm::new(&world).await;
        let old = world.old().await;
        farm.root.call("createTag", ("f1",)).await.unwrap();
        let after = Some(newest(&old).await);
        let task = farm.task_of("build", list!["scm", "f1"], None).await;
        let kinds = words(&["build.*"]);
        let mut all = old.events(Wanted { kinds: kinds.clone(), after, ..Wanted::default() });
        let mut of_task = old.events(Wanted {
            tasks: vec![task], kinds: kinds.clone(), after, ..Wanted::default()
        });
        let mut zsh = old.events(Wanted { packages: words(&["zsh"]), kinds, after, ..Wanted::default() });
        let state = |told: Numbered| {
            let Event::BuildState { build, old, new } = told.event else { panic!("{told:?}") };
            (build.nvr().unwrap(), old, new)
        };
        let begun = map! {
            "name" => "bash", "version" => "1", "release" => "1", "epoch" => Value::Nil, "task_id" => task
        };
        let build = farm.host.call("host.initBuild", (begun,)).await.unwrap().as_int().unwrap();
        let nvr = || "bash-1-1".to_owned();
        assert_eq!(state(next(&mut all).await), (nvr(), None, BuildState::Building));
        assert_eq!(state(next(&mut of_task).await), (nvr(), None, BuildState::Building));
        farm.root.call("createEmptyBuild", ("zsh", "2", "1", Value::Nil)).await.unwrap();
        let other = || ("zsh-2-1".to_owned(), None, BuildState::Complete);
        assert_eq!(state(next(&mut all).await), other());
        assert_eq!(state(next(&mut zsh).await), other());
        farm.root.call("cancelBuild", (build,)).await.unwrap();
        let canceled = (nvr(), Some(BuildState::Building), BuildState::Canceled);
        assert_eq!(state(next(&mut all).await), canceled);
        assert_eq!(state(next(&mut of_task).await), canceled);
    }

    async fn repositories_of_a_hub_that_is_asked(db: Db) {
        let world = World::new(db).await;
        let farm = Farm::new(&world).await;
        for (n, client) in [world.old().await, world.older("repo.query").await].into_iter().enumerate() {
            let tag = format!("f{n}");
            farm.root.call("createTag", args!(tag.as_str(); "arches" => "x86_64")).await.unwrap();
            let after = Some(newest(&client).await);
            let kinds = words(&["repo.*"]);
            let mut events = client.events(Wanted { kinds, tags: vec![tag.clone()], after, ..Wanted::default() });
            let task = farm.task_of("newRepo", list![tag.as_str()], None).await;
            let made = farm.host.call("host.repoInit", (tag.as_str(), task)).await.unwrap();
            let repo = made.as_array().unwrap()[0].as_int().unwrap();
            let key = format!("repo:{repo}");
            let begun = some(&mut events, 1).await;
            assert_eq!(texts(&begun), [format!("{key} init {tag}")]);
            farm.host.call("host.createRepo", (repo, "x86_64")).await.unwrap();
            farm.host.call("host.repoDone", (repo, map! {})).await.unwrap();
            let states = |old: &str, new: &str| {
                format!("{key} repo.state {:?} {:?}", Some(old), Some(new))
            };
            let done = some(&mut events, 2).await;
            assert_eq!(texts(&done), [states("INIT", "READY"), format!("{key} done {tag}")]);
            if n == 0 {
                farm.root.call("repoExpire", (repo,)).await.unwrap();
                assert_eq!(texts(&some(&mut events, 1).await), [states("READY", "EXPIRED")]);
                farm.root.call("repoDelete", (repo,)).await.unwrap();
                assert_eq!(texts(&some(&mut events, 1).await), [states("EXPIRED", "DELETED")]);
            }
        }
    }

    async fn what_cannot_be_asked_is_refused(db: Db) {
        let world = World::new(db).await;
        let old = world.old().await;
        for kinds in [&["host.state"][..], &["repo.done"], &["tag.*", "target.*"]] {
            let wanted = Wanted { kinds: words(kinds), ..Wanted::default() };
            let refused = old.events(wanted.clone()).next().await;
            let Some(Err(error @ Error::NotTold(_))) = refused else { panic!("{refused:?}") };
            assert!(error.to_string().contains("no stream of events"), "{error}");
        }
    }
}
