//! Plans of buildroots for builders, and what is fetched for them from elsewhere.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use toji_db::Db;
use toji_hub::solve::{Fetch, keeper};
use toji_testkit::both_databases;
use toji_types::{Lockfile, RepoState};
use toji_value::{Args, Map, Value, list, map};
use tokio::sync::Semaphore;

use super::fixture::{imported, packages};
use super::people::Stage;

const PRIMARY: &str = r#"<?xml version="1.0"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>rpm-build</name><arch>x86_64</arch><version epoch="0" ver="4" rel="1"/>
<checksum type="sha256" pkgid="YES">aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</checksum>
<summary>s</summary><description>d</description><packager/><url/><time file="1" build="1"/>
<size package="100" installed="1" archive="1"/><location href="p/rpm-build-4-1.x86_64.rpm"/>
<format><rpm:license>x</rpm:license><rpm:vendor/><rpm:group/><rpm:buildhost/><rpm:sourcerpm>rpm-4-1.src.rpm</rpm:sourcerpm>
<rpm:header-range start="0" end="0"/><rpm:provides><rpm:entry name="rpm-build" flags="EQ" epoch="0" ver="4" rel="1"/></rpm:provides>
<rpm:requires><rpm:entry name="shelf"/></rpm:requires></format></package></metadata>"#;

/// A web with one repository; what is fetched waits for a permit.
struct Web {
    fetched: Mutex<Vec<String>>,
    /// The most bytes that were wanted of each.
    limits: Mutex<Vec<usize>>,
    permits: Semaphore,
    there: bool,
}

impl Web {
    fn new(permits: usize, there: bool) -> Arc<Self> {
        Arc::new(Web {
            fetched: Mutex::default(),
            limits: Mutex::default(),
            permits: Semaphore::new(permits),
            there,
        })
    }

    fn fetched(&self, end: &str) -> usize {
        self.fetched.lock().unwrap().iter().filter(|url| url.ends_with(end)).count()
    }
}

/// The web as the hub's fetcher.
struct Fetcher(Arc<Web>);

impl Fetch for Fetcher {
    fn fetch(&self, url: String, limit: usize) -> BoxFuture<'static, Result<Vec<u8>, String>> {
        let web = self.0.clone();
        Box::pin(async move {
            web.fetched.lock().unwrap().push(url.clone());
            web.limits.lock().unwrap().push(limit);
            web.permits.acquire().await.unwrap().forget();
            let sum = hex::encode(Sha256::digest(PRIMARY));
            let size = PRIMARY.len();
            match url.strip_prefix("https://mirror.example/r/repodata/") {
                Some("repomd.xml") if web.there => Ok(format!(
                    r#"<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>
                    <data type="primary"><checksum type="sha256">{sum}</checksum><open-checksum type="sha256">{sum}</open-checksum>
                    <location href="repodata/primary.xml"/><timestamp>1</timestamp><size>{size}</size><open-size>{size}</open-size></data></repomd>"#
                )
                .into_bytes()),
                Some("primary.xml") if web.there => Ok(PRIMARY.into()),
                _ => Err("gone".to_owned()),
            }
        })
    }
}

/// A hub with a tag of a real build, whose external repository brings what builds packages.
async fn stage(db: Db, web: &Arc<Web>) -> Stage {
    let stage = imported(db, &packages().plain).await;
    stage.world.hub.solver.fetch_with(Arc::new(Fetcher(web.clone())));
    let admin = &stage.admin;
    stage.ok_kw(admin, "createTag", list!["f40"], map! { "arches" => "x86_64" }).await;
    stage.ok(admin, "packageListAdd", list!["f40", "shelf", "alice"]).await;
    stage.ok(admin, "createExternalRepo", list!["r", "https://mirror.example/r"]).await;
    stage.ok(admin, "addExternalRepoToTag", list!["f40", "r", 5, "bare"]).await;
    stage.ok(admin, "groupListAdd", list!["f40", "build"]).await;
    stage.ok(admin, "groupPackageListAdd", list!["f40", "build", "rpm-build"]).await;
    stage
}

async fn tag_id(stage: &Stage) -> i64 {
    stage.ok(&stage.admin, "getTag", list!["f40"]).await.get("id").as_int().unwrap()
}

both_databases! {
    async fn one_fetches_and_nobody_waits_with_a_connection(db: Db) {
        let web = Web::new(0, true);
        let stage = Arc::new(stage(db, &web).await);
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let ask = || {
            let stage = stage.clone();
            tokio::spawn(async move {
                let args = Args { positional: vec!["f40".into(), "x86_64".into(), list!["rpm-build"]], keywords: Map::new() };
                stage.world.hub.call(&Default::default(), "solve.install", args).await
            })
        };
        // more than there are connections
        let asked: Vec<_> = (0..20).map(|_| ask()).collect();
        while web.fetched("repomd.xml") == 0 {
            tokio::task::yield_now().await;
        }
        let other = async {
            for n in 0..30 {
                let made = list![format!("tag{n}")];
                stage.ok(&stage.admin, "createTag", made).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), other).await.expect("connections are free");
        web.permits.add_permits(2);
        for one in asked {
            let answer = one.await.unwrap().unwrap();
            assert!(answer.get("solved").truthy(), "{}", answer.repr());
        }
        assert_eq!((web.fetched("repomd.xml"), web.fetched("primary.xml")), (1, 1));
    }

    async fn a_failure_is_told_to_all_who_wait(db: Db) {
        let web = Web::new(0, false);
        let stage = Arc::new(stage(db, &web).await);
        let asked: Vec<_> = (0..10)
            .map(|_| {
                let stage = stage.clone();
                tokio::spawn(async move { stage.refused(&Default::default(), "solve.depends", list!["f40", "x86_64", "a"]).await })
            })
            .collect();
        while web.fetched("repomd.xml") == 0 {
            tokio::task::yield_now().await;
        }
        // all of them have asked before the answer
        stage.ok(&stage.admin, "getTag", list!["f40"]).await;
        web.permits.add_permits(20);
        for one in asked {
            assert_eq!(one.await.unwrap(), "external repository https://mirror.example/r/: gone");
        }
        assert!(web.fetched("repomd.xml") < 10, "each has tried for itself");
    }

    async fn builders_are_told_what_to_install(db: Db) {
        let web = Web::new(100, true);
        let stage = stage(db, &web).await;
        let tag = tag_id(&stage).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        let task = stage.open_task("buildArch", list!["x"]).await;
        let plan_repo = async || stage.ok(&stage.builder, "host.planRepo", list![task, tag]).await;
        assert_eq!(plan_repo().await, Value::Nil, "the builder has not said that it plans");
        let data = map! { "methods" => list![], "plans" => true };
        stage.ok(&stage.builder, "host.setHostData", list![data]).await;
        let sql = "UPDATE host SET update_time = NOW()";
        stage.world.set(sql, &[]).await;
        let root = stage.ok(&stage.builder, "host.newBuildRoot", list![repo, "x86_64", task]).await;
        let plan = async |requires: Value, event: Value| {
            let args = list![root.clone(), task, "build", requires, event];
            stage.ok(&stage.builder, "host.planBuildRoot", args).await
        };
        let no = plan(list!["shelf"], Value::Nil).await;
        assert_eq!((no.get("solved"), no.get("missing")), (&false.into(), &list!["shelf"]));
        assert!(no.get("rpmbuild").truthy(), "the group cannot be installed, and is one for building");
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;

        let chosen = plan_repo().await;
        assert_eq!(chosen.get("repo").get("id"), &Value::Int(repo));
        // what the tag was when its repository was made, and what it is
        assert!(!plan(list![], Value::Nil).await.get("solved").truthy());
        let now = plan(list!["(shelf-doc if shelf)", "/usr/bin/shelf"], chosen.get("event").clone()).await;
        let text = now.get("lockfile").as_str().unwrap();
        let lockfile = Lockfile::from_json(text).unwrap();
        let names: Vec<_> = lockfile.packages().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["rpm-build", "shelf", "shelf-doc"]);
        assert_eq!(lockfile.url(&lockfile.packages()[0], ""), "https://mirror.example/r/p/rpm-build-4-1.x86_64.rpm");
        let base = now.get("base").as_array().unwrap().len();
        assert_eq!((base, now.get("rpmbuild").truthy()), (2, true));
        let stored = stage.ok(&stage.alice, "solve.lockfile", list![root]).await;
        assert_eq!((stored.get("lockfile"), stored.get("planned")), (now.get("lockfile"), &true.into()));
        assert_eq!(stored.get("event"), now.get("event"));
    }

    async fn questions_are_asked_of_repositories(db: Db) {
        let web = Web::new(100, true);
        let stage = stage(db, &web).await;
        let tag = tag_id(&stage).await;
        let repo = stage.world.repo(tag, RepoState::Ready, None).await;
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let nobody = Default::default();
        let at = map! { "repo_id" => repo };
        let then = stage.ok(&nobody, "solve.install", list![at, "x86_64", list!["shelf"]]).await;
        assert!(!then.get("solved").truthy(), "the repository is older than the build");
        let urls = map! { "urls" => list!["https://mirror.example/r/"] };
        let ask = list![urls.clone(), "x86_64", list!["rpm-build"]];
        let refused = stage.refused(&nobody, "solve.install", ask.clone()).await;
        assert_eq!(refused, "you must be logged in for this operation");
        let no = stage.ok(&stage.alice, "solve.install", ask).await;
        assert!(no.get("text").as_str().unwrap().contains("nothing provides shelf"), "{}", no.repr());
        let found = stage.ok(&stage.alice, "solve.depends", list![urls, "x86_64", "shelf"]).await;
        assert_eq!(found, list![], "nothing there is called so");
        for url in ["file:///etc", "ftp://x.example/", "https://u@x.example/", "http://x.example/a b"] {
            let urls = map! { "urls" => list![url] };
            let refused = stage.refused(&stage.alice, "solve.install", list![urls, "x86_64"]).await;
            assert!(refused.starts_with("not the URL of a repository"), "{refused}");
        }
        // what the hub reaches is not everybody's to look at
        let begun = web.fetched.lock().unwrap().len();
        for urls in [
            list!["http://169.254.169.254/latest"],
            list!["https://mirror.example/r", "http://127.0.0.1:1/"],
            list!["https://mirror.example/r/../s"],
        ] {
            let refused = stage.refused(&stage.alice, "solve.depends", list![map! { "urls" => urls }, "x86_64", "shelf"]).await;
            assert_eq!(refused, "policy violation (solve_urls): Only admin can ask about others than external repositories via default policy");
        }
        assert_eq!(web.fetched.lock().unwrap().len(), begun, "nothing was fetched");
        let other = map! { "urls" => list!["https://other.example/r"] };
        let gone = stage.refused(&stage.admin, "solve.install", list![other, "x86_64"]).await;
        assert_eq!(gone, "external repository https://other.example/r: gone");
        let many = map! { "urls" => Value::Array(vec!["https://x.example/".into(); 9]) };
        let refused = stage.refused(&stage.alice, "solve.install", list![many, "x86_64"]).await;
        assert_eq!(refused, "there may be 1 to 8 URLs");
    }

    async fn less_is_read_of_what_callers_name(db: Db) {
        let web = Web::new(100, true);
        let stage = stage(db, &web).await;
        let most = || web.limits.lock().unwrap().iter().copied().max();
        let urls = map! { "urls" => list!["https://mirror.example/r/"] };
        stage.ok(&stage.alice, "solve.depends", list![urls, "x86_64", "shelf"]).await;
        assert_eq!(most(), Some(64 << 20));
    }

    async fn pools_that_are_asked_are_kept_current(db: Db) {
        let web = Web::new(100, true);
        let stage = stage(db, &web).await;
        let ask = list!["f40", "x86_64", list!["rpm-build"]];
        let nobody = Default::default();
        assert!(!stage.ok(&nobody, "solve.install", ask.clone()).await.get("solved").truthy());
        stage.ok(&stage.admin, "tagBuildBypass", list!["f40", "shelf-1.0-1"]).await;
        let made = stage.world.hub.solver.made();
        keeper::look(&stage.world.hub).await;
        assert_eq!(stage.world.hub.solver.made(), made + 1);
        assert!(stage.ok(&nobody, "solve.install", ask).await.get("solved").truthy());
        keeper::look(&stage.world.hub).await;
        assert_eq!(stage.world.hub.solver.made(), made + 1, "the question found it ready");
    }
}
