//! Signatures of real packages: headers kept apart, copies written, both deleted.

use std::fs;

use toji_db::Db;
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::fixture::{header, import, imported, name, named, packages, top};
use super::people::Stage;

const RPM: &str = "shelf-1.0-1.x86_64";

both_databases! {
    async fn a_broken_call_leaves_what_another_has_written(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        let rpm = &made.signed[0];
        let nvra = name(rpm).trim_end_matches(".rpm").to_owned();
        stage.ok(&stage.admin, "addRPMSig", list![&nvra, header(rpm)]).await;
        stage.ok(&stage.admin, "writeSignedRPM", list![&nvra, &made.key]).await;
        let path = "SELECT path FROM toji_file WHERE path LIKE '%/sigcache/' || $1 || '/%' OR path LIKE '%/signed/%'";
        let mut call = stage.world.call().await;
        let rows = call.tx.query(path, &[made.key.as_str().into()]).await.unwrap();
        assert_eq!(rows.len(), 2);
        let files: Vec<std::path::PathBuf> =
            rows.iter().map(|row| top(&stage, &row.get::<String>("path").unwrap())).collect();
        for file in &files {
            let steps = list![list![Value::Nil, file.to_str().unwrap()]];
            toji_db::journal::insert(&mut call.tx, None, &steps).await.unwrap();
        }
        call.commit().await.unwrap();
        assert_eq!(toji_hub::build::import::recover(&stage.world.hub, 0.0).await.unwrap(), 2);
        assert!(files.iter().all(|file| file.is_file()), "{files:?}");
    }

    async fn a_signature_is_added_and_a_signed_copy_written(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        let signed = named(&made.signed, "shelf-1.0-1.x86_64.rpm");
        let key = made.key.as_str();
        let add = list![RPM, header(signed)];
        let refused = stage.refused(&stage.alice, "addRPMSig", add.clone()).await;
        assert_eq!(refused, "sign permission required (logged in as alice)");
        assert_eq!(stage.ok(&stage.admin, "addRPMSig", add.clone()).await, Value::Nil);
        let again = stage.refused(&stage.admin, "addRPMSig", add).await;
        assert_eq!(again, format!("Signature already exists for package {RPM}, key {key}"));
        let other = list![RPM, header(named(&made.signed, ".src.rpm"))];
        let wrong = stage.refused(&stage.admin, "addRPMSig", other).await;
        assert!(wrong.starts_with(&format!("wrong md5 for {RPM}: ")), "{wrong}");
        let broken = stage.refused(&stage.admin, "addRPMSig", list![RPM, "bm8gaGVhZGVy"]).await;
        assert_eq!(broken, "Invalid rpm header: bad magic: b'no '");
        let keys = stage.ok(&stage.alice, "queryRPMSigs", list![RPM]).await;
        let keys: Vec<&str> =
            keys.as_array().unwrap().iter().filter_map(|sig| sig.get("sigkey").as_str()).collect();
        assert_eq!(keys, ["", key]);
        let build = top(&stage, "packages/shelf/1.0/1");
        let cached = build.join(format!("data/sigcache/{key}/x86_64/{RPM}.rpm.sig"));
        assert!(cached.is_file());

        let copy = build.join(format!("data/signed/{key}/x86_64/{RPM}.rpm"));
        let none = stage.refused(&stage.admin, "writeSignedRPM", list![RPM, "00000000"]).await;
        assert_eq!(none, format!("No cached signature for package {RPM}, key 00000000"));
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, key.to_uppercase()]).await;
        assert!(fs::read(&copy).unwrap() == fs::read(signed).unwrap(), "the copy is the signed one");
        let sums = stage.ok(&stage.alice, "getRPMChecksums", list![rpm_id(&stage).await, list!["sha256"], true]).await;
        let (expected, _) = toji_store::hash(signed, &[toji_store::Algorithm::Sha256]).unwrap();
        assert_eq!(sums.get(key).get("sha256"), &Value::from(&expected[0]));
        // a copy that differs from the known checksum is not passed over in silence
        fs::write(&copy, "something else").unwrap();
        let differs = stage.refused(&stage.admin, "writeSignedRPM", list![RPM, key]).await;
        assert!(differs.starts_with("Calculate checksum is different than checksum in DB"), "{differs}");
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, key, true]).await;
        assert!(fs::read(&copy).unwrap() == fs::read(signed).unwrap());
    }

    async fn only_builders_have_the_builders_call(db: Db) {
        let made = packages();
        let stage = imported(db, &made.signed).await;
        let args = list![RPM, made.key.as_str()];
        for who in [&stage.alice, &stage.admin] {
            let refused = stage.refused(who, "host.writeSignedRPM", args.clone()).await;
            assert!(refused.ends_with("is not a host"), "{refused}");
        }
        stage.ok(&stage.builder, "host.writeSignedRPM", args).await;
        let copy = format!("packages/shelf/1.0/1/data/signed/{}/x86_64/{RPM}.rpm", made.key);
        assert!(top(&stage, &copy).is_file());
    }

    async fn a_signed_import_has_one_signature(db: Db) {
        let made = packages();
        let stage = imported(db, &made.signed).await;
        let sigs = stage.ok(&stage.alice, "queryRPMSigs", list![RPM]).await;
        let sigs = sigs.as_array().unwrap();
        assert_eq!(sigs.len(), 1);
        assert_eq!(sigs[0].get("sigkey"), &Value::from(&made.key));
        // what was stripped of its signature is another copy of the same package
        let plain = header(named(&made.plain, "shelf-1.0-1.x86_64.rpm"));
        stage.ok(&stage.admin, "addRPMSig", list![RPM, plain]).await;
        let none = stage.ok(&stage.alice, "queryRPMSigs", list![RPM, ""]).await;
        assert_eq!(none.as_array().map(<[Value]>::len), Some(1));
    }

    async fn signatures_are_deleted_and_their_headers_kept(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        let key = made.key.as_str();
        let add = list![RPM, header(named(&made.signed, "shelf-1.0-1.x86_64.rpm"))];
        stage.ok(&stage.admin, "addRPMSig", add.clone()).await;
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, key]).await;
        let refused = stage.refused(&stage.alice, "deleteRPMSig", list![RPM, key]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        let refused = stage.refused(&stage.admin, "deleteRPMSig", list![RPM]).await;
        assert_eq!(refused, "No signature specified");
        let refused = stage.refused(&stage.admin, "deleteRPMSig", list![RPM, "00000000"]).await;
        assert_eq!(refused, format!("{RPM} has no matching signatures to delete"));
        stage.ok(&stage.admin, "deleteRPMSig", list![RPM, key.to_uppercase()]).await;
        let build = top(&stage, "packages/shelf/1.0/1");
        assert!(!build.join(format!("data/signed/{key}/x86_64/{RPM}.rpm")).exists());
        let dir = build.join(format!("data/sigcache/{key}/x86_64"));
        let left: Vec<String> =
            fs::read_dir(&dir).unwrap().map(|entry| name(&entry.unwrap().path())).collect();
        assert_eq!(left.len(), 1);
        assert!(left[0].ends_with(".save"), "{left:?}");
        // the same again: the header is there already under its other name
        stage.ok(&stage.admin, "addRPMSig", add).await;
        let all = stage.call(&stage.admin, "deleteRPMSig", list![RPM, Value::Nil, true]).await;
        assert_eq!(all, Ok(Value::Nil));
        assert_eq!(stage.ok(&stage.alice, "queryRPMSigs", list![RPM]).await, list![]);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        assert!(build.join("x86_64").join(format!("{RPM}.rpm")).is_file());
    }

    async fn a_signature_is_filed_under_a_name(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        let add = list![RPM, header(named(&made.signed, "shelf-1.0-1.x86_64.rpm"))];
        let label = |name: &str| map! { "sigkey" => name };
        stage.ok_kw(&stage.admin, "addRPMSig", add.clone(), label("Release-2026")).await;
        stage.ok(&stage.admin, "addRPMSig", add.clone()).await;
        let keys = stage.ok_kw(&stage.alice, "queryRPMSigs", list![RPM], map! {}).await;
        let mut keys: Vec<String> =
            keys.as_array().unwrap().iter().map(|sig| sig.get("sigkey").display()).collect();
        keys.sort();
        let mut wanted = ["", made.key.as_str(), "release-2026"];
        wanted.sort_unstable();
        assert_eq!(keys, wanted);
        let bad = toji_value::Args { positional: add.as_array().unwrap().to_vec(), keywords: label("../x") };
        let refused = stage.world.hub.call(&stage.admin, "addRPMSig", bad).await.unwrap_err();
        assert!(refused.message.contains("../x"), "{refused}");
        // the calls as clients see them listed have two parameters
        let surplus = list![RPM, "", "x"];
        let refused = stage.refused(&stage.admin, "addRPMSig", surplus).await;
        assert_eq!(refused, "RootExports.addRPMSig() takes 3 positional arguments but 4 were given");
        let help = stage.ok(&stage.admin, "system.methodHelp", list!["addRPMSig"]).await;
        assert!(help.as_str().unwrap().starts_with("addRPMSig(an_rpm, data)\n"), "{help:?}");
    }

    async fn a_signature_is_filed_under_another_name(db: Db) {
        let made = packages();
        let stage = imported(db, &made.signed).await;
        let key = made.key.as_str();
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, key]).await;
        let refused = stage.refused(&stage.alice, "renameRPMSig", list![RPM, key, "ours"]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        let refused = stage.refused(&stage.admin, "renameRPMSig", list![RPM, "zzz", "ours"]).await;
        assert_eq!(refused, format!("No signature found for package {RPM}, key zzz"));
        let refused = stage.refused(&stage.admin, "renameRPMSig", list![RPM, key, key]).await;
        assert_eq!(refused, format!("Signature already exists for package {RPM}, key {key}"));
        stage.refused(&stage.admin, "renameRPMSig", list![RPM, key, "../up"]).await;
        stage.ok(&stage.admin, "renameRPMSig", list![RPM, key, "Ours"]).await;
        let data = top(&stage, "packages/shelf/1.0/1/data");
        let copy = format!("ours/x86_64/{RPM}.rpm");
        assert!(data.join("signed").join(&copy).is_file());
        assert!(data.join("sigcache").join(format!("{copy}.sig")).is_file());
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, "ours"]).await;
        let none = stage.refused(&stage.admin, "writeSignedRPM", list![RPM, key]).await;
        assert_eq!(none, format!("No cached signature for package {RPM}, key {key}"));
    }

    async fn labels_are_free_but_lead_nowhere(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain).await;
        let id = rpm_id(&stage).await.as_int().unwrap();
        let sql = "INSERT INTO rpmsigs (rpm_id, sigkey, sighash) VALUES ($1, $2, 'x')";
        stage.world.set(sql, &[id.into(), "../../../../escape".into()]).await;
        let refused = stage.refused(&stage.admin, "writeSignedRPM", list![RPM, "../../../../escape"]).await;
        assert!(refused.contains("escape"), "{refused}");
        stage.world.set("DELETE FROM rpmsigs", &[]).await;
        stage.world.set(sql, &[id.into(), "release-2026".into()]).await;
        let dir = top(&stage, "packages/shelf/1.0/1/data/sigcache/release-2026/x86_64");
        fs::create_dir_all(&dir).unwrap();
        let from = top(&stage, &format!("packages/shelf/1.0/1/data/sigcache/x86_64/{RPM}.rpm.sig"));
        fs::copy(from, dir.join(format!("{RPM}.rpm.sig"))).unwrap();
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, "release-2026"]).await;
        assert!(top(&stage, &format!("packages/shelf/1.0/1/data/signed/release-2026/x86_64/{RPM}.rpm")).is_file());
    }

    async fn a_failed_multicall_takes_its_files_back(db: Db) {
        let made = packages();
        let stage = imported(db, &made.plain[..0]).await;
        import(&stage, &made.plain).await;
        let add = list![RPM, header(named(&made.signed, "shelf-1.0-1.x86_64.rpm"))];
        let inner = map! { "methodName" => "addRPMSig", "params" => add };
        let twice = list![list![inner.clone(), inner]];
        let answers = stage.ok(&stage.admin, "multiCall", twice).await;
        let answers = answers.as_array().unwrap();
        assert_eq!(answers[0], list![Value::Nil]);
        assert_eq!(answers[1].get("faultCode"), &Value::Int(1000));
        let kept = format!("packages/shelf/1.0/1/data/sigcache/{}/x86_64/{RPM}.rpm.sig", made.key);
        assert!(top(&stage, &kept).is_file(), "the first one's header stays");
    }
}

async fn rpm_id(stage: &Stage) -> Value {
    stage.ok(&stage.alice, "getRPM", list![RPM]).await.get("id").clone()
}
