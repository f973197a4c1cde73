//! A bucket that does not answer: that is told, nothing in it is called missing, and the rest is checked.

use std::fs;
use std::time::Duration;

use toji_db::Db;
use toji_hub::audit::backup::{Access, Options, Vault, take};
use toji_hub::audit::scan;
use toji_store::s3::{self, S3};
use toji_testkit::both_databases;

use super::super::fixture::{import, packages, top};
use super::super::people::Stage;
use super::{Ears, add_packages, checked, scanned, short};

/// A volume at a port where nobody listens.
fn nowhere() -> S3 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = s3::Options::new("far", "koji");
    options.endpoint = Some(format!("http://{free}"));
    options.retries = 0;
    options.timeout = Duration::from_secs(5);
    S3::new(options).unwrap()
}

both_databases! {
    async fn a_bucket_that_does_not_answer_is_one_finding(db: Db) {
        let stage = Stage::with(db, |config| {
            config.disable_notifications = true;
            config.object_volumes = vec![nowhere()];
        })
        .await;
        import(&stage, &packages().plain).await;
        add_packages(&stage, 4).await;
        // The build lies there by its row, its records and its link.
        let hub = &stage.world.hub;
        stage.world.set("INSERT INTO volume (id, name) VALUES (7, 'far')", &[]).await;
        let id = "SELECT max(build.id) FROM build JOIN package ON package.id = build.pkg_id WHERE package.name = 'shelf'";
        stage.world.set(&format!("UPDATE build SET volume_id = 7 WHERE id = ({id})"), &[]).await;
        let moved = "UPDATE toji_file SET path = 'vol/far/' || path WHERE path LIKE 'packages/shelf/%'";
        stage.world.set(moved, &[]).await;
        let link = top(&stage, "packages/shelf/1.0/1");
        fs::remove_dir_all(&link).unwrap();
        std::os::unix::fs::symlink("../../../vol/far/packages/shelf/1.0/1", &link).unwrap();
        let (_, found) = checked(hub, false).await;
        assert_eq!(short(&found), [("missing-volume", "volume", "vol/far")]);
        let (sum, found) = scanned(hub, &scan::Options::default()).await;
        assert_eq!(short(&found), [("missing-volume", "volume", "vol/far")]);
        assert!(sum.progress.files >= 4, "{sum:?}");
        // What is known of the bucket is listed; a backup that shall have its contents says that it has not.
        let (dir, ears) = (tempfile::tempdir().unwrap(), Ears::default());
        let vault = Vault::open(&dir.path().join("backup"), Access::Change).unwrap();
        let point = take(hub, vault.into(), &Options::default(), &ears).await.unwrap();
        assert!(point.elsewhere >= 3, "{point:?}");
        let vault = Vault::open(&dir.path().join("full"), Access::Change).unwrap();
        let options = Options { buckets: true, ..Options::default() };
        let point = take(hub, vault.into(), &options, &ears).await.unwrap();
        let kinds: Vec<&str> = point.damages.iter().map(|damage| damage.kind.as_str()).collect();
        assert_eq!(kinds, ["missing-volume"]);
    }
}
