//! Who has signed: keys by label, long id and fingerprint, two of the same short id, kinds that are not known,
//! headers that lie, and verification with public keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toji_db::Db;
use toji_rpmfile::{Limits, Package, openpgp, splice};
use toji_testkit::both_databases;
use toji_value::{Args, Fault, Value, list, map};

use super::fixture::{header, import, imported, named, packages, top};
use super::people::Stage;

pub(super) const RPM: &str = "shelf-1.0-1.x86_64";

/// Runs gpg in the home of this file's keys.
pub(super) fn gpg(home: &Path, args: &[&str]) -> Vec<u8> {
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]);
    let out = gpg.arg("--homedir").arg(home).args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

/// A key of gpg's: its home, its fingerprint and the armored public key.
pub(super) struct Key {
    home: tempfile::TempDir,
    pub(super) print: String,
    pub(super) public: String,
}

impl Key {
    pub(super) fn make(algorithm: &str) -> Key {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        gpg(home.path(), &["--quick-gen-key", "tester", algorithm, "sign", "never"]);
        let listing = gpg(home.path(), &["--with-colons", "--list-keys"]);
        let listing = String::from_utf8(listing).unwrap();
        let line = listing.lines().find(|line| line.starts_with("fpr:")).unwrap();
        let print = line.split(':').nth(9).unwrap().to_lowercase();
        let public = String::from_utf8(gpg(home.path(), &["--armor", "--export"])).unwrap();
        Key { home, print, public }
    }

    pub(super) fn id(&self) -> &str {
        &self.print[24..]
    }

    /// A detached signature, one packet.
    pub(super) fn sign(&self, data: &[u8]) -> Vec<u8> {
        let (file, out) = (self.home.path().join("data"), self.home.path().join("data.sig"));
        fs::write(&file, data).unwrap();
        let _ = fs::remove_file(&out);
        let (file, to) = (file.to_str().unwrap(), out.to_str().unwrap());
        gpg(self.home.path(), &["--detach-sign", "--output", to, file]);
        fs::read(out).unwrap()
    }
}

/// Two keys, made once.
pub(super) fn keys() -> &'static [Key; 2] {
    static KEYS: OnceLock<[Key; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [Key::make("ed25519"), Key::make("nistp256")])
}

pub(super) fn package(path: &Path) -> Package {
    Package::parse(&fs::read(path).unwrap(), &Limits::default()).unwrap()
}

fn plain() -> PathBuf {
    named(&packages().plain, "shelf-1.0-1.x86_64.rpm").to_owned()
}

/// The package's signature header with this packet in it, in base64.
pub(super) fn with(packet: &[u8]) -> Value {
    let package = package(&plain());
    let header = splice::sign(package.signature(), packet, &Limits::default()).unwrap();
    STANDARD.encode(header).into()
}

/// A version 4 packet whose claims are free and whose signature is nonsense.
fn forged(algorithm: u8, print: &[u8; 20]) -> Vec<u8> {
    let mut hashed = vec![5, 2, 0x65, 0, 0, 0, 22, 33, 4];
    hashed.extend(print);
    let mut body = vec![4, 0, algorithm, 8, 0, u8::try_from(hashed.len()).unwrap()];
    body.extend(hashed);
    body.extend([0, 10, 9, 16]);
    body.extend(&print[12..]);
    body.extend([0xab, 0xcd, 0, 8, 1]);
    let mut packet = vec![0xc2, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    packet
}

/// A fingerprint with this end.
fn print(first: u8, id: [u8; 8]) -> [u8; 20] {
    let mut print = [first; 20];
    print[12..].copy_from_slice(&id);
    print
}

async fn labels(stage: &Stage, key: &str) -> Vec<String> {
    let found = stage.ok(&stage.alice, "queryRPMSigs", list![RPM, key]).await;
    let found = found.as_array().unwrap().iter();
    let mut labels: Vec<String> = found.map(|sig| sig.get("sigkey").display()).collect();
    labels.sort();
    labels
}

async fn listed(stage: &Stage, key: &str) -> Vec<Value> {
    let found = stage.ok(&stage.alice, "signatures.list", list![RPM, key]).await;
    found.as_array().unwrap().to_vec()
}

pub(super) async fn add(stage: &Stage, header: Value, label: Option<&str>) -> Result<Value, Fault> {
    let keywords = label.map_or_else(|| map! {}, |label| map! { "sigkey" => label });
    let args = Args { positional: vec![RPM.into(), header], keywords };
    stage.world.hub.call(&stage.admin, "addRPMSig", args).await
}

both_databases! {
    async fn a_signature_is_found_by_label_id_and_fingerprint(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let key = &keys()[0];
        let packet = key.sign(package(&plain()).header().as_bytes());
        add(&stage, with(&packet), Some("Release-2026")).await.unwrap();
        let signed = named(&packages().signed, "shelf-1.0-1.x86_64.rpm");
        add(&stage, header(signed), None).await.unwrap();
        for name in ["release-2026", "RELEASE-2026", key.id(), &key.print, &key.print.to_uppercase()] {
            assert_eq!(labels(&stage, name).await, ["release-2026"], "{name}");
            let found = listed(&stage, name).await;
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!(found[0].get("key_id"), &Value::from(key.id()));
            assert_eq!(found[0].get("fingerprint"), &Value::from(&key.print));
            assert_eq!(found[0].get("slot"), &Value::from("dsaheader"));
            assert_eq!(found[0].get("algorithm"), &Value::Int(22));
        }
        // eight digits are a label for Koji's call, and more for ours
        let short = &key.print[32..];
        assert!(labels(&stage, short).await.is_empty());
        assert_eq!(listed(&stage, short).await.len(), 1);
        assert_eq!(labels(&stage, &packages().key).await, [packages().key.as_str()]);
        assert!(listed(&stage, "0123456789abcdef").await.is_empty());
        // an import enters its signature too
        let other = imported_signed(&stage).await;
        assert!(other.iter().any(|sig| sig.get("key_id").display().ends_with(&packages().key)));
        // the copy of a key that is named by its fingerprint
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, key.print.as_str()]).await;
        let copy = top(&stage, &format!("packages/shelf/1.0/1/data/signed/release-2026/x86_64/{RPM}.rpm"));
        assert_eq!(package(&copy).signature_bytes(), STANDARD.decode(with(&packet).as_str().unwrap()).unwrap());
        let all = stage.refused(&stage.alice, "signatures.list", list![]).await;
        assert_eq!(all, "either an RPM or a key must be given");
        // under a second label it is ambiguous by its key, and by its label it is not
        add(&stage, with(&packet), Some("again")).await.unwrap();
        let both = stage.refused(&stage.admin, "writeSignedRPM", list![RPM, key.id()]).await;
        assert_eq!(both, format!("{RPM} has several signatures of key {}: again, release-2026", key.id()));
        stage.ok(&stage.admin, "writeSignedRPM", list![RPM, "again"]).await;
        stage.ok(&stage.admin, "renameRPMSig", list![RPM, "again", "renamed"]).await;
        assert_eq!(labels(&stage, key.id()).await, ["release-2026", "renamed"]);
        stage.ok(&stage.admin, "deleteRPMSig", list![RPM, key.print.as_str()]).await;
        assert!(listed(&stage, &key.print).await.is_empty());
        assert!(!copy.exists());
    }

    async fn two_keys_with_the_same_short_id_are_told_apart(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let first = print(1, [1, 2, 3, 4, 0xaa, 0xbb, 0xcc, 0xdd]);
        let second = print(2, [5, 6, 7, 8, 0xaa, 0xbb, 0xcc, 0xdd]);
        // the same long id too
        let third = print(3, [5, 6, 7, 8, 0xaa, 0xbb, 0xcc, 0xdd]);
        for (print, label) in [(&first, "aabbccdd"), (&second, "05060708aabbccdd"), (&third, &hex::encode(third))] {
            add(&stage, with(&forged(1, print)), None).await.unwrap();
            let print = hex::encode(print);
            assert_eq!(labels(&stage, &print).await, [label]);
        }
        let again = add(&stage, with(&forged(1, &first)), None).await.unwrap_err();
        assert_eq!(again.message, format!("Signature already exists for package {RPM}, key aabbccdd"));
        assert_eq!(labels(&stage, "aabbccdd").await, ["aabbccdd"]);
        assert_eq!(listed(&stage, "aabbccdd").await.len(), 3);
        assert_eq!(labels(&stage, "01020304aabbccdd").await, ["aabbccdd"]);
        assert_eq!(labels(&stage, "05060708aabbccdd").await.len(), 2);
        // of the header that another hub has imported the key is read from the file
        stage.world.set("DELETE FROM toji_rpmsig", &[]).await;
        let again = add(&stage, with(&forged(1, &second)), None).await.unwrap_err();
        assert!(again.message.ends_with("key 05060708aabbccdd"), "{again}");
    }

    async fn unknown_kinds_are_kept_as_they_are(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let header = |packets: &[&[u8]]| {
            use toji_rpmgen::craft::{Value as Raw, header};
            let package = package(&plain());
            let md5 = package.sigmd5().unwrap().to_vec();
            let texts = packets.iter().map(|packet| openpgp::encode_base64(packet));
            let mut bytes = header(&[(1004, Raw::Bin(md5)), (278, Raw::strs(texts))], Some(62));
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            bytes
        };
        // a packet of a version to come, and beside it one by an algorithm that nobody knows
        let strange: &[u8] = &[0xc2, 3, 9, 1, 2];
        let new = forged(99, &print(7, [9; 8]));
        let bytes = header(&[strange, &new]);
        add(&stage, STANDARD.encode(&bytes).into(), None).await.unwrap();
        assert_eq!(labels(&stage, "unknown").await, ["unknown"]);
        let found = listed(&stage, "unknown").await;
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].get("version"), found[0].get("key_id")), (&Value::Nil, &Value::Nil));
        assert_eq!(found[1].get("algorithm"), &Value::Int(99));
        assert_eq!(labels(&stage, &"09".repeat(8)).await, ["unknown"]);
        let kept = top(&stage, &format!("packages/shelf/1.0/1/data/sigcache/unknown/x86_64/{RPM}.rpm.sig"));
        assert!(fs::read(kept).unwrap() == bytes, "the header is kept byte by byte");
        let states = stage.ok(&stage.alice, "signatures.verify", list![RPM]).await;
        let states: Vec<String> =
            states.as_array().unwrap().iter().map(|one| one.get("state").display()).collect();
        assert_eq!(states, ["unknown", "nokey"]);
    }

    async fn packages_of_rpm_6_have_any_number_of_signatures(db: Db) {
        let stage = Stage::new(db).await;
        let dir = stage.dir.path().join("work/up");
        fs::create_dir_all(&dir).unwrap();
        let bytes = toji_rpmgen::signed::rpm6("six").unwrap();
        fs::write(dir.join("six-1.0-1.noarch.rpm"), &bytes).unwrap();
        stage.ok(&stage.admin, "createEmptyBuild", list!["six", "1.0", "1", Value::Nil]).await;
        stage.ok(&stage.admin, "importRPM", list!["up", "six-1.0-1.noarch.rpm"]).await;
        let plain = Package::parse(&bytes, &Limits::default()).unwrap();
        let mut header = plain.signature().clone();
        let mut sighdr = Vec::new();
        for key in keys() {
            let packet = key.sign(plain.header().as_bytes());
            sighdr = splice::sign(&header, &packet, &Limits::default()).unwrap();
            header = splice::parse_signature(&sighdr, &Limits::default()).unwrap();
            stage.ok(&stage.admin, "keys.add", list![key.public.as_str()]).await;
        }
        let rpm = "six-1.0-1.noarch";
        stage.ok(&stage.admin, "addRPMSig", list![rpm, STANDARD.encode(&sighdr)]).await;
        let label = &keys()[0].print[32..];
        for key in keys() {
            for name in [key.id(), &key.print] {
                let found = stage.ok(&stage.alice, "queryRPMSigs", list![rpm, name]).await;
                assert_eq!(found.as_array().unwrap()[0].get("sigkey"), &Value::from(label));
                let found = stage.ok(&stage.alice, "signatures.list", list![rpm, name]).await;
                assert_eq!(found.as_array().unwrap().len(), 1, "of the other key nothing is told");
                assert_eq!(found.as_array().unwrap()[0].get("slot"), &Value::from("openpgp"));
            }
        }
        stage.ok(&stage.admin, "writeSignedRPM", list![rpm, keys()[1].print.as_str()]).await;
        let copy = top(&stage, &format!("packages/six/1.0/1/data/signed/{label}/noarch/{rpm}.rpm"));
        let mut joined = Vec::new();
        splice::replace_signature(&sighdr, bytes.as_slice(), &mut joined, &Limits::default()).unwrap();
        assert!(fs::read(copy).unwrap() == joined);
        let states = stage.ok(&stage.alice, "signatures.verify", list![rpm, label]).await;
        let states = states.as_array().unwrap();
        assert_eq!(states.len(), 2);
        assert!(states.iter().all(|one| one.get("state") == &Value::from("good")));
        // the header of another package of this format, which has no MD5
        let other = toji_rpmgen::signed::rpm6("other").unwrap();
        let other = Package::parse(&other, &Limits::default()).unwrap().signature_bytes();
        let refused = stage.refused(&stage.admin, "addRPMSig", list![rpm, STANDARD.encode(other)]).await;
        assert_eq!(refused, format!("wrong header digest for {rpm}"));
    }

    async fn headers_that_lie_are_refused(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let good = STANDARD.decode(with(&keys()[0].sign(b"x")).as_str().unwrap()).unwrap();
        for len in [0, 3, 15, 16, 40, good.len() - 9] {
            let cut = STANDARD.encode(&good[..len]);
            add(&stage, cut.into(), Some("cut")).await.unwrap_err();
        }
        // more entries and more data than there are, an offset that leads out of it
        for (at, byte) in [(11, 0xff), (8, 0x7f), (12, 0x7f), (24, 0x7f)] {
            let mut wrong = good.clone();
            wrong[at] = byte;
            add(&stage, STANDARD.encode(wrong).into(), Some("lie")).await.unwrap_err();
        }
        let other = named(&packages().signed, "shelf-doc-1.0-1.noarch.rpm");
        let wrong = add(&stage, header(other), Some("other")).await.unwrap_err();
        assert!(wrong.message.starts_with(&format!("wrong md5 for {RPM}: ")), "{wrong}");
        assert_eq!(labels(&stage, "cut").await.len() + labels(&stage, "lie").await.len(), 0);
        let left = top(&stage, "packages/shelf/1.0/1/data/sigcache");
        let left: Vec<String> = fs::read_dir(left)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("cut") || name.contains("lie") || name.contains("other"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    async fn only_what_verifies_is_accepted_where_that_is_wanted(db: Db) {
        let stage = Stage::with(db, |config| {
            config.disable_notifications = true;
            config.verify_signatures = true;
        })
        .await;
        import(&stage, &packages().plain).await;
        let [key, other] = keys();
        let packet = key.sign(package(&plain()).header().as_bytes());
        let nokey = add(&stage, with(&packet), None).await.unwrap_err();
        let text = format!("Signature of {RPM} does not verify: dsaheader of {}: nokey", key.print);
        assert_eq!(nokey.message, text);
        let refused = stage.refused(&stage.alice, "keys.add", list![key.public.as_str()]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        let wrong = stage.refused(&stage.admin, "keys.add", list!["bm8ga2V5"]).await;
        assert!(wrong.starts_with("Invalid public key: "), "{wrong}");
        for key in keys() {
            let added = stage.ok(&stage.admin, "keys.add", list![key.public.as_str()]).await;
            assert_eq!(added.get("fingerprint"), &Value::from(&key.print));
            assert_eq!(added.get("name"), &Value::from("tester"));
        }
        let known = stage.ok(&stage.alice, "keys.list", list![key.id(), true]).await;
        assert_eq!(known.as_array().unwrap().len(), 1);
        assert!(known.as_array().unwrap()[0].get("data").display().contains("BEGIN PGP PUBLIC KEY"));
        // of another content, and by a key that says to be another
        let elsewhere = other.sign(b"something else");
        let bad = add(&stage, with(&elsewhere), None).await.unwrap_err();
        assert!(bad.message.ends_with("the signature is wrong"), "{bad}");
        let mut print = [0; 20];
        print.copy_from_slice(&hex::decode(&key.print).unwrap());
        let forged = add(&stage, with(&forged(22, &print)), None).await.unwrap_err();
        assert!(forged.message.contains("does not verify"), "{forged}");
        add(&stage, with(&packet), None).await.unwrap();
        add(&stage, with(&other.sign(package(&plain()).header().as_bytes())), None).await.unwrap();
        let states = stage.ok(&stage.alice, "signatures.verify", list![RPM]).await;
        let mut prints: Vec<String> = Vec::new();
        for one in states.as_array().unwrap() {
            assert_eq!(one.get("state"), &Value::from("good"), "{}", one.repr());
            prints.push(one.get("key").display());
        }
        prints.sort();
        let mut wanted = [key.print.clone(), other.print.clone()];
        wanted.sort();
        assert_eq!(prints, wanted);
        // what the store has is looked at, and no recollection of it
        let file = top(&stage, &format!("packages/shelf/1.0/1/data/sigcache/{}/x86_64/{RPM}.rpm.sig", &key.print[32..]));
        fs::remove_file(&file).unwrap();
        let gone = stage.ok(&stage.alice, "signatures.verify", list![RPM, key.print.as_str()]).await;
        assert_eq!(gone.as_array().unwrap()[0].get("state"), &Value::from("missing"));
        stage.ok(&stage.admin, "keys.remove", list![other.print.as_str()]).await;
        let gone = stage.ok(&stage.alice, "signatures.verify", list![RPM, other.id()]).await;
        assert_eq!(gone.as_array().unwrap()[0].get("state"), &Value::from("nokey"));
        let none = stage.refused(&stage.admin, "keys.remove", list![other.print.as_str()]).await;
        assert_eq!(none, format!("No such key: {}", other.print));
    }

    async fn what_another_hub_has_imported_is_looked_at_later(db: Db) {
        let stage = imported(db, &packages().plain).await;
        let key = &keys()[0];
        let packet = key.sign(package(&plain()).header().as_bytes());
        for label in ["one", "two", "three"] {
            add(&stage, with(&packet), Some(label)).await.unwrap();
        }
        stage.world.set("DELETE FROM toji_rpmsig", &[]).await;
        assert!(labels(&stage, &key.print).await.is_empty());
        let path = |label: &str| {
            top(&stage, &format!("packages/shelf/1.0/1/data/sigcache/{label}/x86_64/{RPM}.rpm.sig"))
        };
        fs::write(path("two"), "damaged").unwrap();
        let refused = stage.refused(&stage.alice, "signatures.index", list![]).await;
        assert_eq!(refused, "admin permission required (logged in as alice)");
        let (mut after, mut read, mut missing, mut rounds) = (Value::Nil, 0, Vec::new(), 0);
        loop {
            let done = stage.ok(&stage.admin, "signatures.index", list![after.clone(), 2]).await;
            read += done.get("read").as_int().unwrap();
            missing.extend(done.get("missing").as_array().unwrap().to_vec());
            rounds += 1;
            after = done.get("after").clone();
            if after.is_nil() {
                break;
            }
        }
        assert_eq!((read, missing.len(), rounds), (2, 1, 2));
        assert_eq!(missing[0].as_array().unwrap()[1], Value::from("two"));
        assert_eq!(labels(&stage, &key.print).await, ["one", "three"]);
    }
}

/// The signatures of a package of this stage that came with one.
async fn imported_signed(stage: &Stage) -> Vec<Value> {
    let found = stage.ok(&stage.alice, "signatures.list", list![RPM]).await;
    found.as_array().unwrap().to_vec()
}
