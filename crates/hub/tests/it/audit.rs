//! Checks of the store: what is whole is found whole, and every kind of damage is found and named.

mod injected;
mod runs;
mod silent;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use toji_db::Db;
use toji_hub::Hub;
use toji_hub::audit::{Algorithm, Finding, Kind, Mending, Progress, Watch, What, fsck, scan};
use toji_rpmgen::synthetic;
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::fixture::{header, import, name, named, packages, top};
use super::people::Stage;

/// Remembers what is found; can end a run after a number of steps.
#[derive(Default)]
pub(super) struct Ears {
    found: Mutex<Vec<Finding>>,
    stop: Arc<AtomicBool>,
    steps: Mutex<Option<u32>>,
}

impl Watch for Ears {
    fn tell(&self, finding: &Finding) {
        self.found.lock().unwrap().push(finding.clone());
    }

    fn progress(&self, _: &Progress) {
        if let Some(left) = &mut *self.steps.lock().unwrap() {
            *left = left.saturating_sub(1);
            self.stop.store(*left == 0, Ordering::Relaxed);
        }
    }

    fn halted(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }
}

fn by_path(ears: &Ears) -> Vec<Finding> {
    let mut found = std::mem::take(&mut *ears.found.lock().unwrap());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

pub(super) async fn scanned(hub: &Hub, options: &scan::Options) -> (scan::Summary, Vec<Finding>) {
    let ears = Ears::default();
    let sum = scan::run(hub, options, &ears).await.unwrap();
    assert!(sum.whole);
    (sum, by_path(&ears))
}

pub(super) async fn checked(hub: &Hub, repair: bool) -> (fsck::Summary, Vec<Finding>) {
    let ears = Ears::default();
    let options = fsck::Options { repair, restart: false };
    let sum = fsck::run(hub, &options, &ears).await.unwrap();
    assert!(sum.whole);
    (sum, by_path(&ears))
}

fn short(found: &[Finding]) -> Vec<(&'static str, &'static str, &str)> {
    found.iter().map(|f| (f.kind.name(), f.what.name(), f.path.as_str())).collect()
}

/// Two builds: `shelf` with packages, signature headers and signed copies, `i` with images and logs.
pub(super) async fn store(db: Db) -> Stage {
    let made = packages();
    let stage = Stage::with(db, |config| config.disable_notifications = true).await;
    import(&stage, &made.plain).await;
    for rpm in &made.signed {
        let nvra = name(rpm).trim_end_matches(".rpm").to_owned();
        stage.ok(&stage.admin, "addRPMSig", list![&nvra, header(rpm)]).await;
        stage.ok(&stage.admin, "writeSignedRPM", list![&nvra, &made.key]).await;
    }
    let nvr = map! { "name" => "i", "version" => "1.0", "release" => "1", "epoch" => Value::Nil };
    stage.ok(&stage.admin, "createImageBuild", list![nvr]).await;
    add_images(&stage, 4).await;
    for number in 0..4 {
        let log = top(&stage, &format!("packages/i/1.0/1/data/logs/image/part{number}.log"));
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        fs::write(log, format!("line {number}\n").repeat(900 + number)).unwrap();
    }
    stage
}

async fn add_images(stage: &Stage, count: usize) {
    let dir = stage.dir.path().join("work/x");
    fs::create_dir_all(&dir).unwrap();
    for number in 0..count {
        let content: Vec<u8> = (0..4000 + number * 7).map(|n| (n * 31 + number) as u8).collect();
        let file = format!("disk{number}.qcow2");
        fs::write(dir.join(&file), content).unwrap();
        let args = list![format!("x/{file}"), "i-1.0-1", "image", map! { "arch" => "x86_64" }];
        stage.ok(&stage.admin, "importArchive", args).await;
    }
}

/// Adds so many packages of other builds, put together from nothing.
pub(super) async fn add_packages(stage: &Stage, count: usize) {
    let dir = stage.dir.path().join("work/synthetic");
    fs::create_dir_all(&dir).unwrap();
    for number in 0..count {
        let made = synthetic::make(number, synthetic::Files::Few).unwrap();
        let (version, release) = (&made.version, synthetic::RELEASE);
        if number % 4 == 0 {
            let args = list![&made.source, version, release, Value::Nil];
            stage.ok(&stage.admin, "createEmptyBuild", args).await;
        }
        let file = format!("{}-{version}-{release}.{}.rpm", made.name, made.arch);
        fs::write(dir.join(&file), &made.bytes).unwrap();
        stage.ok(&stage.admin, "importRPM", list!["synthetic", file]).await;
    }
}

const SHELF: &str = "packages/shelf/1.0/1";

fn key() -> &'static str {
    &packages().key
}

both_databases! {
    async fn a_whole_store_has_nothing_wrong(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        let (sum, found) = checked(hub, false).await;
        assert_eq!(short(&found), []);
        assert_eq!((sum.left, sum.mended, sum.resumed), (0, 0, false));
        let known = "SELECT count(*) FROM toji_file WHERE run IS NULL AND checked IS NULL";
        let before = stage.world.get(known, &[]).await;
        let (sum, found) = scanned(hub, &scan::Options { jobs: 3, ..Default::default() }).await;
        assert_eq!(short(&found), []);
        // three packages with two headers and a signed copy each, four images, four logs
        assert_eq!(sum.progress.files, 3 * 4 + 4 + 4);
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_file", &[]).await, Value::Int(20));
        assert_eq!(stage.world.get(known, &[]).await, before, "what is as it is recorded is not written");
        let log = "SELECT sha256 FROM toji_file WHERE path = 'packages/i/1.0/1/data/logs/image/part2.log'";
        let path = top(&stage, "packages/i/1.0/1/data/logs/image/part2.log");
        let (sums, _) = toji_store::hash(&path, &[Algorithm::Sha256]).unwrap();
        assert_eq!(stage.world.get(log, &[]).await, Value::from(&sums[0]));
        // only what is missing
        let missing = scan::Options { only_missing: true, ..Default::default() };
        assert_eq!(scanned(hub, &missing).await.0.progress.files, 0);
        let sha512 = scan::Options { further: vec![Algorithm::Sha512], ..missing };
        assert_eq!(scanned(hub, &sha512).await.0.progress.files, 20);
        assert_eq!(scanned(hub, &sha512).await.0.progress.files, 0);
        let further = "SELECT count(*) FROM toji_file_sum WHERE kind = 'sha512' AND length(sum) = 128";
        assert_eq!(stage.world.get(further, &[]).await, Value::Int(20));
    }

    async fn a_store_without_records_is_compared_with_what_koji_keeps(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        stage.world.set("DELETE FROM toji_file", &[]).await;
        let rpm = format!("{SHELF}/x86_64/shelf-1.0-1.x86_64.rpm");
        let doc = format!("{SHELF}/noarch/shelf-doc-1.0-1.noarch.rpm");
        let copy = format!("{SHELF}/data/signed/{}/src/shelf-1.0-1.src.rpm", key());
        let header = format!("{SHELF}/data/sigcache/{}/src/shelf-1.0-1.src.rpm.sig", key());
        let image = "packages/i/1.0/1/images/disk2.qcow2";
        let flip = |path: &str, at: usize| {
            let path = top(&stage, path);
            let mut bytes = fs::read(&path).unwrap();
            let at = if at == 0 { bytes.len() - 1 } else { at };
            bytes[at] ^= 4;
            fs::write(path, bytes).unwrap();
        };
        flip(&rpm, 0);
        // in the signature header
        flip(&doc, 130);
        flip(&copy, 2000);
        flip(&header, 100);
        flip(image, 77);
        let (_, found) = scanned(hub, &scan::Options::default()).await;
        let mut expected = [
            ("changed", "archive", image), ("changed", "rpm", &rpm), ("changed", "rpm", &doc),
            ("changed", "signed-copy", &copy), ("changed", "signature-header", &header),
        ];
        expected.sort_by_key(|(_, _, path)| *path);
        assert_eq!(short(&found), expected);
        // nothing is recorded of what is damaged: it is found again, until it is whole
        assert_eq!(scanned(hub, &scan::Options::default()).await.1.len(), 5);
        let damaged = "SELECT count(*) FROM toji_damage";
        assert_eq!(stage.world.get(damaged, &[]).await, Value::Int(5));
        for (path, at) in [(&rpm, 0), (&doc, 130), (&copy, 2000), (&header, 100)] {
            flip(path, at);
        }
        flip(image, 77);
        assert_eq!(short(&scanned(hub, &scan::Options::default()).await.1), []);
        assert_eq!(stage.world.get(damaged, &[]).await, Value::Int(0));
    }

    async fn what_names_tell_is_found_and_mended(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        fs::create_dir_all(top(&stage, "vol/one")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["one"]).await;
        stage.ok(&stage.admin, "changeBuildVolume", list!["i-1.0-1", "one"]).await;
        assert_eq!(short(&checked(hub, false).await.1), []);
        let shelf = |rel: &str| format!("{SHELF}/{rel}");
        let rpm = shelf("x86_64/shelf-1.0-1.x86_64.rpm");
        let own = shelf("data/sigcache/x86_64/shelf-1.0-1.x86_64.rpm.sig");
        let header = shelf(&format!("data/sigcache/{}/src/shelf-1.0-1.src.rpm.sig", key()));
        let copy = shelf(&format!("data/signed/{}/noarch/shelf-doc-1.0-1.noarch.rpm", key()));
        let link = "packages/i/1.0/1";
        let whole: Vec<Vec<u8>> =
            [&own, &header, &copy].map(|path| fs::read(top(&stage, path)).unwrap()).into();
        fs::remove_file(top(&stage, &own)).unwrap();
        fs::write(top(&stage, &header), "").unwrap();
        fs::write(top(&stage, &copy), &whole[2][..500]).unwrap();
        fs::remove_file(top(&stage, link)).unwrap();
        fs::remove_file(top(&stage, "vol/one/toplink")).unwrap();
        fs::write(top(&stage, &shelf("x86_64/.shelf.rpm.new")), "x").unwrap();
        age(&stage, &shelf("x86_64/.shelf.rpm.new"));
        // somebody may be at these: a young one, one that is recorded
        fs::write(top(&stage, &shelf("x86_64/.young.rpm.new")), "x").unwrap();
        fs::write(top(&stage, &shelf("x86_64/.kept.new")), "x").unwrap();
        age(&stage, &shelf("x86_64/.kept.new"));
        stage.world.set("INSERT INTO toji_file (path, size, sha256) VALUES ($1, 1, '')", &[shelf("x86_64/.kept.new").into()]).await;
        fs::write(top(&stage, &shelf("x86_64/odd.rpm")), "x").unwrap();
        stage.world.set("INSERT INTO toji_file (path, size, sha256) VALUES ('packages/gone/1/1/f', 1, '')", &[]).await;
        let package = fs::read(top(&stage, &rpm)).unwrap();
        fs::remove_file(top(&stage, &rpm)).unwrap();
        let (leftover, odd) = (shelf("x86_64/.shelf.rpm.new"), shelf("x86_64/odd.rpm"));
        let mut expected = [
            ("missing", "signature-header", own.as_str()), ("truncated", "signature-header", &header),
            ("truncated", "signed-copy", &copy), ("missing-link", "build", link),
            ("wrong-toplink", "volume", "vol/one/toplink"), ("leftover", "file", &leftover),
            ("stray", "file", &odd), ("stale-record", "file", "packages/gone/1/1/f"),
            ("missing", "rpm", &rpm),
        ];
        expected.sort_by_key(|(_, _, path)| *path);
        let (sum, found) = checked(hub, false).await;
        assert_eq!(short(&found), expected);
        assert_eq!((sum.left, sum.mended), (9, 0));
        let (sum, found) = checked(hub, true).await;
        assert_eq!(short(&found), expected);
        let left: Vec<_> =
            found.into_iter().filter(|f| !matches!(f.mending, Mending::Done(_))).collect();
        // without the package, its own header is in the signed copy's place only under another key
        let mut stays = [("missing", "signature-header", own.as_str()), ("missing", "rpm", &rpm), ("stray", "file", &odd)];
        stays.sort_by_key(|(_, _, path)| *path);
        assert_eq!(short(&left), stays);
        assert_eq!((sum.left, sum.mended), (3, 6));
        fs::write(top(&stage, &rpm), package).unwrap();
        fs::remove_file(top(&stage, &odd)).unwrap();
        assert!(top(&stage, &shelf("x86_64/.young.rpm.new")).exists());
        fs::remove_file(top(&stage, &shelf("x86_64/.kept.new"))).unwrap();
        stage.world.set("DELETE FROM toji_file WHERE sha256 = ''", &[]).await;
        assert_eq!(checked(hub, true).await.0.mended, 1);
        assert_eq!(short(&checked(hub, false).await.1), []);
        for (path, content) in [&own, &header, &copy].into_iter().zip(whole) {
            assert!(fs::read(top(&stage, path)).unwrap() == content, "{path}");
        }
        assert_eq!(short(&scanned(hub, &scan::Options::default()).await.1), []);
    }

    async fn directories_without_rows_are_found(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        let old = |path: &str| {
            fs::create_dir_all(top(&stage, path)).unwrap();
            age(&stage, path);
        };
        for dir in ["packages/none/1/1", "packages/shelf/1.0/2", "repos/f40/77", "repos-dist/f40/78",
                    "work/tasks/12/990012", "scratch/alice/task_990013"] {
            old(dir);
        }
        // the copies of moves: one that the journal names, and one that nobody knows
        for (dir, tree) in [("packages/shelf/1.0/.1.moving", true), ("packages/shelf/1.0/.4.moving", false)] {
            old(dir);
            if tree {
                let steps = list![map! { "tree" => top(&stage, dir).to_str().unwrap() }];
                let mut call = stage.world.call().await;
                toji_db::journal::insert(&mut call.tx, None, &steps).await.unwrap();
                call.commit().await.unwrap();
            }
        }
        // young ones may have rows that are not committed yet
        fs::create_dir_all(top(&stage, "packages/shelf/1.0/3")).unwrap();
        let tag = stage.world.tag("f40", &[]).await;
        let repo = stage.world.repo(tag, toji_types::RepoState::Ready, None).await;
        let (_, found) = checked(hub, true).await;
        let missing = format!("repos/f40/{repo}");
        let mut expected = [
            ("unknown-build", "build", "packages/none/1/1"), ("unknown-build", "build", "packages/shelf/1.0/2"),
            ("stray-repository", "repository", "repos/f40/77"), ("stray-repository", "repository", "repos-dist/f40/78"),
            ("stray-task", "task", "work/tasks/12/990012"), ("stray-task", "task", "scratch/alice/task_990013"),
            ("missing-repository", "repository", &missing), ("leftover", "build", "packages/shelf/1.0/.4.moving"),
        ];
        expected.sort_by_key(|(_, _, path)| *path);
        assert_eq!(short(&found), expected);
        let mended: Vec<&Finding> = found.iter().filter(|f| f.mending != Mending::None).collect();
        assert!(mended.iter().all(|f| f.kind == Kind::Leftover), "nothing else is anybody's to remove");
        assert!(top(&stage, "packages/shelf/1.0/.1.moving").exists(), "it is on its way");
        assert!(!top(&stage, "packages/shelf/1.0/.4.moving").exists());
    }

    async fn a_deleted_build_leaves_nothing(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        stage.ok(&stage.admin, "deleteBuild", list!["shelf-1.0-1"]).await;
        assert!(!top(&stage, SHELF).exists());
        assert_eq!(short(&checked(hub, false).await.1), []);
        let records = "SELECT count(*) FROM toji_file WHERE path LIKE 'packages/shelf/%'";
        assert_eq!(stage.world.get(records, &[]).await, Value::Int(0));
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_import", &[]).await, Value::Int(0));
        // as a crash between the commit and the removal of the files would leave it
        fs::create_dir_all(top(&stage, SHELF).join("src")).unwrap();
        fs::write(top(&stage, SHELF).join("src/shelf.rpm"), "x").unwrap();
        let (_, found) = checked(hub, true).await;
        assert_eq!(short(&found), [("deleted-build", "build", SHELF)]);
        assert!(!top(&stage, SHELF).exists());
        assert_eq!(short(&checked(hub, false).await.1), []);
    }

    async fn a_lost_volume_is_one_finding(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        fs::create_dir_all(top(&stage, "vol/one")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["one"]).await;
        stage.ok(&stage.admin, "changeBuildVolume", list!["i-1.0-1", "one"]).await;
        fs::rename(top(&stage, "vol/one"), top(&stage, "elsewhere")).unwrap();
        let (_, found) = checked(hub, true).await;
        assert_eq!(short(&found), [("missing-volume", "volume", "vol/one")]);
        let (sum, found) = scanned(hub, &scan::Options::default()).await;
        assert_eq!(short(&found), [("missing-volume", "volume", "vol/one")]);
        assert_eq!(sum.progress.damaged, 1);
        assert_eq!(stage.world.get("SELECT count(*) FROM toji_damage", &[]).await, Value::Int(0));
        // a place where nothing is mounted
        fs::create_dir_all(top(&stage, "vol/one")).unwrap();
        std::os::unix::fs::symlink(stage.dir.path(), top(&stage, "vol/one/toplink")).unwrap();
        assert_eq!(short(&checked(hub, true).await.1), [("missing-volume", "volume", "vol/one")]);
        assert_eq!(short(&scanned(hub, &scan::Options::default()).await.1), [("missing-volume", "volume", "vol/one")]);
        fs::remove_dir_all(top(&stage, "vol/one")).unwrap();
        fs::rename(top(&stage, "elsewhere"), top(&stage, "vol/one")).unwrap();
        assert_eq!(short(&checked(hub, false).await.1), []);
    }

    async fn the_scrub_has_its_time(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        let stop = Arc::new(AtomicBool::new(false));
        assert!(toji_hub::audit::turn(hub, 86_400.0, &stop).await.unwrap());
        assert!(!toji_hub::audit::turn(hub, 86_400.0, &stop).await.unwrap(), "it was done today");
        let image = top(&stage, "packages/i/1.0/1/images/disk1.qcow2");
        fs::write(&image, fs::read(&image).unwrap().repeat(2)).unwrap();
        assert!(toji_hub::audit::turn(hub, 0.0, &stop).await.unwrap());
        let kind = "SELECT kind FROM toji_damage WHERE path = 'packages/i/1.0/1/images/disk1.qcow2'";
        assert_eq!(stage.world.get(kind, &[]).await, Value::from("longer"));
        assert!(image.exists(), "damage is told, nothing is removed");
        let told = "SELECT count(*) FROM toji_outbox WHERE kind = 'store.damage'";
        assert_eq!(stage.world.get(told, &[]).await, Value::Int(1));
    }
}

/// Every regular file of a store's builds, below the top.
pub(super) fn all_files(stage: &Stage) -> Vec<String> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, into) } else { into.push(path) }
        }
    }
    let mut files = Vec::new();
    walk(&top(stage, "packages"), &mut files);
    let below =
        |path: PathBuf| path.strip_prefix(stage.dir.path()).unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<String> = files.into_iter().map(below).collect();
    files.sort();
    files
}

/// Lets a file or directory be two days old.
pub(super) fn age(stage: &Stage, path: &str) {
    let path = top(stage, path);
    let days = std::time::Duration::from_secs(86_400 * 2);
    let before = fs::metadata(&path).unwrap().modified().unwrap() - days;
    fs::File::open(&path).unwrap().set_modified(before).unwrap();
}

#[test]
fn names_are_each_ones_own_and_the_guide_has_them() {
    let made = packages();
    assert!(named(&made.plain, ".src.rpm").exists());
    let names: std::collections::BTreeSet<&str> =
        Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    let guide = include_str!("../../../../docs/guide/store.md");
    let cells = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let told: std::collections::BTreeSet<&str> = cells
        .flat_map(|cell| cell.split(['`', ',', ' ']).filter(|word| !word.is_empty()))
        .collect();
    assert_eq!(told, names);
    assert_eq!(What::SignedCopy.name(), "signed-copy");
}
