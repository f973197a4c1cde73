//! Backups: points that are whole whatever goes on meanwhile, and that come back as they were.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use toji_db::{Db, Engine};
use toji_hub::audit::backup::{
    Access, Depth, Entry, Keep, Options, Point, Reader, Restored, Target, Vault, check, newest,
    points, prune, restore, take,
};
use toji_hub::audit::{Finding, Progress, Watch};
use toji_testkit::{TestDb, both_databases};
use toji_value::{Fault, Value, list};

use super::audit::{add_packages, scanned, store};
use super::people::Stage;

/// Something that happens at a moment of a run.
type Deed<'a> = Box<dyn Fn(&'a Stage) + Send + Sync + 'a>;

/// When things happen, and what is told.
#[derive(Default)]
struct Ears<'a> {
    stage: Option<&'a Stage>,
    /// After the progress of this number.
    at_progress: BTreeMap<u32, Deed<'a>>,
    /// Before the files are read that come after that progress.
    at_reading: BTreeMap<u32, Deed<'a>>,
    count: Mutex<(u32, u32)>,
    found: Mutex<Vec<Finding>>,
    stop: Arc<AtomicBool>,
}

impl Ears<'_> {
    fn names(&self) -> Vec<String> {
        self.found.lock().unwrap().iter().map(|f| format!("{} {}", f.kind.name(), f.path)).collect()
    }
}

impl Watch for Ears<'_> {
    fn tell(&self, finding: &Finding) {
        self.found.lock().unwrap().push(finding.clone());
    }

    fn progress(&self, _: &Progress) {
        let number = {
            let mut count = self.count.lock().unwrap();
            count.0 += 1;
            count.0
        };
        if let (Some(deed), Some(stage)) = (self.at_progress.get(&number), self.stage) {
            deed(stage);
        }
    }

    fn halted(&self) -> Arc<AtomicBool> {
        let (number, read) = {
            let mut count = self.count.lock().unwrap();
            let before = *count;
            count.1 = count.0 + 1;
            before
        };
        if read <= number
            && let (Some(deed), Some(stage)) = (self.at_reading.get(&number), self.stage)
        {
            deed(stage);
        }
        self.stop.clone()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Waits for a call where nothing can be awaited.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

fn open(dir: &Path, access: Access) -> Arc<Vault> {
    Arc::new(Vault::open(dir, access).unwrap())
}

async fn taken(stage: &Stage, dir: &Path, ears: &Ears<'_>) -> Result<Point, Fault> {
    let vault = Arc::new(Vault::open(dir, Access::Change).unwrap());
    let options = Options { jobs: 2, ..Options::default() };
    take(&stage.world.hub, vault, &options, ears).await
}

fn listed(dir: &Path, point: &Point) -> BTreeMap<String, Entry> {
    let vault = open(dir, Access::Read);
    let list = Reader::open(&point.dir(&vault).join(&point.manifest.name)).unwrap();
    list.map(|entry| entry.unwrap()).map(|entry| (entry.path.clone(), entry)).collect()
}

/// An empty database of the same engine.
async fn empty(engine: Engine, dir: &Path) -> (String, Option<TestDb>) {
    if engine == Engine::Sqlite {
        return (format!("sqlite:{}", dir.join("restored.db").display()), None);
    }
    let test = TestDb::new(engine).await;
    let server = toji_db::admin::Server::connect(&test.url).await.unwrap();
    server.batch("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await.unwrap();
    (test.url.clone(), Some(test))
}

/// Where a point is restored to.
struct Elsewhere {
    dir: tempfile::TempDir,
    target: Target,
    _db: Option<TestDb>,
}

impl Elsewhere {
    async fn new(stage: &Stage) -> Elsewhere {
        let dir = tempfile::tempdir().unwrap();
        let (url, db) = empty(stage.world.hub.db.engine(), dir.path()).await;
        let mut config = stage.world.hub.config.clone();
        config.topdir = dir.path().join("koji");
        Elsewhere { target: Target { url, config, jobs: 2 }, dir, _db: db }
    }

    fn top(&self) -> PathBuf {
        self.dir.path().join("koji")
    }

    async fn restore(
        &self,
        from: &Path,
        point: &Point,
        ears: &Ears<'_>,
    ) -> Result<Restored, Fault> {
        restore(&open(from, Access::Read), point, &self.target, ears).await
    }

    /// The first column of the only row.
    async fn get(&self, sql: &str) -> Value {
        let db = Db::open(&self.target.url, &toji_db::Options::default()).await.unwrap();
        let found = db.begin().scalar(toji_db::Sql::unchecked(sql.to_owned()), &[]).await.unwrap();
        db.close().await;
        found
    }
}

fn content(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let volume = toji_store::Local::new(dir.join("packages")).unwrap();
    let items = toji_store::Volume::walk(&volume, "").unwrap().into_iter();
    items
        .map(|item| (item.path.clone(), fs::read(dir.join("packages").join(item.path)).unwrap()))
        .collect()
}

const BUILDS: &str = "SELECT count(*) FROM build WHERE state = 1";

both_databases! {
    async fn points_add_what_is_new_and_come_back_as_they_were(db: Db) {
        let stage = store(db).await;
        let (dir, ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        let first = taken(&stage, &to, &ears).await.unwrap();
        assert_eq!((ears.names(), first.rounds, first.new_files > 12), (vec![], 1, true));
        let before = content(stage.dir.path());
        add_packages(&stage, 8).await;
        stage.ok(&stage.admin, "deleteBuild", list!["i-1.0-1"]).await;
        let second = taken(&stage, &to, &ears).await.unwrap();
        assert!(second.new_files >= 8 && second.new_files < second.files, "{second:?}");
        let after = content(stage.dir.path());
        let third = taken(&stage, &to, &ears).await.unwrap();
        assert_eq!((third.new_files, third.files), (0, second.files));
        let vault = open(&to, Access::Read);
        let all = points(&vault).unwrap();
        assert_eq!(all, [first.clone(), second.clone(), third.clone()]);
        assert_eq!(newest(&vault, None).unwrap(), third);
        let done = check(&vault, &all, Depth::Contents, &ears).await.unwrap();
        assert_eq!((done.damaged, ears.names()), (0, vec![]));
        for (point, wanted) in [(&first, &before), (&second, &after)] {
            let elsewhere = Elsewhere::new(&stage).await;
            let done = elsewhere.restore(&to, point, &ears).await.unwrap();
            assert_eq!((done.fsck.left, done.fsck.whole, ears.names()), (0, true, vec![]));
            assert_eq!(&content(&elsewhere.top()), wanted);
            assert!(elsewhere.get(BUILDS).await.as_int() > Some(0));
            let again = elsewhere.restore(&to, point, &ears).await.unwrap_err().message;
            assert!(again.contains("there are tables in the database"), "{again}");
        }
    }

    async fn what_is_deleted_meanwhile_is_in_the_point_or_the_database_is_taken_anew(db: Db) {
        let stage = store(db).await;
        let (dir, mut ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        ears.stage = Some(&stage);
        // One that comes after everything was taken in goes before it is read: the point would have its row and not its files.
        ears.at_progress.insert(1, Box::new(|stage| wait(add_packages(stage, 4))));
        ears.at_reading.insert(1, Box::new(|stage| {
            let name = wait(stage.world.get("SELECT max(name) FROM package WHERE id = (SELECT max(pkg_id) FROM build)", &[]));
            let sql = "SELECT version || '-' || release FROM build WHERE id = (SELECT max(id) FROM build)";
            let rest = wait(stage.world.get(sql, &[]));
            let nvr = format!("{}-{}", name.display(), rest.display());
            wait(stage.ok(&stage.admin, "deleteBuild", list![nvr]));
        }));
        // One that was taken in goes before it is looked for again.
        ears.at_progress.insert(3, Box::new(|stage| drop(wait(stage.ok(&stage.admin, "deleteBuild", list!["i-1.0-1"])))));
        let point = taken(&stage, &to, &ears).await.unwrap();
        assert_eq!((point.rounds, ears.names()), (2, vec![]));
        let now = stage.ok(&stage.admin, "getBuild", list!["i-1.0-1"]).await;
        assert_eq!(now.get("state"), &Value::Int(2));
        assert!(!stage.dir.path().join("packages/i/1.0/1").exists());
        let files = listed(&to, &point);
        assert!(files.contains_key("packages/i/1.0/1/images/disk0.qcow2"));
        let (elsewhere, quiet) = (Elsewhere::new(&stage).await, Ears::default());
        let done = elsewhere.restore(&to, &point, &quiet).await.unwrap();
        assert_eq!((done.fsck.left, quiet.names()), (0, vec![]));
        assert!(elsewhere.top().join("packages/i/1.0/1/images/disk0.qcow2").exists());
    }

    async fn what_is_moved_is_in_one_place(db: Db) {
        let stage = store(db).await;
        let top = stage.dir.path();
        fs::create_dir_all(top.join("vol/other")).unwrap();
        std::os::unix::fs::symlink("../..", top.join("vol/other/toplink")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["other"]).await;
        stage.ok(&stage.admin, "changeBuildVolume", list!["shelf-1.0-1", "other"]).await;
        // Nothing is known of its files but their rows.
        stage.world.set("DELETE FROM toji_file", &[]).await;
        let (dir, mut ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        ears.stage = Some(&stage);
        let there = |stage: &Stage, volume: &str| {
            drop(wait(stage.ok(&stage.admin, "changeBuildVolume", list!["i-1.0-1", volume])));
        };
        ears.at_progress.insert(1, Box::new(move |stage| there(stage, "other")));
        ears.at_progress.insert(2, Box::new(move |stage| there(stage, "DEFAULT")));
        let point = taken(&stage, &to, &ears).await.unwrap();
        assert_eq!(ears.names(), Vec::<String>::new());
        let files = listed(&to, &point);
        assert!(files.contains_key("vol/other/packages/i/1.0/1/images/disk0.qcow2"));
        assert!(files["packages/shelf/1.0/1"].link.is_some());
        let (elsewhere, quiet) = (Elsewhere::new(&stage).await, Ears::default());
        let done = elsewhere.restore(&to, &point, &quiet).await.unwrap();
        assert_eq!((done.fsck.left, quiet.names()), (0, vec![]));
        assert!(elsewhere.top().join("packages/shelf/1.0/1/src").exists(), "through the link");
        assert_eq!(fs::read_link(elsewhere.top().join("vol/other/toplink")).unwrap(), Path::new("../.."));
    }

    async fn damage_is_told_and_the_rest_is_kept(db: Db) {
        let stage = store(db).await;
        let (dir, ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        // The packages' digests are recorded, those of the images are made by a scan.
        let scan = toji_hub::audit::scan::Options::default();
        scanned(&stage.world.hub, &scan).await;
        let images = stage.dir.path().join("packages/i/1.0/1/images");
        fs::remove_file(images.join("disk0.qcow2")).unwrap();
        let mut bytes = fs::read(images.join("disk1.qcow2")).unwrap();
        bytes[100] ^= 1;
        fs::write(images.join("disk1.qcow2"), bytes).unwrap();
        let point = taken(&stage, &to, &ears).await.unwrap();
        let at = "packages/i/1.0/1/images/disk";
        let wanted = [format!("missing {at}0.qcow2"), format!("changed {at}1.qcow2")];
        let mut names = ears.names();
        names.sort_by(|a, b| b.cmp(a));
        assert_eq!(names, wanted);
        assert_eq!(point.damages.len(), 2);
        let elsewhere = Elsewhere::new(&stage).await;
        let done = elsewhere.restore(&to, &point, &Ears::default()).await.unwrap();
        assert_eq!(done.fsck.left, 2);
        // A point that has them was taken before: the next one has their contents, whatever the store has now.
        fs::write(images.join("disk0.qcow2"), "").unwrap();
    }

    async fn a_damaged_backup_is_found_and_not_restored(db: Db) {
        let stage = store(db).await;
        let (dir, ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        let point = taken(&stage, &to, &ears).await.unwrap();
        let files = listed(&to, &point);
        let (vault, all) = (open(&to, Access::Read), [point.clone()]);
        let object = |path: &str| vault.path(&files[path].sha256).unwrap();
        let break_it = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            let mut bytes = fs::read(path).unwrap();
            change(&mut bytes);
            fs::write(path, bytes).unwrap();
        };
        let at = "packages/i/1.0/1/images/disk";
        break_it(&object(&format!("{at}0.qcow2")), &|bytes| bytes[7] ^= 1);
        break_it(&object(&format!("{at}1.qcow2")), &|bytes| bytes.truncate(9));
        break_it(&object(&format!("{at}2.qcow2")), &|bytes| bytes.push(0));
        fs::remove_file(object(&format!("{at}3.qcow2"))).unwrap();
        let done = check(&vault, &all, Depth::Names, &ears).await.unwrap();
        assert_eq!(done.damaged, 3);
        ears.found.lock().unwrap().clear();
        check(&vault, &all, Depth::Contents, &ears).await.unwrap();
        let mut kinds: Vec<&str> = ears.found.lock().unwrap().iter().map(|f| f.kind.name()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["changed", "longer", "missing", "truncated"]);
        let elsewhere = Elsewhere::new(&stage).await;
        let error = elsewhere.restore(&to, &point, &ears).await.unwrap_err().message;
        assert!(error.contains("SHA-256") || error.contains("No such file"), "{error}");
        let database = point.dir(&vault).join(&point.database.name);
        break_it(&database, &|bytes| bytes[50] ^= 1);
        ears.found.lock().unwrap().clear();
        check(&vault, &all, Depth::Names, &ears).await.unwrap();
        assert!(ears.names().iter().any(|name| name.contains(&point.database.name)), "{:?}", ears.names());
    }

    async fn a_restoration_goes_on_where_it_was(db: Db) {
        let stage = store(db).await;
        let (dir, ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        let point = taken(&stage, &to, &ears).await.unwrap();
        let elsewhere = Elsewhere::new(&stage).await;
        let halting = Ears::default();
        halting.stop.store(true, Ordering::Relaxed);
        let error = elsewhere.restore(&to, &point, &halting).await.unwrap_err().message;
        assert!(error.contains("halted"), "{error}");
        // Half of a file, as a crash leaves it, and a whole one.
        let image = elsewhere.top().join("packages/i/1.0/1/images/disk0.qcow2");
        fs::create_dir_all(image.parent().unwrap()).unwrap();
        fs::write(&image, "half").unwrap();
        let other = taken(&stage, &to, &ears).await.unwrap();
        let error = elsewhere.restore(&to, &other, &ears).await.unwrap_err().message;
        assert!(error.contains("another point"), "{error}");
        let done = elsewhere.restore(&to, &point, &ears).await.unwrap();
        assert_eq!((done.fsck.left, done.files), (0, point.files));
        assert_eq!(content(&elsewhere.top()), content(stage.dir.path()));
        let full = Elsewhere::new(&stage).await;
        fs::create_dir_all(full.top().join("packages")).unwrap();
        fs::write(full.top().join("packages/file"), "").unwrap();
        let error = full.restore(&to, &point, &ears).await.unwrap_err().message;
        assert!(error.contains("empty directory"), "{error}");
    }

    async fn points_are_pruned_and_an_interrupted_one_leaves_none(db: Db) {
        let stage = store(db).await;
        let (dir, ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let to = dir.path().join("backup");
        let halting = Ears::default();
        halting.stop.store(true, Ordering::Relaxed);
        assert!(taken(&stage, &to, &halting).await.is_err());
        assert_eq!(points(&open(&to, Access::Read)).unwrap(), []);
        let first = taken(&stage, &to, &ears).await.unwrap();
        stage.ok(&stage.admin, "deleteBuild", list!["i-1.0-1"]).await;
        let second = taken(&stage, &to, &ears).await.unwrap();
        let vault = open(&to, Access::Change);
        let planned = prune(&vault, Keep::Newest(1), true).await.unwrap();
        assert_eq!((planned.points.as_slice(), planned.files), (&[first.id.clone()][..], 0));
        let done = prune(&vault, Keep::Newest(1), false).await.unwrap();
        // Four images and four logs.
        assert!(done.points == [first.id.clone()] && done.files >= 8, "{done:?}");
        assert_eq!(points(&vault).unwrap(), std::slice::from_ref(&second));
        let left = check(&vault, &[second], Depth::Contents, &ears).await.unwrap();
        assert_eq!(left.damaged, 0);
    }
}
