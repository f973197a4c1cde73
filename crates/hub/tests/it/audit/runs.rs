//! Runs over the store: interrupted and gone on with, each damage counted and told once.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use toji_db::Db;
use toji_hub::audit::{Algorithm, Finding, Progress, Watch, fsck, scan};
use toji_testkit::both_databases;
use toji_value::list;

use super::{add_packages, all_files, checked, scanned, short, store};
use crate::it::fixture::{name, packages, top};

/// Stops a run once something of it is written.
#[derive(Default)]
struct Stop {
    found: Mutex<Vec<Finding>>,
    flag: Arc<AtomicBool>,
}

impl Watch for Stop {
    fn tell(&self, finding: &Finding) {
        self.found.lock().unwrap().push(finding.clone());
    }

    fn progress(&self, now: &Progress) {
        if now.files > 0 {
            self.flag.store(true, Ordering::Relaxed);
        }
    }

    fn halted(&self) -> Arc<AtomicBool> {
        self.flag.clone()
    }
}

both_databases! {
    async fn an_interrupted_scan_goes_on(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        add_packages(&stage, 150).await;
        let image = top(&stage, "packages/i/1.0/1/images/disk1.qcow2");
        fs::write(&image, fs::read(&image).unwrap().repeat(2)).unwrap();
        let all = all_files(&stage).len() as u64;
        // slow enough that it cannot be through at the first note
        let options = scan::Options {
            rate: Some(1_000_000), period: Duration::from_millis(20), ..scan::Options::default()
        };
        let stop = Stop::default();
        let first = scan::run(hub, &options, &stop).await.unwrap();
        assert!(!first.whole && !first.resumed && first.progress.files > 0);
        assert!(first.progress.files < all, "{} of {all}", first.progress.files);
        let written = "SELECT last_build FROM toji_scan WHERE ended IS NULL";
        assert!(stage.world.get(written, &[]).await.as_int().unwrap() > 0);
        let told = stop.found.lock().unwrap().len();
        assert!(first.progress.damaged as usize == told && told <= 1);
        // another request is another run
        let other = scan::Options { further: vec![Algorithm::Md5], ..scan::Options::default() };
        assert!(!scanned(hub, &other).await.0.resumed);
        let (sum, found) = scanned(hub, &scan::Options::default()).await;
        assert!(sum.resumed);
        assert_eq!(sum.progress.damaged, 1, "{found:?}");
        assert_eq!(found.len() + told, 1, "it is told once");
        let (sum, found) = scanned(hub, &scan::Options::default()).await;
        assert!(!sum.resumed, "the next one begins anew");
        assert_eq!((sum.progress.files, found.len()), (all, 1));
    }

    async fn a_scan_goes_on_in_the_middle_of_a_build(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        let logs = top(&stage, "packages/i/1.0/1/data/logs/image");
        for number in 0..300 {
            fs::write(logs.join(format!("more{number}.log")), format!("{number}").repeat(400)).unwrap();
        }
        let all = all_files(&stage).len() as u64;
        let slow = scan::Options {
            rate: Some(500_000), period: Duration::from_millis(1), ..scan::Options::default()
        };
        // what is new, and what is as it was
        for known in [false, true] {
            let first = scan::run(hub, &slow, &Stop::default()).await.unwrap();
            assert!(!first.whole && (1..all).contains(&first.progress.files), "{known}: {first:?}");
            let read = "SELECT count(*) FROM toji_file WHERE run = (SELECT max(id) FROM toji_scan)";
            assert!(stage.world.get(read, &[]).await.as_int().unwrap() > 0, "{known}");
            let (sum, found) = scanned(hub, &scan::Options::default()).await;
            assert_eq!((sum.resumed, sum.progress.files, short(&found)), (true, all, vec![]), "{known}");
        }
    }

    async fn an_interrupted_check_counts_what_it_has_told(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        fs::remove_file(top(&stage, "packages/i/1.0/1/images/disk1.qcow2")).unwrap();
        let stop = Stop::default();
        let first = fsck::run(hub, &fsck::Options::default(), &stop).await.unwrap();
        assert!(!first.whole);
        assert_eq!((first.left, stop.found.lock().unwrap().len()), (1, 1));
        // a repair is another run: it sees everything
        let (sum, found) = checked(hub, true).await;
        assert!(!sum.resumed);
        assert_eq!((sum.left, found.len()), (1, 1));
        let (sum, found) = checked(hub, false).await;
        assert!(sum.resumed);
        assert_eq!((sum.left, short(&found)), (1, vec![]), "what was told before counts, too");
        assert_eq!(checked(hub, false).await.1.len(), 1);
    }

    async fn a_damage_is_told_once_and_counted_once(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        add_packages(&stage, 100).await;
        assert_eq!(scanned(hub, &scan::Options::default()).await.1, []);
        // all in one build, found at different times
        for number in 0..4 {
            let image = top(&stage, &format!("packages/i/1.0/1/images/disk{number}.qcow2"));
            fs::write(image, "x").unwrap();
        }
        fs::remove_file(top(&stage, "packages/i/1.0/1/data/logs/image/part1.log")).unwrap();
        let options = scan::Options {
            jobs: 4, rate: Some(3_000_000), period: Duration::from_millis(1), ..scan::Options::default()
        };
        let (sum, found) = scanned(hub, &options).await;
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(sum.progress.damaged, 5);
    }

    async fn the_link_of_a_volume_elsewhere_leads_to_the_top(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir_all(top(&stage, "vol")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), top(&stage, "vol/one")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["one"]).await;
        assert_eq!(short(&checked(hub, false).await.1), []);
        let link = elsewhere.path().join("toplink");
        for wrong in [None, Some("/"), Some("../..")] {
            fs::remove_file(&link).unwrap();
            if let Some(target) = wrong {
                std::os::unix::fs::symlink(target, &link).unwrap();
            }
            let (sum, found) = checked(hub, true).await;
            assert_eq!(short(&found), [("wrong-toplink", "volume", "vol/one/toplink")]);
            assert_eq!(sum.mended, 1, "{found:?}");
            assert_eq!(fs::canonicalize(&link).unwrap(), fs::canonicalize(stage.dir.path()).unwrap());
            assert_eq!(short(&checked(hub, false).await.1), []);
        }
    }

    async fn what_is_known_of_files_goes_with_them(db: Db) {
        let stage = store(db).await;
        let hub = &stage.world.hub;
        fs::create_dir_all(top(&stage, "vol/one")).unwrap();
        stage.ok(&stage.admin, "addVolume", list!["one"]).await;
        let more = scan::Options { further: vec![Algorithm::Md5], ..scan::Options::default() };
        let image = top(&stage, "packages/i/1.0/1/images/disk1.qcow2");
        fs::write(image, "x").unwrap();
        assert_eq!(scanned(hub, &more).await.1.len(), 1);
        stage.ok(&stage.admin, "changeBuildVolume", list!["i-1.0-1", "one"]).await;
        let made = packages();
        let rpm = &made.signed[0];
        let nvra = name(rpm).trim_end_matches(".rpm").to_owned();
        stage.ok(&stage.admin, "renameRPMSig", list![&nvra, &made.key, "other"]).await;
        let count = async |sql: &str| stage.world.get(sql, &[]).await.as_int().unwrap();
        assert_eq!(count("SELECT count(*) FROM toji_damage WHERE path LIKE 'vol/one/%'").await, 1);
        assert_eq!(count("SELECT count(*) FROM toji_damage").await, 1);
        assert_eq!(count("SELECT count(*) FROM toji_file_sum WHERE path LIKE 'vol/one/%'").await, 7);
        assert_eq!(count("SELECT count(*) FROM toji_file_sum WHERE path LIKE '%/other/%'").await, 2);
        for table in ["toji_file_sum", "toji_file", "toji_damage"] {
            let left = format!("SELECT count(*) FROM {table} WHERE path LIKE 'packages/i/%'");
            assert_eq!(count(&left).await, 0, "{table}");
        }
        stage.ok(&stage.admin, "resetBuild", list!["i-1.0-1"]).await;
        for table in ["toji_file_sum", "toji_file", "toji_damage"] {
            assert_eq!(count(&format!("SELECT count(*) FROM {table} WHERE path LIKE 'vol/%'")).await, 0, "{table}");
        }
    }
}
