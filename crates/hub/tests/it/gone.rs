//! The work of a hub that dies is ended by the others at once, that of one that lives is left alone.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use toji_db::Param;
use toji_hub::Hub;
use toji_hub::build::import::recover_gone;
use toji_store::{Step, place};
use toji_value::list;
use tokio::runtime::{Builder, Runtime};

use super::two_hubs::Pair;

/// The number by which the hub is known that dies.
const NUMBER: i32 = 77;

/// A hub as a process of its own: it lives as long as its runtime does.
fn process(pair: &Arc<Pair>, steps: Vec<Step>) -> (Runtime, tokio::task::JoinHandle<()>) {
    let process = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let pair = pair.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    process.spawn(async move {
        let db = pair.test.reopen().await;
        db.be_present(NUMBER).await;
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
async fn the_work_of_a_hub_that_dies_is_ended_within_seconds() {
    let pair = Pair::new().await;
    let steps = steps(&pair);
    for (hub, number) in pair.hubs.iter().zip([3, 5]) {
        hub.db.be_present(number).await;
    }
    let (process, ready) = process(&pair, steps.clone());
    ready.await.unwrap();
    assert_eq!(look(&pair.hubs).await, 0, "it lives");
    // Its connection is cut, and it has a new one before anybody takes its work.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND objid::bigint = $1";
    let number = [Param::Int(NUMBER.into())];
    assert_eq!(pair.test.db.begin().scalar::<i64>(cut, &number).await.unwrap(), 1);
    assert_eq!(look(&pair.hubs).await, 0, "it has come back");
    assert!(steps.iter().all(|step| step.to.is_file()));
    // It dies.
    process.shutdown_background();
    let begin = Instant::now();
    let mut ended = 0;
    while ended == 0 && begin.elapsed() < Duration::from_secs(60) {
        ended = look(&pair.hubs).await;
    }
    assert_eq!(ended, 2, "each entry is ended by one hub");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(!steps[0].to.exists() && steps[0].from.is_file(), "it was not committed");
    assert!(steps[1].to.is_file() && steps[1].from.is_symlink(), "it was");
    assert_eq!(pair.count("SELECT count(*) FROM toji_import").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_whose_work_was_taken_cannot_commit_it() {
    let pair = Pair::new().await;
    let [own, other] = &pair.hubs;
    own.db.be_present(NUMBER).await;
    let mut tx = own.db.begin();
    let id = toji_db::journal::insert(&mut tx, None, &list![]).await.unwrap();
    tx.commit().await.unwrap();
    // Another one has seen it dead, as after a loss of its network.
    let mut tx = other.db.begin();
    let taken = toji_db::journal::claim(&mut tx, id, "placing", Some(NUMBER.into())).await;
    assert!(taken.unwrap());
    tx.commit().await.unwrap();
    let mut tx = own.db.begin();
    toji_db::journal::touch(&mut tx, id).await.unwrap();
    let late = toji_db::journal::commit(&mut tx, id).await;
    assert!(matches!(late, Err(toji_db::Error::Conflict)), "{late:?}");
    drop(tx);
    let mut tx = other.db.begin();
    let again = toji_db::journal::claim(&mut tx, id, "placing", Some(NUMBER.into())).await;
    assert!(!again.unwrap(), "it is taken once");
}
