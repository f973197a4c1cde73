//! The daemon against a small hub over real HTTP, with real rpmbuild in real buildroots.

mod hub;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hub::{CANCELED, CLOSED, FAILED, FREE, Hub};
use sha2::Digest as _;
use toji_builder::{Builder, CancellationToken, Config};
use toji_value::{Fault, Value, list, map};
use toji_xmlrpc::{Limits, parse_response};

struct World {
    dir: tempfile::TempDir,
    hub: Arc<Hub>,
    stop: CancellationToken,
    builder: tokio::task::JoinHandle<Result<(), toji_builder::Error>>,
}

impl World {
    async fn new(live: bool) -> World {
        World::with(live, |_| {}).await
    }

    async fn with(live: bool, change: impl FnOnce(&mut Config)) -> World {
        let dir = tempfile::tempdir().expect("directory");
        let topdir = dir.path().join("top");
        std::fs::create_dir_all(&topdir).expect("directory");
        let (hub, url) = Hub::start(&topdir, live).await;
        let mut config = Config::new(url, "b1.example.com", "secret", dir.path().join("builder"));
        config.minspace = 1;
        config.max_load = 0.0;
        config.sleeptime = if live { Duration::from_secs(300) } else { Duration::from_millis(100) };
        change(&mut config);
        let stop = CancellationToken::new();
        let builder = tokio::spawn(Builder::run(config, stop.clone()));
        let world = World { dir, hub, stop, builder };
        if live {
            world.hub.until(|inner| inner.is_live()).await;
        }
        world
    }

    async fn stop(self) {
        self.stop.cancel();
        self.builder.await.expect("join").expect("builder");
    }

    /// Makes a package file on the host.
    fn package(&self, name: &str, source: bool, tags: &str, build: &str) -> PathBuf {
        let dir = self.dir.path().join(format!("make-{name}"));
        std::fs::create_dir_all(&dir).expect("directory");
        let spec = dir.join(format!("{name}.spec"));
        std::fs::write(&spec, spec_text(name, tags, build)).expect("spec");
        let top = format!("_topdir {}", dir.display());
        let output = Command::new("rpmbuild")
            .args([if source { "-bs" } else { "-bb" }, "--nodeps", "--define", &top])
            .arg("--define")
            .arg(format!("_dbpath {}", dir.join("db").display()))
            .args(["--define", "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"])
            .arg(&spec)
            .output()
            .expect("rpmbuild is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (place, end) = if source { ("SRPMS", "src") } else { ("RPMS", "noarch") };
        dir.join(place).join(format!("{name}-1.0-1.{end}.rpm"))
    }

    /// Publishes the repository of the build tag with these packages.
    fn publish(&self, packages: &[PathBuf]) {
        let repo = self.hub.topdir.join("repos/t-build/1").join(std::env::consts::ARCH);
        std::fs::create_dir_all(&repo).expect("directory");
        for package in packages {
            std::fs::copy(package, repo.join(package.file_name().expect("name"))).expect("copy");
        }
        let output = Command::new("createrepo_c").arg("-q").arg(&repo).output();
        assert!(output.expect("createrepo_c is needed").status.success());
    }

    /// Uploads a source package and returns its path below `work`.
    fn upload(&self, srpm: &Path) -> String {
        let path = format!("cli-build/1/{}", srpm.file_name().expect("name").to_string_lossy());
        self.hub.upload(&path, &std::fs::read(srpm).expect("srpm"));
        path
    }

    fn result(&self, id: i64) -> Result<Value, Fault> {
        let text = self.hub.lock().tasks[&id].result.clone().expect("result");
        parse_response(text.as_bytes(), &Limits::RESPONSE).expect("response")
    }

    fn called(&self, name: &str) -> Vec<toji_value::Args> {
        let inner = self.hub.lock();
        inner.calls.iter().filter(|(call, _)| call == name).map(|(_, args)| args.clone()).collect()
    }
}

fn spec_text(name: &str, tags: &str, build: &str) -> String {
    format!(
        "Name: {name}\nVersion: 1.0\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n{tags}\n\
         %description\nd\n%build\n{build}\n%install\nmkdir -p %{{buildroot}}/usr/share/{name}\n\
         echo {name} > %{{buildroot}}/usr/share/{name}/name\n%files\n/usr/share/{name}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_built_with_what_the_repository_offers() {
    let world = World::new(true).await;
    let lib = world.package("lib", false, "Requires: base", "");
    let base = world.package("base", false, "", "");
    world.publish(&[lib, base]);
    let srpm = world.package(
        "app",
        true,
        "BuildRequires: lib make",
        "cat /usr/share/lib/name /usr/share/base/name",
    );
    let path = world.upload(&srpm);
    let id = world.hub.submit("build", vec![path.into(), "t".into(), map! {}.into()]);
    let task = world.hub.ended(id).await;
    let log = world.hub.read("tasks/3/3/build.log");
    assert_eq!(
        task.state,
        CLOSED,
        "{:?}\n{log}\n{}",
        world.result(id),
        world.hub.read("tasks/3/3/root.log")
    );
    assert!(log.contains("\nlib\nbase\n"), "{log}");
    let methods: Vec<_> = world.hub.lock().tasks.values().map(|t| t.method.clone()).collect();
    assert_eq!(methods, ["build", "rebuildSRPM", "buildArch", "tagBuild"]);

    let arch = world.result(3).expect("buildArch");
    assert_eq!(arch.get("rpms"), &list!["tasks/3/3/app-1.0-1.noarch.rpm"]);
    assert_eq!(arch.get("srpms"), &list!["tasks/3/3/app-1.0-1.src.rpm"]);
    let logs =
        ["hw_info.log", "root.log", "state.log", "build.log"].map(|log| format!("tasks/3/3/{log}"));
    let listed = arch.get("logs").as_array().expect("logs");
    assert!(logs.iter().all(|log| listed.contains(&log.as_str().into())), "{listed:?}");
    let complete = &world.called("host.completeBuild")[0].positional;
    assert_eq!(
        complete[..4],
        [
            1.into(),
            900.into(),
            "tasks/3/3/app-1.0-1.src.rpm".into(),
            list!["tasks/3/3/app-1.0-1.noarch.rpm"]
        ]
    );
    let listing = &world.called("host.setBuildRootList")[1].positional[1];
    let names: Vec<_> =
        listing.as_array().expect("list").iter().map(|p| p.get("name").display()).collect();
    assert!(names.contains(&"lib".to_owned()) && names.contains(&"base".to_owned()), "{names:?}");
    assert_eq!(world.called("host.tagBuild").len(), 1);
    let made = world.hub.topdir.join("work/tasks/3/3/app-1.0-1.noarch.rpm");
    let query = Command::new("rpm")
        .args(["-qp", "--nosignature", "--qf", "%{VENDOR}/%{PACKAGER}/%{BUILDHOST}"])
        .arg(made)
        .output();
    let query = query.expect("rpm is needed").stdout;
    assert_eq!(String::from_utf8_lossy(&query), "Toji/Toji/b1.example.com");
    let work = world.dir.path().join("builder/tasks/3/3");
    assert!(!work.exists(), "the work directory is still there");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unmet_requirements_and_failing_builds_say_why() {
    let world = World::new(false).await;
    world.publish(&[]);
    let unmet =
        world.upload(&world.package("unmet", true, "BuildRequires: nothing-provides-this", ""));
    let fails = world.upload(&world.package("fails", true, "", "echo about to fail; exit 3"));
    let arch = |path: &str| {
        let opts = map! {"repo_id" => 1};
        vec![path.into(), 2.into(), "noarch".into(), true.into(), opts.into()]
    };
    let one = world.hub.submit("buildArch", arch(&unmet));
    let two = world.hub.submit("buildArch", arch(&fails));
    assert_eq!(world.hub.ended(one).await.state, FAILED);
    let fault = world.result(one).expect_err("fault");
    assert!(fault.code == 1005 && fault.message.contains("nothing-provides-this"), "{fault}");
    let log = world.hub.read("tasks/1/1/root.log");
    assert!(log.contains("No matching package to install: 'nothing-provides-this'"), "{log}");
    assert_eq!(world.hub.ended(two).await.state, FAILED);
    let fault = world.result(two).expect_err("fault");
    let text = "error building package (arch noarch), rpmbuild exited with status 1; see build.log for more information";
    let (first, told) = fault.message.split_once('\n').unwrap_or((&fault.message, ""));
    assert_eq!((fault.code, first), (1005, text));
    assert!(told.contains("about to fail"), "{told}");
    assert!(world.hub.read("tasks/2/2/build.log").contains("about to fail"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_what_the_lockfile_says_or_not_used() {
    let world = World::new(true).await;
    let lib = world.package("lib", false, "", "");
    world.publish(std::slice::from_ref(&lib));
    let published = world.hub.topdir.join("repos/t-build/1").join(std::env::consts::ARCH);
    let published = published.join(lib.file_name().expect("name"));
    let good = std::fs::read(&lib).expect("package");
    let mut bad = good.clone();
    *bad.last_mut().expect("bytes") ^= 1;
    std::fs::write(&published, &bad).expect("package");
    let srpm = world.upload(&world.package("app", true, "BuildRequires: lib", ""));
    let request = || {
        let opts = map! {"repo_id" => 1};
        vec![srpm.clone().into(), 2.into(), "noarch".into(), true.into(), opts.into()]
    };
    // What the way to the builder damages is not the build's fault: another builder shall try.
    let id = world.hub.submit("buildArch", request());
    world.hub.until(|inner| inner.calls.iter().any(|(call, _)| call == "host.refuseTask")).await;
    let refused = world.called("host.refuseTask")[0].keywords.value("msg").display();
    let sum = |data: &[u8]| hex::encode(sha2::Sha256::digest(data));
    let (wanted, found) = (sum(&good), sum(&bad));
    assert!(refused.starts_with("fetch lib-1.0-1.noarch: sha256 of /"), "{refused}");
    assert!(refused.ends_with(&format!("expected {wanted}, got {found}")), "{refused}");
    let builder = world.dir.path().join("builder");
    let work = builder.join(format!("tasks/{id}/{id}"));
    assert!(!work.exists(), "the work directory is still there");
    let cached = builder.join("cache").join(&wanted[..2]).join(&wanted);
    assert!(!cached.exists() && !builder.join("cache").join(&found[..2]).join(&found).exists());

    std::fs::write(&published, &good).expect("package");
    let id = world.hub.submit("buildArch", request());
    assert_eq!(world.hub.ended(id).await.state, CLOSED, "{:?}", world.result(id));
    assert_eq!(std::fs::read(&cached).expect("cached"), good);
    // A damaged file of the cache is replaced.
    std::fs::write(&cached, &bad).expect("cached");
    let id = world.hub.submit("buildArch", request());
    assert_eq!(world.hub.ended(id).await.state, CLOSED, "{:?}", world.result(id));
    assert_eq!(std::fs::read(&cached).expect("cached"), good);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_sources_are_refused() {
    let world = World::new(true).await;
    world.publish(&[]);
    let good = world.package("good", true, "", "");
    let data = std::fs::read(&good).expect("srpm");
    world.hub.upload("cli-build/1/other-2-2.src.rpm", &data);
    world.hub.upload("cli-build/1/good-1.0-1.src.rpm", &data[..data.len() - 100]);
    let rebuild = |path: &str| vec![path.into(), 2.into(), map! {"repo_id" => 1}.into()];
    for (path, part) in [
        ("cli-build/1/other-2-2.src.rpm", "other-2-2.src.rpm"),
        ("cli-build/1/good-1.0-1.src.rpm", "not a valid package"),
        ("cli-build/1/none-1-1.src.rpm", "missing"),
        ("cli-build/../../x.src.rpm", "Invalid path"),
    ] {
        let id = world.hub.submit("rebuildSRPM", rebuild(path));
        assert_eq!(world.hub.ended(id).await.state, FAILED, "{path}");
        let fault = world.result(id).expect_err("fault");
        assert!(fault.message.contains(part), "{path}: {fault}");
    }
    let unlisted = world.upload(&world.package("unlisted", true, "", ""));
    for (src, target, part) in [
        (unlisted.as_str(), "t", "package unlisted not in list for tag t"),
        ("cli-build/1/x-1-1.src.rpm", "none", "unknown build target: none"),
    ] {
        let id = world.hub.submit("build", vec![src.into(), target.into(), map! {}.into()]);
        assert_eq!(world.hub.ended(id).await.state, FAILED);
        assert_eq!(world.result(id).expect_err("fault").message, part);
    }
    let windows = world.hub.submit("winbuild", vec![]);
    assert_eq!(world.hub.ended(windows).await.state, FAILED);
    let said = world.result(windows).expect_err("fault").message;
    assert!(said.starts_with("winbuild needs a VM host"), "{said}");
    world.hub.submit("livemedia", vec![]);
    world.hub.until(|inner| inner.calls.iter().any(|(call, _)| call == "host.refuseTask")).await;
    let wrong = world.hub.submit("buildArch", vec![1.into()]);
    assert_eq!(world.hub.ended(wrong).await.state, FAILED);
    assert_eq!(world.result(wrong).expect_err("fault").code, 1019);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_tasks_end_with_everything_they_run() {
    let world = World::new(true).await;
    world.publish(&[]);
    let srpm = world.upload(&world.package("long", true, "", "echo it has begun; sleep 4242"));
    let opts = map! {"repo_id" => 1};
    let request = vec![srpm.into(), 2.into(), "noarch".into(), true.into(), opts.into()];
    let id = world.hub.submit("buildArch", request);
    // The log is read while the build runs.
    world.hub.until(|_| world.hub.read("tasks/1/1/build.log").contains("it has begun")).await;
    world.hub.cancel(id);
    let work = world.dir.path().join("builder/tasks/1/1");
    let gone = async {
        while work.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the work directory stays");
    let found = Command::new("pgrep").args(["-f", "sleep 4242"]).output().expect("pgrep is needed");
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    assert_eq!(world.hub.lock().tasks[&id].state, CANCELED);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_hub_is_connected_to_anew() {
    let world = World::new(true).await;
    world.hub.lock().mute = true;
    // The builder goes on with its own heartbeats; they do not stand for the hub's.
    world.hub.until(|inner| inner.attached > 1).await;
    world.hub.lock().mute = false;
    let id = world.hub.submit("sleep", vec![0.into()]);
    assert_eq!(world.hub.ended(id).await.state, CLOSED);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_stops_gives_its_tasks_back() {
    let world = World::new(true).await;
    let id = world.hub.submit("sleep", vec![1000.into()]);
    world.hub.until(|inner| inner.tasks[&id].state == hub::OPEN).await;
    let hub = world.hub.clone();
    world.stop().await;
    assert_eq!(hub.lock().tasks[&id].state, FREE);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_come_from_git() {
    let world = World::with(true, |config| config.allowed_scms = ":/*:no:".to_owned()).await;
    world.publish(&[]);
    let work = world.dir.path().join("gitpkg");
    std::fs::create_dir_all(&work).expect("directory");
    std::fs::write(
        work.join("gitpkg.spec"),
        spec_text("gitpkg", "Source0: notes.txt", "cat %{SOURCE0}"),
    )
    .expect("spec");
    std::fs::write(work.join("notes.txt"), "a source from git\n").expect("source");
    let git = |args: &[&str]| {
        let output =
            Command::new("git").arg("-C").arg(&work).args(args).output().expect("git is needed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"]);
    let commit = git(&["rev-parse", "HEAD"]);
    for (revision, state) in
        [(commit.as_str(), CLOSED), ("main", CLOSED), (&commit[..8], CLOSED), ("none", FAILED)]
    {
        let url = format!("git+file://{}#{revision}", work.display());
        let request = vec![url.clone().into(), 2.into(), map! {"repo_id" => 1}.into()];
        let id = world.hub.submit("buildSRPMFromSCM", request);
        let ended = world.hub.ended(id).await.state;
        let dir = format!("tasks/{id}/{id}");
        assert_eq!(
            ended,
            state,
            "{revision} {:?}\n{}\n{}",
            world.result(id),
            world.hub.read(&format!("{dir}/checkout.log")),
            world.hub.read(&format!("{dir}/build.log"))
        );
        if state == CLOSED {
            let result = world.result(id).expect("result");
            assert_eq!(result.get("srpm"), &format!("{dir}/gitpkg-1.0-1.src.rpm").into());
            let source = format!("git+file://{}#{commit}", work.display());
            assert_eq!(result.get("source"), &map! {"url" => url, "source" => source}.into());
        }
    }
    let refused =
        world.hub.submit("buildSRPMFromSCM", vec!["git://example.com/x#1".into(), 2.into()]);
    assert_eq!(world.hub.ended(refused).await.state, FAILED);
    let text = "example.com:/x is not in the list of allowed SCMs";
    assert_eq!(world.result(refused).expect_err("fault").message, text);
    world.stop().await;
}
