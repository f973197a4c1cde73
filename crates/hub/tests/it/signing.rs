//! Signers outside: jobs are asked for, taken, done, given up, taken over, and nothing but good signatures is stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_db::Db;
use toji_hub::Request;
use toji_testkit::both_databases;
use toji_value::{Value, list, map};

use super::fixture::{imported, named, packages, top};
use super::people::{Stage, login};
use super::signer::{RPM, keys, package};

/// A stage with the packages, a public key, and bob, who is a signer.
async fn stage(db: Db) -> (Stage, Request) {
    let stage = imported(db, &packages().plain).await;
    stage.ok(&stage.admin, "keys.add", list![keys()[0].public.as_str()]).await;
    let args = list!["bob", "signer"];
    stage.ok(&stage.admin, "createUser", list!["bob"]).await;
    stage.ok_kw(&stage.admin, "grantPermission", args, map! { "create" => true }).await;
    let mut call = stage.world.call().await;
    toji_db::setup::set_password(&mut call.tx, "bob", "secret").await.unwrap();
    call.commit().await.unwrap();
    let bob = login(&stage.world, "bob").await;
    (stage, bob)
}

/// Signs what a job is about.
async fn signature(stage: &Stage, bob: &Request, job: &Value) -> Value {
    let held = list![job.get("id").clone(), job.get("turn").clone()];
    let header = stage.ok(bob, "signing.header", held).await;
    let header = STANDARD.decode(header.as_str().unwrap()).unwrap();
    assert_eq!(Value::Int(header.len() as i64), *job.get("header_size"));
    STANDARD.encode(keys()[0].sign(&header)).into()
}

async fn take(stage: &Stage, who: &Request, limit: i64) -> Vec<Value> {
    let prints = list![keys()[0].print.to_uppercase()];
    let jobs = stage.ok(who, "signing.take", list![prints, limit]).await;
    jobs.as_array().unwrap().to_vec()
}

async fn states(stage: &Stage) -> Vec<String> {
    let jobs = stage.ok(&stage.alice, "signing.list", list![]).await;
    let jobs = jobs.as_array().unwrap().iter();
    jobs.map(|job| format!("{} {}", job.get("nvra").display(), job.get("state").display()))
        .collect()
}

both_databases! {
    async fn a_build_is_signed(db: Db) {
        let (stage, bob) = stage(db).await;
        let key = &keys()[0];
        let ask = list!["shelf-1.0-1", key.id()];
        let refused = stage.refused(&stage.alice, "signing.request", ask.clone()).await;
        assert!(refused.contains("Only admin/sign can do this via default policy"), "{refused}");
        let unknown = stage.refused(&stage.admin, "signing.request", list!["shelf-1.0-1", "00000000"]).await;
        assert_eq!(unknown, "No such key: 00000000");
        let jobs = stage.ok(&stage.admin, "signing.request", ask.clone()).await;
        assert_eq!(jobs.as_array().unwrap().len(), 3);
        // what waits is not asked for twice
        assert_eq!(stage.ok(&stage.admin, "signing.request", ask.clone()).await, list![]);
        let refused = stage.refused(&stage.alice, "signing.take", list![list![key.print.as_str()]]).await;
        assert_eq!(refused, "signer permission required (logged in as alice)");
        let none = stage.ok(&bob, "signing.take", list![list!["00"], 5]).await;
        assert_eq!(none, list![]);
        let taken = take(&stage, &bob, 5).await;
        assert_eq!(taken.len(), 3);
        assert!(take(&stage, &bob, 5).await.is_empty());
        for job in &taken {
            let signature = signature(&stage, &bob, job).await;
            let args = list![job.get("id").clone(), job.get("turn").clone(), signature.clone()];
            let label = stage.ok(&bob, "signing.submit", args.clone()).await;
            assert_eq!(label, Value::from(&key.print[32..]));
            let again = stage.refused(&bob, "signing.submit", args).await;
            assert_eq!(again, format!("Job {} is not yours", job.get("id").display()));
        }
        assert!(states(&stage).await.iter().all(|state| state.ends_with(" done")));
        let copy = top(&stage, &format!("packages/shelf/1.0/1/data/signed/{}/x86_64/{RPM}.rpm", &key.print[32..]));
        let (copy, plain) = (package(&copy), package(named(&packages().plain, "shelf-1.0-1.x86_64.rpm")));
        assert_eq!(copy.header().as_bytes(), plain.header().as_bytes());
        let good = stage.ok(&stage.alice, "signatures.verify", list![RPM, key.id()]).await;
        assert_eq!(good.as_array().unwrap()[0].get("state"), &Value::from("good"));
        // what the key has signed is not asked for again
        assert_eq!(stage.ok(&stage.admin, "signing.request", ask).await, list![]);
    }

    async fn nothing_but_good_signatures_is_stored(db: Db) {
        let (stage, bob) = stage(db).await;
        let [key, other] = keys();
        stage.ok(&stage.admin, "keys.add", list![other.public.as_str()]).await;
        let ask = map! { "key" => key.print.as_str(), "rpms" => list![RPM], "label" => "Ours" };
        stage.ok_kw(&stage.admin, "signing.request", list![], ask.clone()).await;
        let job = take(&stage, &bob, 1).await.remove(0);
        let (id, turn) = (job.get("id").clone(), job.get("turn").clone());
        let held = list![id.clone(), turn.clone()];
        let header = stage.ok(&bob, "signing.header", held).await;
        let header = STANDARD.decode(header.as_str().unwrap()).unwrap();
        let encoded = |bytes: &[u8]| Value::from(STANDARD.encode(bytes));
        let good = key.sign(&header);
        let mut broken = good.clone();
        *broken.last_mut().unwrap() ^= 1;
        for (what, wrong) in [
            ("another content", key.sign(b"something else")),
            ("another key that is known", other.sign(&header)),
            ("a changed bit", broken),
            ("two signatures", [good.clone(), good.clone()].concat()),
            ("half a signature", good[..good.len() / 2].to_vec()),
            ("nothing", Vec::new()),
        ] {
            let args = list![id.clone(), turn.clone(), encoded(&wrong)];
            let refused = stage.refused(&bob, "signing.submit", args).await;
            assert!(refused.contains("does not verify"), "{what}: {refused}");
        }
        // of another turn, and by another signer
        let late = list![id.clone(), 7, encoded(&good)];
        let not_yours = format!("Job {} is not yours", id.display());
        assert_eq!(stage.refused(&bob, "signing.submit", late).await, not_yours);
        let args = list![id.clone(), turn.clone(), encoded(&good)];
        assert_eq!(stage.refused(&stage.admin, "signing.submit", args.clone()).await, not_yours);
        assert_eq!(stage.refused(&stage.admin, "signing.header", list![id.clone(), turn.clone()]).await, not_yours);
        let found = stage.ok(&stage.alice, "queryRPMSigs", list![RPM]).await;
        assert_eq!(found.as_array().unwrap().len(), 1, "only the header without a signature");
        assert_eq!(stage.ok(&bob, "signing.submit", args).await, Value::from("ours"));
        assert!(top(&stage, &format!("packages/shelf/1.0/1/data/signed/ours/x86_64/{RPM}.rpm")).is_file());
        let lead = map! { "key" => key.print.as_str(), "rpms" => list![RPM], "label" => "../x" };
        let args = toji_value::Args { positional: vec![], keywords: lead };
        stage.world.hub.call(&stage.admin, "signing.request", args).await.unwrap_err();
    }

    async fn jobs_are_given_up_taken_over_and_cancelled(db: Db) {
        let (stage, bob) = stage(db).await;
        let ask = map! { "key" => keys()[0].print.as_str(), "rpms" => list![RPM] };
        stage.ok_kw(&stage.admin, "signing.request", list![], ask.clone()).await;
        let first = take(&stage, &bob, 1).await.remove(0);
        // the first signer is gone: after its time another one gets it, and what the first one still says is not heard
        assert!(take(&stage, &stage.admin, 1).await.is_empty());
        stage.world.set("UPDATE toji_signing SET lease = toji_ago(1000000000.0)", &[]).await;
        let second = take(&stage, &stage.admin, 1).await.remove(0);
        assert_eq!(first.get("id"), second.get("id"));
        let args = list![first.get("id").clone(), first.get("turn").clone(), "cannot"];
        stage.refused(&bob, "signing.fail", args).await;
        let args = list![second.get("id").clone(), second.get("turn").clone(), "the token is locked"];
        stage.ok(&stage.admin, "signing.fail", args).await;
        let jobs = stage.ok(&stage.alice, "signing.list", list!["failed", RPM]).await;
        assert_eq!(jobs.as_array().unwrap()[0].get("reason"), &Value::from("the token is locked"));
        // it may be asked for again, and cancelled
        let again = stage.ok_kw(&stage.admin, "signing.request", list![], ask).await;
        let id = again.as_array().unwrap()[0].clone();
        let refused = stage.refused(&stage.alice, "signing.cancel", list![id.clone()]).await;
        assert_eq!(refused, "sign permission required (logged in as alice)");
        stage.ok(&stage.admin, "signing.cancel", list![id.clone()]).await;
        let ended = stage.refused(&stage.admin, "signing.cancel", list![id.clone()]).await;
        assert_eq!(ended, format!("Job {} is canceled", id.display()));
        assert!(take(&stage, &bob, 5).await.is_empty());
    }
}
