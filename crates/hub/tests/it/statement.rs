//! Statements about builds: asked for with the completion, written afterwards, whatever happens between.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use toji_attest::{Envelope, PublicKey, SigningKey, Statement};
use toji_db::Db;
use toji_hub::statement::Writer;
use toji_testkit::both_databases;
use toji_types::RepoState;
use toji_value::{Value, list, map};

use super::build::{Running, packages};
use super::people::Stage;

/// Below the top directory.
const DIR: &str = "packages/hello/1.0/2/data/attestation";

async fn running(db: Db) -> Running {
    let change = |config: &mut toji_hub::Config| {
        config.disable_notifications = true;
        config.provenance_key = Some("unused".into());
    };
    Running::on(Stage::with(db, change).await).await
}

/// A build that is complete, made in a buildroot with a package of this system and one from elsewhere.
async fn completed(db: Db) -> Running {
    let running = running(db).await;
    let stage = &running.stage;
    let tag = stage.world.tag("f40", &[]).await;
    let repo = stage.world.repo(tag, RepoState::Ready, None).await;
    let args = list![repo, "x86_64", running.task];
    let root = stage.ok(&stage.builder, "host.newBuildRoot", args).await;
    let brmap = map! { running.rpms[0].clone() => root.clone(), running.rpms[1].clone() => root };
    stage.ok(&stage.builder, "host.completeBuild", running.results(brmap)).await;
    running
}

fn writer(running: &Running, seed: u8) -> Writer {
    let key = SigningKey::from_pem(&SigningKey::make(&[seed; 32])).unwrap();
    Writer { hub: running.stage.world.hub.clone(), key: Arc::new(key) }
}

async fn write(running: &Running, seed: u8) -> Writer {
    let writer = writer(running, seed);
    writer.announce().await.unwrap();
    assert!(writer.round().await.unwrap());
    writer
}

async fn get(running: &Running, method: &str) -> Value {
    running.stage.ok(&running.stage.alice, method, list![running.build]).await
}

/// The statement, which one of the keys that the hub names must have signed.
async fn statement(running: &Running) -> (Statement, PublicKey) {
    let answer = get(running, "provenance.get").await;
    let keys = running.stage.ok(&running.stage.alice, "provenance.keys", list![]).await;
    let pem: String =
        keys.as_array().unwrap().iter().map(|key| key.get("pem").as_str().unwrap()).collect();
    let keys = PublicKey::all_from_pem(&pem).unwrap();
    let envelope = Envelope::parse(answer.get("content").as_str().unwrap().as_bytes()).unwrap();
    let (payload, key) = envelope.open(&keys).unwrap();
    assert_eq!(answer.get("keyid"), &key.id().into());
    (Statement::parse(&payload).unwrap(), key)
}

fn sha256(path: &PathBuf) -> String {
    hex::encode(Sha256::digest(fs::read(path).unwrap()))
}

both_databases! {
    async fn tells_of_the_files_and_of_what_they_were_made_with(db: Db) {
        let running = completed(db).await;
        assert_eq!(get(&running, "provenance.get").await, Value::Nil);
        let writer = write(&running, 1).await;
        let (statement, key) = statement(&running).await;
        assert_eq!(key, writer.key.public());

        let mut told: Vec<(String, String)> = statement
            .subject
            .iter()
            .map(|one| (one.name.clone().unwrap(), one.digest["sha256"].clone()))
            .collect();
        told.sort();
        let mut made: Vec<(String, String)> = packages()
            .iter()
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), sha256(path)))
            .collect();
        made.sort();
        assert_eq!(told, made);

        let definition = &statement.predicate.build_definition;
        assert_eq!(definition.external_parameters["method"], "build");
        assert_eq!(definition.external_parameters["source"], "hello.src.rpm");
        assert_eq!(definition.resolved_dependencies[0].uri.as_deref(), Some("git://x#1"));
        assert_eq!(definition.internal_parameters["buildroots"][0]["tag"], "f40");
        let run = &statement.predicate.run_details;
        assert_eq!(run.metadata.tasks[0]["id"], running.task);
        assert!(run.metadata.finished_on.as_deref().unwrap().ends_with('Z'));

        let bill = get(&running, "provenance.sbom").await;
        assert_eq!(bill.get("sha256").as_str(), Some(run.byproducts[0].digest["sha256"].as_str()));
        assert!(bill.get("content").as_str().unwrap().contains("hello-doc-1.0-2.noarch.rpm"));
        let files: Vec<_> = fs::read_dir(running.top(DIR)).unwrap().collect();
        assert_eq!(files.len(), 2, "{files:?}");
    }

    async fn what_could_not_be_written_is_written_later(db: Db) {
        let running = completed(db).await;
        let world = &running.stage.world;
        let rpm = running.top("packages/hello/1.0/2/x86_64/hello-1.0-2.x86_64.rpm");
        let away = running.top("away.rpm");
        fs::rename(&rpm, &away).unwrap();
        write(&running, 1).await;
        assert_eq!(get(&running, "provenance.get").await, Value::Nil);
        let reason = world.get("SELECT reason FROM toji_statement", &[]).await;
        assert!(reason.as_str().unwrap().contains("hello-1.0-2.x86_64.rpm"), "{reason:?}");

        fs::rename(&away, &rpm).unwrap();
        // its time has not come
        write(&running, 1).await;
        assert_eq!(get(&running, "provenance.get").await, Value::Nil);
        world.set("UPDATE toji_statement SET not_before = '2020-01-01 00:00:00+00'", &[]).await;
        // a half written file of a process that ended
        fs::create_dir_all(running.top(DIR)).unwrap();
        fs::write(running.top(DIR).join(".provenance.intoto.jsonl.new"), "{").unwrap();
        write(&running, 1).await;
        assert_eq!(statement(&running).await.0.subject.len(), packages().len());
        assert!(!running.top(DIR).join(".provenance.intoto.jsonl.new").exists());
        assert_eq!(world.get("SELECT reason FROM toji_statement", &[]).await, Value::Nil);
    }

    async fn a_new_key_signs_from_now_on(db: Db) {
        let running = completed(db).await;
        let old = write(&running, 1).await.key.public();
        write(&running, 2).await;
        assert_eq!(statement(&running).await.1, old, "what is written stays as it is");
        let stage = &running.stage;
        stage.refused(&stage.alice, "provenance.renew", list![running.build]).await;
        stage.ok(&stage.admin, "provenance.renew", list![running.build]).await;
        assert!(get(&running, "provenance.get").await.get("due").truthy());
        let new = write(&running, 2).await.key.public();
        assert_eq!(statement(&running).await.1, new);
        let pem = toji_hub::statement::keys_as_pem(&stage.world.hub).await.unwrap();
        assert_eq!(PublicKey::all_from_pem(&pem).unwrap().len(), 2);
    }

    async fn nothing_that_is_uploaded_becomes_a_statement(db: Db) {
        let running = running(db).await;
        let stage = &running.stage;
        let forged = Envelope::sign(b"{}", &writer(&running, 9).key).to_json().unwrap();
        let name = "provenance.intoto.jsonl";
        let dir = running.top("work").join(running.log.rsplit_once('/').unwrap().0);
        fs::write(dir.join(name), &forged).unwrap();
        let upload = format!("{}/{name}", running.log.rsplit_once('/').unwrap().0);
        for place in ["../attestation", "..", "/", "x/../../attestation"] {
            let Value::Array(mut args) = running.results(map! {}) else { unreachable!() };
            args[5] = map! { place => list![&upload] }.into();
            stage.refused(&stage.builder, "host.completeBuild", Value::Array(args)).await;
        }
        let Value::Array(mut args) = running.results(map! {}) else { unreachable!() };
        args[5] = map! { "attestation" => list![&upload] }.into();
        stage.ok(&stage.builder, "host.completeBuild", Value::Array(args)).await;
        assert!(!running.top(DIR).exists());
        assert_eq!(get(&running, "provenance.get").await, Value::Nil);
        write(&running, 1).await;
        statement(&running).await;

        // whoever can write to the files cannot have the hub answer with what it has not written
        fs::write(running.top(DIR).join(name), &forged).unwrap();
        let said = stage.refused(&stage.alice, "provenance.get", list![running.build]).await;
        assert!(said.contains("not the one that was written"), "{said}");
    }

    async fn goes_with_its_build(db: Db) {
        let running = completed(db).await;
        write(&running, 1).await;
        let stage = &running.stage;
        stage.ok(&stage.admin, "resetBuild", list![running.build]).await;
        let rows = stage.world.get("SELECT count(*) FROM toji_statement", &[]).await;
        assert_eq!(rows, Value::Int(0));
        assert!(!running.top(DIR).exists());
        let said = stage.refused(&stage.admin, "provenance.renew", list![running.build]).await;
        assert!(said.contains("not completed under this hub"), "{said}");
        // one without files has nothing to be vouched for
        let args = list!["empty", "1", "1", Value::Nil];
        stage.ok(&stage.admin, "createEmptyBuild", args).await;
        assert!(writer(&running, 1).round().await.unwrap());
    }
}
