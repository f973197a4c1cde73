//! Measures one typical call's statement: `bench_db URL [DATA_DIR]`.
//!
//! With a directory of `TABLE.csv.zst` files the database is migrated and filled from it first.

use std::process::Command;
use std::time::{Duration, Instant};

use toji_db::load::{Table, tables};
use toji_db::{Db, Durability, Options, params};

const BUILD: &str =
    "SELECT build.id, build.version, build.release, build.epoch, build.state, build.task_id,
       build.source, build.owner AS owner_id, build.start_time, build.completion_time,
       date_part('epoch', build.start_time) AS start_ts,
       date_part('epoch', build.completion_time) AS completion_ts, build.draft,
       build.extra AS \"extra:json\", package.id AS package_id, package.name AS name,
       package.name || '-' || build.version || '-' || build.release AS nvr, volume.id AS volume_id,
       volume.name AS volume_name, events.id AS creation_event_id, events.time AS creation_time,
       date_part('epoch', events.time) AS creation_ts, users.name AS owner_name,
       content_generator.name AS cg_name
  FROM build
  JOIN events ON build.create_event = events.id
  JOIN package ON build.pkg_id = package.id
  JOIN volume ON build.volume_id = volume.id
  JOIN users ON build.owner = users.id
  LEFT JOIN content_generator ON build.cg_id = content_generator.id
 WHERE build.id = $1";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program that measures")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().ok_or("usage: bench_db URL [DATA_DIR]")?;
    let options = Options { durability: Durability::Process, ..Options::default() };
    let db = Db::open(&url, &options).await?;
    if let Some(dir) = args.next() {
        let start = Instant::now();
        db.migrate().await?;
        let rows = tables(&db, read(&dir)?, &[]).await?;
        println!("loaded {rows} rows in {:.1} s", start.elapsed().as_secs_f64());
    }
    let ids = db.begin().query("SELECT id FROM build", &[]).await?;
    let ids: Vec<i64> = ids.iter().map(|r| r.get("id")).collect::<toji_db::Result<_>>()?;
    for workers in [1, 16] {
        let rate = read_rate(&db, &ids, workers).await?;
        println!("{workers:2} tasks: {rate:.0} reads/s");
    }
    let rate = write_rate(&db).await?;
    println!(" 1 task: {rate:.0} single-row transactions/s");
    Ok(())
}

fn read(dir: &str) -> Result<Vec<Table>, Box<dyn std::error::Error>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".csv.zst") {
            let csv = Command::new("zstd").arg("-dc").arg(&path).output()?.stdout;
            out.push(Table { name: name.to_owned(), csv });
        }
    }
    Ok(out)
}

/// Transactions of one read each, for three seconds.
async fn read_rate(db: &Db, ids: &[i64], workers: usize) -> toji_db::Result<f64> {
    let (start, limit) = (Instant::now(), Duration::from_secs(3));
    let mut all = tokio::task::JoinSet::new();
    for worker in 0..workers {
        let (db, ids) = (db.clone(), ids.to_vec());
        all.spawn(async move {
            let mut done = 0u64;
            while start.elapsed() < limit {
                let id = ids[(done as usize * 7919 + worker * 104_729) % ids.len()];
                let mut tx = db.begin();
                let row = tx.query_one(BUILD, params![id]).await?;
                assert!(row.into_map().len() > 20);
                tx.commit().await?;
                done += 1;
            }
            toji_db::Result::Ok(done)
        });
    }
    let mut total = 0;
    while let Some(done) = all.join_next().await {
        total += done.map_err(|e| toji_db::Error::Other(e.to_string()))??;
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

/// Transactions of one insert each, for two seconds.
async fn write_rate(db: &Db) -> toji_db::Result<f64> {
    let (start, mut done) = (Instant::now(), 0u32);
    while start.elapsed() < Duration::from_secs(2) {
        let mut tx = db.begin();
        tx.execute("INSERT INTO events (time) VALUES (clock_timestamp())", &[]).await?;
        tx.commit().await?;
        done += 1;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}
