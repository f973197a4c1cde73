//! The work of a hub that dies is ended by the others, that of one that lives is left alone, and one that is not seen to live
//! stops for itself.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use toji_db::presence::{Identity, certain, settled};
use toji_db::{Db, Options, Param, Unsure};
use toji_hub::Hub;
use toji_hub::build::import::{look_again, recover_gone};
use toji_store::{Step, place};
use toji_testkit::{Cutter, TestDb};
use toji_value::list;
use tokio::runtime::{Builder, Runtime};

use super::two_hubs::Pair;

/// The number by which the hub is known that dies.
const NUMBER: i32 = 77;
/// How long these hubs work on without the database's word.
const TRUST: Duration = Duration::from_millis(600);
/// For what happens at some time.
const LONG: Duration = Duration::from_secs(60);

fn identity(number: i32) -> Identity {
    Identity { number, process: None, trust: TRUST }
}

/// A hub as a process of its own: it lives as long as its runtime does.
fn process(pair: &Arc<Pair>, steps: Vec<Step>) -> (Runtime, tokio::task::JoinHandle<()>) {
    let process = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pair = pair.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    process.spawn(async move {
        let db = pair.test.reopen().await;
        db.be_present(identity(NUMBER)).await;
        assert_eq!(db.present(), Some(NUMBER.into()));
        for (number, step) in steps.iter().enumerate() {
            place(step).unwrap();
            let entry = list![list![step.from.to_str().unwrap(), step.to.to_str().unwrap()]];
            let mut tx = db.begin();
            let id = toji_db::journal::insert(&mut tx, None, &entry).await.unwrap();
            if number == 1 {
                toji_db::journal::commit(&mut tx, id).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        tell.send(()).unwrap();
        std::future::pending::<()>().await;
        drop(db);
    });
    (process, tokio::spawn(async move { told.await.unwrap() }))
}

fn steps(pair: &Pair) -> Vec<Step> {
    let top = pair.stage.dir.path();
    let step = |name: &str| {
        let (from, to): (PathBuf, PathBuf) =
            (top.join("work/gone").join(name), top.join("packages/gone/1/1").join(name));
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        fs::write(&from, name).unwrap();
        Step { from, to }
    };
    vec![step("placed"), step("committed")]
}

async fn look(hubs: &[Hub; 2]) -> usize {
    let (one, two) = tokio::join!(recover_gone(&hubs[0]), recover_gone(&hubs[1]));
    one.unwrap() + two.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_of_a_hub_that_dies_is_ended_when_it_is_certain() {
    let pair = Pair::new().await;
    let steps = steps(&pair);
    for (hub, number) in pair.hubs.iter().zip([3, 5]) {
        hub.db.be_present(identity(number)).await;
    }
    let (process, ready) = process(&pair, steps.clone());
    ready.await.unwrap();
    assert_eq!(look(&pair.hubs).await, 0, "it lives");
    // Its connection is cut, and it has a new one before anybody takes its work.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
                WHERE locktype = 'advisory' AND objid::bigint = $1
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let number = [Param::Int(NUMBER.into())];
    assert_eq!(pair.test.db.begin().scalar::<i64>(cut, &number).await.unwrap(), 1);
    assert_eq!(look(&pair.hubs).await, 0, "it has come back");
    assert!(steps.iter().all(|step| step.to.is_file()));
    // It dies.
    process.shutdown_background();
    let begin = Instant::now();
    let mut ended = 0;
    while ended == 0 && begin.elapsed() < LONG {
        ended = look(&pair.hubs).await;
    }
    assert_eq!(ended, 2, "each entry is ended by one hub");
    assert!(begin.elapsed() > certain(TRUST), "{:?}", begin.elapsed());
    assert!(!steps[0].to.exists() && steps[0].from.is_file(), "it was not committed");
    assert!(steps[1].to.is_file() && steps[1].from.is_symlink(), "it was");
    // A step that was under way then comes to its end; it is looked for once more.
    assert_eq!(pair.count("SELECT count(*) FROM toji_import WHERE state = 'undone'").await, 1);
    let begin = Instant::now();
    place(&steps[0]).unwrap();
    while pair.count("SELECT count(*) FROM toji_import").await > 0 && begin.elapsed() < LONG {
        let (one, two) = tokio::join!(look_again(&pair.hubs[0]), look_again(&pair.hubs[1]));
        assert!(one.unwrap() + two.unwrap() < 2, "by one of them");
    }
    assert!(
        begin.elapsed() > settled(TRUST) - TRUST && begin.elapsed() < LONG,
        "{:?}",
        begin.elapsed()
    );
    assert!(!steps[0].to.exists() && steps[0].from.is_file() && steps[1].to.is_file());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_work_was_taken_cannot_commit_it() {
    let pair = Pair::new().await;
    let [own, other] = &pair.hubs;
    own.db.be_present(identity(NUMBER)).await;
    let mut tx = own.db.begin();
    let id = toji_db::journal::insert(&mut tx, None, &list![]).await.unwrap();
    tx.commit().await.unwrap();
    // Another one has seen it dead, as after a loss of its network.
    let mut tx = other.db.begin();
    let taken = toji_db::journal::claim(&mut tx, id, "placing", Some(NUMBER.into())).await;
    assert!(taken.unwrap());
    tx.commit().await.unwrap();
    let mut tx = own.db.begin();
    assert!(!toji_db::journal::touch(&mut tx, id).await.unwrap());
    let late = toji_db::journal::commit(&mut tx, id).await;
    assert!(matches!(late, Err(toji_db::Error::Conflict)), "{late:?}");
    drop(tx);
    let mut tx = other.db.begin();
    let again = toji_db::journal::claim(&mut tx, id, "placing", Some(NUMBER.into())).await;
    assert!(!again.unwrap(), "it is taken once");
}

/// A program that reaches the database through something that can be cut, and an entry that it works on.
struct Far {
    cutter: Cutter,
    db: Db,
    entry: i64,
    /// What two works with files of the entry ask.
    holds: [Arc<toji_db::Hold>; 2],
}

impl Far {
    async fn new(test: &TestDb) -> Far {
        let cutter = Cutter::start(&test.url).await;
        let db = Db::open(&cutter.url, &Options::default()).await.unwrap();
        db.be_present(identity(NUMBER)).await;
        let holds = [0, 1].map(|_| Arc::new(db.hold(false).unwrap()));
        let mut tx = db.begin();
        let entry = toji_db::journal::insert(&mut tx, None, &list![]).await.unwrap();
        tx.commit().await.unwrap();
        Far { cutter, db, entry, holds }
    }

    /// Asks for leave for the next step.
    async fn asks(&self, work: usize) -> Result<(), Unsure> {
        let (hold, entry) = (self.holds[work].clone(), self.entry);
        tokio::task::spawn_blocking(move || hold.check(entry)).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_cut_off_stops_before_others_take_over() {
    let pair = Pair::new().await;
    let heir = pair.hubs[1].clone();
    heir.db.be_present(identity(5)).await;
    let far = Far::new(&pair.test).await;
    assert_eq!(far.asks(0).await, Ok(()));
    // Nothing comes through any more, and the server takes the connections for lost; this end hears nothing of it.
    far.cutter.cut();
    let cut = Instant::now();
    let taken = tokio::spawn(async move {
        while recover_gone(&heir).await.unwrap() == 0 {}
        Instant::now()
    });
    let (mut allowed, mut last) = (cut, Ok(()));
    while last.is_ok() && cut.elapsed() < LONG {
        last = far.asks(0).await;
        if last.is_ok() {
            allowed = Instant::now();
        }
    }
    let taken = taken.await.unwrap();
    assert!(allowed < cut + TRUST + TRUST / 3, "steps were taken for {:?}", allowed - cut);
    assert!(taken > allowed + TRUST / 3, "others waited {:?} after the last one", taken - allowed);
    assert!(matches!(last, Err(Unsure::Silent(_))), "{last:?}");
    // It hears of the database again: what it had begun is not its own any more.
    far.cutter.mend();
    assert_eq!(far.asks(1).await, Err(Unsure::Taken));
    assert_eq!(far.asks(0).await, last, "who was refused once is refused for good");
    assert_eq!(far.db.present(), Some(NUMBER.into()), "what it begins now is its own");
    let fresh = far.db.hold(false).unwrap();
    let mut tx = far.db.begin();
    let entry = toji_db::journal::insert(&mut tx, None, &list![]).await.unwrap();
    tx.commit().await.unwrap();
    let checked = tokio::task::spawn_blocking(move || fresh.check(entry)).await.unwrap();
    assert_eq!(checked, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_comes_back_before_others_are_certain_goes_on() {
    let pair = Pair::new().await;
    let far = Far::new(&pair.test).await;
    far.cutter.cut();
    let cut = Instant::now();
    let mut allowed = cut;
    let waits = loop {
        let asked = far.asks(0);
        match tokio::time::timeout(TRUST, asked).await {
            Ok(done) => {
                assert_eq!(done, Ok(()));
                allowed = Instant::now();
            }
            Err(_) => break true,
        }
    };
    assert!(waits && allowed < cut + TRUST + TRUST / 3, "{:?}", allowed - cut);
    // Nobody has taken the work over: it goes on, on a new connection.
    far.cutter.mend();
    assert_eq!(far.asks(1).await, Ok(()));
    assert_eq!(far.asks(0).await, Ok(()));
}
