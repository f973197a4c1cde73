//! Repositories from their request to their end: what is in them, where `latest` leads, what becomes of them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use toji_db::Db;
use toji_hub::repod::{Daemon, Scope, external, prune, sweep};
use toji_hub::solve::Fetch;
use toji_testkit::both_databases;
use toji_types::RepoState;
use toji_value::{Map, Value, list, map};

use super::fixture::{imported, packages, top};
use super::people::Stage;

/// A hub with a tag that holds a build of three packages.
async fn furnished(db: Db) -> Stage {
    let stage = imported(db, &packages().plain).await;
    let admin = &stage.admin;
    stage.ok_kw(admin, "createTag", list!["f40"], map! { "arches" => "x86_64 i686" }).await;
    stage.ok(admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
    stage.ok(admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
    stage
}

/// Begins a repository; returns its number and its event.
async fn begin(stage: &Stage, more: Map) -> (i64, i64) {
    let task = stage.open_task("newRepo", list!["f40"]).await;
    let made = stage.ok_kw(&stage.builder, "host.repoInit", list!["f40", task], more).await;
    let made = made.as_array().unwrap();
    (made[0].as_int().unwrap(), made[1].as_int().unwrap())
}

/// Makes the metadata of a repository that was begun, and publishes it.
async fn finish(stage: &Stage, repo: i64) {
    stage.ok(&stage.builder, "host.createRepo", list![repo, "x86_64"]).await;
    stage.ok(&stage.builder, "host.repoDone", list![repo, map! {}]).await;
}

async fn change(stage: &Stage, word: &str) {
    let more = map! { "description" => word, "force" => true };
    stage.ok_kw(&stage.admin, "groupListAdd", list!["f40", "build"], more).await;
}

fn latest(stage: &Stage) -> String {
    fs::read_link(top(stage, "repos/f40/latest")).unwrap().to_string_lossy().into_owned()
}

fn files(stage: &Stage, repo: i64, path: &str) -> Vec<String> {
    let dir = top(stage, &format!("repos/f40/{repo}/{path}"));
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn listed(stage: &Stage, repo: i64, arch: &str) -> Vec<String> {
    let file = top(stage, &format!("repos/f40/{repo}/{arch}/pkglist"));
    let text = fs::read_to_string(file).unwrap();
    let mut names: Vec<String> =
        text.lines().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn state(stage: &Stage, repo: i64) -> i64 {
    let info = stage.ok(&stage.admin, "repoInfo", list![repo]).await;
    info.get("state").as_int().unwrap()
}

/// Makes all that has happened a while ago.
async fn age(stage: &Stage, seconds: i64) {
    let sql = format!(
        "UPDATE repo SET state_time = toji_ago({seconds}.0), creation_time = toji_ago({seconds}.0)"
    );
    stage.world.set(&sql, &[]).await;
}

/// A web whose repositories have time stamps.
struct Stamps(Mutex<Vec<(String, i64)>>);

impl Fetch for Stamps {
    fn fetch(&self, url: String, _: usize) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let known = self.0.lock().unwrap();
        let found = known.iter().find(|(start, _)| url.starts_with(start)).map(|(_, at)| *at);
        let sum = "0".repeat(64);
        let text = found.map(|at| {
            format!(
                r#"<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>
                <data type="primary"><checksum type="sha256">{sum}</checksum><location href="repodata/primary.xml"/>
                <timestamp>{at}</timestamp><size>1</size></data></repomd>"#
            )
            .into_bytes()
        });
        Box::pin(async move { text.ok_or_else(|| "gone".to_owned()) })
    }
}

both_databases! {
    async fn latest_goes_forward_only_and_keeps_what_readers_may_want(db: Db) {
        let stage = furnished(db).await;
        let (first, event) = begin(&stage, map! {}).await;
        finish(&stage, first).await;
        assert_eq!(latest(&stage), first.to_string());
        let before = files(&stage, first, "x86_64/repodata");
        // two that were begun one after the other end in the other order
        change(&stage, "one").await;
        stage.ok(&stage.admin, "untagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let (second, _) = begin(&stage, map! {}).await;
        change(&stage, "two").await;
        let (third, _) = begin(&stage, map! {}).await;
        finish(&stage, third).await;
        finish(&stage, second).await;
        assert_eq!(latest(&stage), third.to_string());
        let now = files(&stage, third, "x86_64/repodata");
        for name in before.iter().filter(|name| *name != "repomd.xml") {
            assert!(now.contains(name), "{name} is not among {now:?}");
        }
        // neither an older event nor other options move the link
        let (old, at) = begin(&stage, map! { "event" => event }).await;
        finish(&stage, old).await;
        assert_eq!(at, event);
        let (special, _) = begin(&stage, map! { "opts" => map! { "src" => true } }).await;
        finish(&stage, special).await;
        assert_eq!(latest(&stage), third.to_string());
        // after an hour nobody reads them any more
        age(&stage, 7200).await;
        change(&stage, "three").await;
        let (last, _) = begin(&stage, map! {}).await;
        finish(&stage, last).await;
        let own = files(&stage, last, "x86_64/repodata").len();
        age(&stage, 7200).await;
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let (tagged, _) = begin(&stage, map! {}).await;
        finish(&stage, tagged).await;
        assert!(files(&stage, tagged, "x86_64/repodata").len() < own + before.len());
        assert_eq!(latest(&stage), tagged.to_string());
    }

    async fn a_repository_whose_end_is_undone_is_not_the_latest(db: Db) {
        let stage = furnished(db).await;
        let (repo, _) = begin(&stage, map! {}).await;
        stage.ok(&stage.builder, "host.createRepo", list![repo, "x86_64"]).await;
        let calls = list![
            map! { "methodName" => "host.repoDone", "params" => list![repo, map! {}] },
            map! { "methodName" => "host.repoDone", "params" => list![repo, map! {}] },
        ];
        let answers = stage.ok(&stage.builder, "multiCall", list![calls]).await;
        assert_eq!(answers.as_array().unwrap()[1].get("faultString"), &Value::from(format!("Repo {repo} not in INIT state (got 1)")));
        assert_eq!(latest(&stage), repo.to_string());
        change(&stage, "one").await;
        let (next, _) = begin(&stage, map! {}).await;
        let refused = stage.refused(&stage.builder, "host.repoDone", list![next, map! { "x86_64" => list!["nowhere", list!["x"]] }]).await;
        assert!(!refused.is_empty());
        assert_eq!((state(&stage, next).await, latest(&stage)), (0, repo.to_string()));
    }

    async fn options_of_requests(db: Db) {
        let stage = furnished(db).await;
        let (binary, source, doc) = ("shelf-1.0-1.x86_64.rpm", "shelf-1.0-1.src.rpm", "shelf-doc-1.0-1.noarch.rpm");
        let (plain, event) = begin(&stage, map! {}).await;
        assert_eq!(listed(&stage, plain, "x86_64"), [binary, doc]);
        assert_eq!(listed(&stage, plain, "i386"), [doc]);
        let (src, _) = begin(&stage, map! { "opts" => map! { "src" => true } }).await;
        assert_eq!(listed(&stage, src, "i386"), [source, doc]);
        let (separate, _) = begin(&stage, map! { "opts" => map! { "separate_src" => true, "debuginfo" => true } }).await;
        assert_eq!(listed(&stage, separate, "src"), [source]);
        assert_eq!(listed(&stage, separate, "x86_64"), [binary, doc]);
        let info = stage.ok(&stage.admin, "repoInfo", list![separate]).await;
        let custom = map! { "debuginfo" => true, "separate_src" => true };
        assert_eq!(info.get("custom_opts").as_struct().map(|found| found.len()), Some(custom.len()));
        for repo in [plain, src, separate] {
            finish(&stage, repo).await;
        }
        // asking: the options decide which repository fits
        let ask = async |more: Map| stage.ok_kw(&stage.alice, "repo.request", list!["f40"], more).await;
        let id = |answer: &Value| answer.get("repo").get("id").as_int();
        assert_eq!(id(&ask(map! {}).await), Some(plain));
        assert_eq!(id(&ask(map! { "opts" => map! { "src" => true } }).await), Some(src));
        assert_eq!(id(&ask(map! { "opts" => map! { "separate_src" => true, "debuginfo" => true } }).await), Some(separate));
        assert_eq!(id(&ask(map! { "at_event" => event, "opts" => map! { "src" => false } }).await), Some(plain));
        let forced = ask(map! { "force" => true }).await;
        assert!(!forced.get("request").is_nil() && forced.get("repo").is_nil());
        // the tag's own options are the default then
        stage.ok_kw(&stage.admin, "editTag2", list!["f40"], map! { "extra" => map! { "repo.opts" => map! { "src" => true } } }).await;
        let newest = stage.ok(&stage.alice, "tagLastChangeEvent", list!["f40"]).await;
        let wanted = ask(map! { "min_event" => "last" }).await;
        assert_eq!(wanted.get("request").get("min_event"), &newest);
        let (own, at) = begin(&stage, map! {}).await;
        assert_eq!(listed(&stage, own, "i386"), [source, doc]);
        finish(&stage, own).await;
        assert!(newest.as_int().is_some_and(|newest| at >= newest));
        let checked = stage.ok(&stage.alice, "repo.checkRequest", list![wanted.get("request").get("id")]).await;
        assert_eq!(id(&checked), Some(own));
        assert_eq!(latest(&stage), own.to_string());
        // the older one has other options than the tag has now, and is older than asked for
        assert_eq!(id(&ask(map! { "min_event" => "last" }).await), Some(own));
        for (more, text) in [
            (map! { "min_event" => 1, "at_event" => 1 }, "The min_event and at_event options conflict"),
            (map! { "at_event" => 99_999 }, "Invalid event: 99999"),
            (map! { "min_event" => 99_999 }, "Invalid event: 99999"),
            (map! { "priority" => -1 }, "only admins may create high-priority requests"),
            (map! { "opts" => map! { "maven" => true } }, "Maven support not enabled"),
            (map! { "opts" => map! { "sources" => true } }, "Invalid repo option: sources"),
        ] {
            let args = toji_value::Args { positional: vec!["f40".into()], keywords: more };
            let fault = stage.world.hub.call(&stage.alice, "repo.request", args).await.unwrap_err();
            assert_eq!(fault.message, text);
        }
        let urgent = stage.ok_kw(&stage.admin, "repo.request", list!["f40"], map! { "priority" => -5, "force" => true }).await;
        assert_eq!(urgent.get("request").get("priority"), &Value::Int(15));
        let joined = ask(map! { "priority" => 3, "force" => true }).await;
        assert_eq!((joined.get("duplicate"), joined.get("request").get("priority")), (&Value::Bool(true), &Value::Int(15)));
    }

    async fn each_repository_is_its_tag_at_its_event(db: Db) {
        let stage = furnished(db).await;
        let admin = &stage.admin;
        let base = stage.ok_kw(admin, "createTag", list!["base"], map! { "arches" => "x86_64" }).await;
        stage.ok(admin, "packageListAdd", list!["base", "shelf", "alice"]).await;
        change(&stage, "zero").await;
        let (link, force) = (map! { "parent_id" => base, "priority" => 0, "maxdepth" => Value::Nil, "intransitive" => false,
            "noconfig" => false, "pkg_filter" => "" }, map! { "force" => true });
        let (mut made, mut dice) = (Vec::new(), 2u64);
        for number in 0..60 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let tag = if dice >> 40 & 1 == 0 { "f40" } else { "base" };
            let (method, args, more) = match (dice >> 33) % 7 {
                0 => ("tagBuildBypass", list![tag, "shelf-1.0-1"], force.clone()),
                1 => ("untagBuildBypass", list![tag, "shelf-1.0-1"], map! {}),
                2 => ("packageListBlock", list![tag, "shelf"], force.clone()),
                3 => ("packageListUnblock", list![tag, "shelf"], force.clone()),
                4 => ("setInheritanceData", list!["f40", list![link.clone()]], map! { "clear" => true }),
                5 => ("setInheritanceData", list!["f40", list![]], map! { "clear" => true }),
                _ => ("groupPackageListAdd", list![tag, "build", format!("p{number}")], force.clone()),
            };
            // some change nothing, which is refused
            let args = toji_value::Args { positional: args.as_array().unwrap().to_vec(), keywords: more };
            stage.world.hub.call(admin, method, args).await.ok();
            if number % 3 == 0 {
                made.push(begin(&stage, map! {}).await);
            }
        }
        let mut states = std::collections::BTreeSet::new();
        for (repo, event) in made {
            let at = map! { "event" => event, "inherit" => true, "latest" => true };
            let rpms = stage.ok_kw(admin, "listTaggedRPMS", list!["f40"], at).await;
            let rpms = rpms.as_array().unwrap()[0].as_array().unwrap().iter();
            let mut wanted: Vec<String> = rpms
                .map(|rpm| ["name", "version", "release", "arch"].map(|key| rpm.get(key).display()))
                .filter(|parts| parts[3] != "src")
                .map(|[name, version, release, arch]| format!("{name}-{version}-{release}.{arch}.rpm"))
                .collect();
            wanted.sort();
            assert_eq!(listed(&stage, repo, "x86_64"), wanted, "repository {repo} at event {event}");
            let at = map! { "tagID" => "f40", "event" => event, "inherited" => true };
            let entries = stage.ok_kw(admin, "listPackages", list![], at).await;
            let blocked = entries.as_array().unwrap().iter().any(|entry| entry.get("blocked").truthy());
            let file = fs::read_to_string(top(&stage, &format!("repos/f40/{repo}/x86_64/blocklist"))).unwrap();
            assert_eq!(file, if blocked { "shelf\n" } else { "" }, "repository {repo} at event {event}");
            let groups = stage.ok_kw(admin, "getTagGroups", list!["f40"], map! { "event" => event }).await;
            let text = fs::read_to_string(top(&stage, &format!("repos/f40/{repo}/groups/comps.xml"))).unwrap();
            let members = groups.as_array().unwrap().iter().map(|group| group.get("packagelist").as_array().unwrap().len());
            assert_eq!(text.matches("<packagereq").count(), members.sum::<usize>(), "repository {repo} at event {event}");
            states.insert((wanted, blocked));
        }
        assert!(states.len() > 2, "{states:?}");
    }

    async fn lifetimes_of_kojira(db: Db) {
        let stage = imported(db, &[]).await;
        let world = &stage.world;
        let tag = world.tag("f40", &[]).await;
        let mut config = world.hub.config.clone();
        let options = &mut config.repo;
        (options.dist_repo_lifetime, options.repo_lifetime, options.expired_repo_lifetime) = (1000.0, 5000.0, 500.0);
        let hub = world.hub.reconfigured(config);
        // neither is current, and no target builds in the tag
        let (plain, dist) = (world.repo(tag, RepoState::Ready, None).await, world.repo(tag, RepoState::Ready, None).await);
        world.set("UPDATE repo SET dist = TRUE, custom_opts = NULL WHERE id = $1", &[dist.into()]).await;
        world.extra(tag, "n", "1").await;
        world.repo(tag, RepoState::Ready, None).await;
        let newer = world.repo(tag, RepoState::Ready, None).await;
        world.set("UPDATE repo SET dist = TRUE, custom_opts = NULL WHERE id = $1", &[newer.into()]).await;
        Daemon::default().look(&hub, Scope::Everything).await.unwrap();
        age(&stage, 2000).await;
        sweep::run(&hub).await;
        assert_eq!((state(&stage, plain).await, state(&stage, dist).await, state(&stage, newer).await), (1, 2, 1));
        age(&stage, 600).await;
        sweep::run(&hub).await;
        assert_eq!((state(&stage, plain).await, state(&stage, dist).await), (1, 3));
    }

    async fn stray_directories(db: Db) {
        let stage = imported(db, &[]).await;
        let world = &stage.world;
        let tag = world.tag("f40", &[]).await;
        let (kept, deleted) = (world.repo(tag, RepoState::Ready, None).await, world.repo(tag, RepoState::Deleted, None).await);
        let dirs: Vec<PathBuf> = [kept.to_string(), deleted.to_string(), "777".into(), "888".into(), "notes".into(), ".deleted-5".into(), ".new-1".into()]
            .iter()
            .map(|name| top(&stage, &format!("repos/f40/{name}")))
            .collect();
        for dir in &dirs {
            fs::create_dir_all(dir.join("x86_64")).unwrap();
        }
        symlink("888", top(&stage, "repos/f40/latest")).unwrap();
        let there = || dirs.iter().map(|dir| dir.exists()).collect::<Vec<_>>();
        prune::run(&world.hub).await;
        // what was hidden goes at once, beside what goes on
        while dirs[5].exists() {
            tokio::task::yield_now().await;
        }
        assert_eq!(there(), [true, true, true, true, true, false, true]);
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        for dir in dirs.iter().filter(|dir| dir.exists()) {
            fs::File::open(dir).unwrap().set_modified(long_ago).unwrap();
        }
        age(&stage, 700_000).await;
        let mut config = world.hub.config.clone();
        config.repo.ignore_stray_repos = true;
        prune::run(&world.hub.reconfigured(config)).await;
        assert_eq!(there(), [true, false, true, true, true, false, false]);
        prune::run(&world.hub).await;
        assert_eq!(there(), [true, false, false, true, true, false, false]);
    }

    async fn new_content_of_external_repositories_changes_tags(db: Db) {
        let stage = furnished(db).await;
        let admin = &stage.admin;
        let web = Arc::new(Stamps(Mutex::new(vec![("https://m/x86_64/".into(), 50), ("https://m/i386/".into(), 70)])));
        stage.world.hub.solver.fetch_with(web.clone());
        stage.ok(admin, "createExternalRepo", list!["far", "https://m/$arch/"]).await;
        stage.ok(admin, "createExternalRepo", list!["unused", "https://m/x86_64/"]).await;
        stage.ok(admin, "createExternalRepo", list!["dead", "https://dead/"]).await;
        for (priority, name) in ["far", "dead"].into_iter().enumerate() {
            let args = list!["f40", name, priority as i64];
            stage.ok(admin, "addExternalRepoToTag", args).await;
        }
        assert_eq!(external::look(&stage.world.hub).await.unwrap(), 1);
        let noted = async |name: &str| stage.ok(admin, "repo.getExternalRepoData", list![name]).await;
        assert_eq!((noted("far").await, noted("dead").await, noted("unused").await), (map! { "max_ts" => 70 }.into(), Value::Nil, Value::Nil));
        let (repo, _) = begin(&stage, map! {}).await;
        finish(&stage, repo).await;
        assert_eq!(external::look(&stage.world.hub).await.unwrap(), 0);
        Daemon::default().look(&stage.world.hub, Scope::Everything).await.unwrap();
        let end = async || stage.ok(admin, "repoInfo", list![repo]).await.get("end_event").clone();
        assert_eq!(end().await, Value::Nil);
        web.0.lock().unwrap()[0].1 = 90;
        assert_eq!(external::look(&stage.world.hub).await.unwrap(), 1);
        Daemon::default().look(&stage.world.hub, Scope::Everything).await.unwrap();
        assert!(!end().await.is_nil());
        // an older state of a mirror is none
        web.0.lock().unwrap().iter_mut().for_each(|(_, at)| *at = 10);
        assert_eq!(external::look(&stage.world.hub).await.unwrap(), 0);
    }
}
