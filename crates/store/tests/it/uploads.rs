//! Uploads that go straight to an object store: what tickets allow, and what becomes of what has come.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use toji_store::s3::{Options, S3};
use toji_store::{Area, Error, Incoming, Plan, Step, Store, Volume as _};

use crate::http::Message;
use crate::proxy::Proxy;
use crate::servers::{ALL, Make, Server};
use crate::volumes::{content, noise, with};

/// A top directory with a bucket, and another one in it.
struct Stage {
    _server: Server,
    dir: tempfile::TempDir,
    near: S3,
    other: S3,
    store: Store,
    work: Area,
    count: u8,
}

impl Stage {
    fn new(make: Make) -> Stage {
        let server = Server::start(make);
        let dir = tempfile::tempdir().unwrap();
        let near = server.volume();
        let options = server.options(&server.address);
        let other =
            S3::new(Options { name: "other".into(), prefix: "else/where".into(), ..options });
        let other = other.unwrap();
        let store = Store::new(dir.path(), [near.clone(), other.clone()]);
        let work = Area::new(dir.path().join("work"));
        Stage { _server: server, dir, near, other, store, work, count: 0 }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.dir.path().join(rest)
    }

    fn upload(&mut self, path: &str, bytes: &[u8]) -> Incoming {
        self.count += 1;
        let sha256 = hex::encode(Sha256::digest(bytes));
        let mark = format!("{:032x}", self.count);
        Incoming { path: path.to_owned(), mark, size: bytes.len() as u64, sha256 }
    }

    fn send(&self, upload: &Incoming, bytes: &[u8]) -> Message {
        let ticket = self.near.upload_ticket(upload).unwrap().unwrap();
        with(&ticket.url, "PUT", &ticket.headers, bytes)
    }

    fn stage(&self, upload: &Incoming, overwrite: bool) -> Result<(), Error> {
        self.store.stage(&self.near, &self.work, upload, overwrite)
    }

    /// Uploads whole and well.
    fn bring(&mut self, path: &str, bytes: &[u8]) -> Incoming {
        let upload = self.upload(path, bytes);
        let sent = self.send(&upload, bytes);
        assert_eq!(sent.status, 200, "{}", sent.text());
        self.stage(&upload, false).unwrap();
        upload
    }

    fn step(&self, from: &str, to: &str) -> Step {
        Step { from: self.path("work").join(from), to: self.path(to) }
    }

    fn objects(&self) -> Vec<String> {
        self.near.walk("").unwrap().into_iter().map(|item| item.path).collect()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        let staged = self.store.staged(&self.path("work").join(path)).expect("an upload");
        let mut bytes = Vec::new();
        staged.open().unwrap().0.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

#[test]
fn an_upload_goes_to_its_place_without_a_copy_here() {
    for make in ALL {
        let mut stage = Stage::new(make);
        let bytes = noise(70_000);
        let upload = stage.bring("tasks/1/1/a.rpm", &bytes);
        assert_eq!(stage.read("tasks/1/1/a.rpm"), bytes, "{make:?}");
        let key = format!("work/tasks/1/1/a.rpm/{}.{}", upload.sha256, upload.mark);
        assert_eq!(stage.objects(), std::slice::from_ref(&key), "{make:?}");
        // The answer was lost.
        stage.stage(&upload, false).unwrap();
        assert_eq!(stage.objects(), std::slice::from_ref(&key), "{make:?}");
        let step = stage.step("tasks/1/1/a.rpm", "vol/far/packages/a/1/1/src/a.rpm");
        let (store, stop) = (stage.store.clone(), stage.dir.path().to_owned());
        // Placed and taken back, twice, as recovery may.
        for _ in 0..2 {
            store.place(&step).unwrap();
            store.place(&step).unwrap();
            assert_eq!(stage.objects().len(), 2, "{make:?}");
            store.undo(&step, &stop).unwrap();
            store.undo(&step, &stop).unwrap();
            assert_eq!(stage.objects(), std::slice::from_ref(&key), "{make:?}");
        }
        let plan = Plan { steps: vec![step.clone()], written: Vec::new() };
        store.place_new(&plan, &stop).unwrap();
        // Another upload, the same content: the place is the first one's.
        stage.bring("other/a.rpm", &bytes);
        let second = stage.step("other/a.rpm", "vol/far/packages/a/1/1/src/a.rpm");
        assert!(matches!(store.place(&second), Err(Error::Exists(_))), "{make:?}");
        store.undo(&second, &stop).unwrap();
        assert_eq!(content(&stage.near, "packages/a/1/1/src/a.rpm"), bytes, "{make:?}");
        for _ in 0..2 {
            store.link_back(&step).unwrap();
        }
        assert!(store.staged(&step.from).is_none());
        assert_eq!(content(&stage.near, "packages/a/1/1/src/a.rpm"), bytes, "{make:?}");
        assert!(!stage.objects().contains(&key));
        let mut found = Vec::new();
        store.open_away("work/tasks/1/1/a.rpm").unwrap().unwrap().read_to_end(&mut found).unwrap();
        assert_eq!(found, bytes, "the link leads on");
        let here = stage.work.walk("").unwrap();
        assert!(here.is_empty(), "{make:?}: {here:?}");
        // What the import has left is not replaced.
        let again = stage.upload("tasks/1/1/a.rpm", b"x");
        assert_eq!(stage.send(&again, b"x").status, 200);
        assert!(matches!(stage.stage(&again, true), Err(Error::NotAFile(_))));
    }
}

#[test]
fn an_upload_goes_to_directories_and_other_buckets_too() {
    for make in ALL {
        let mut stage = Stage::new(make);
        let (one, two) = (noise(3000), noise(5000));
        stage.bring("up/one", &one);
        stage.bring("up/two", &two);
        let (store, stop) = (stage.store.clone(), stage.dir.path().to_owned());
        let near = stage.step("up/one", "packages/a/1/1/one");
        let far = stage.step("up/two", "vol/other/packages/a/1/1/two");
        let plan = Plan { steps: vec![near.clone(), far.clone()], written: Vec::new() };
        store.place_new(&plan, &stop).unwrap();
        assert_eq!(std::fs::read(&near.to).unwrap(), one);
        assert_eq!(content(&stage.other, "packages/a/1/1/two"), two, "{make:?}");
        assert!(matches!(store.place_new(&plan, &stop), Err(Error::Exists(_))));
        assert_eq!(std::fs::read(&near.to).unwrap(), one, "another's file stays");
        for step in &plan.steps {
            store.undo(step, &stop).unwrap();
        }
        assert!(!stage.path("packages").exists() && stage.other.walk("").unwrap().is_empty());
        store.place(&near).unwrap();
        std::fs::write(&near.to, "changed by somebody").unwrap();
        store.undo(&near, &stop).unwrap();
        assert!(near.to.exists(), "it is not this step's any more");
        store.place(&near).unwrap();
        store.link_back(&near).unwrap();
        assert_eq!(std::fs::read(stage.path("work/up/one")).unwrap(), one, "through the link");
        assert_eq!(stage.objects().len(), 1);
    }
}

#[test]
fn what_was_not_announced_is_refused_whatever_the_server_does() {
    for make in ALL {
        let mut stage = Stage::new(make);
        let bytes = noise(4000);
        let mut longer = bytes.clone();
        longer.extend(b"and more");
        let wrong: [(&str, &[u8]); 3] =
            [("other", &noise(4000)[1..]), ("short", &bytes[..3999]), ("long", &longer)];
        for (name, sent) in wrong {
            let upload = stage.upload(&format!("up/{name}"), &bytes);
            let answer = stage.send(&upload, sent);
            // moto takes whatever comes.
            assert_eq!(
                answer.status >= 400,
                make == Make::S3s,
                "{make:?} {name}: {}",
                answer.text()
            );
            let refused = stage.stage(&upload, false).unwrap_err();
            let fits = match &refused {
                Error::Length { .. } | Error::Digest { .. } => true,
                other => other.is_missing() && make == Make::S3s,
            };
            assert!(fits, "{make:?} {name}: {refused}");
            assert!(stage.store.staged(&stage.path("work").join(&upload.path)).is_none());
            assert_eq!(stage.objects(), Vec::<String>::new(), "{make:?} {name}");
        }
        // Nothing has come at all.
        let upload = stage.upload("up/none", &bytes);
        assert!(stage.stage(&upload, false).unwrap_err().is_missing());
        // Written once.
        let upload = stage.upload("up/once", &bytes);
        assert_eq!(stage.send(&upload, &bytes).status, 200);
        assert_eq!(stage.send(&upload, &bytes).status, 412, "{make:?}");
        stage.stage(&upload, false).unwrap();
        // The key is free again, but nothing that comes there counts any more.
        stage.send(&upload, b"something else");
        stage.stage(&upload, true).unwrap();
        assert_eq!(stage.read("up/once"), bytes, "{make:?}");
        // Nor where there is a file, unless it may be replaced.
        let next = stage.upload("up/once", b"new");
        assert_eq!(stage.send(&next, b"new").status, 200);
        assert!(matches!(stage.stage(&next, false), Err(Error::Exists(_))), "{make:?}");
        stage.stage(&next, true).unwrap();
        assert_eq!(stage.read("up/once"), b"new");
        assert_eq!(stage.objects().len(), 1, "{make:?}: {:?}", stage.objects());
    }
}

#[test]
fn tickets_are_for_one_path_of_an_upload_and_end() {
    for make in ALL {
        let mut stage = Stage::new(make);
        for path in ["../x", "a/../../x", "/etc/../..", ""] {
            let upload = stage.upload(path, b"x");
            assert!(stage.near.upload_ticket(&upload).is_err(), "{path}");
            assert!(stage.stage(&upload, true).is_err(), "{path}");
        }
        for (mark, sha256) in [("../../packages/x", ""), ("0", ""), ("", "../x")] {
            let mut upload = stage.upload("up/x", b"x");
            if !mark.is_empty() {
                upload.mark = mark.to_owned();
            }
            if !sha256.is_empty() {
                upload.sha256 = sha256.to_owned();
            }
            assert!(
                stage.near.upload_ticket(&upload).is_err() && stage.stage(&upload, true).is_err()
            );
        }
        let long = |stage: &mut Stage, path: &str, size: u64| {
            let upload = Incoming { size, ..stage.upload(path, b"x") };
            stage.near.upload_ticket(&upload).unwrap().err()
        };
        assert_eq!(long(&mut stage, "up/x", 5 << 30), Some("it is too long for one request"));
        assert_eq!(long(&mut stage, "up/x", 0), Some("it is empty"));
        assert_eq!(long(&mut stage, &"x/".repeat(480), 1), Some("its path is too long for a key"));
        // What links lead elsewhere is no upload, and a directory on the way is no link.
        std::fs::create_dir_all(stage.path("work/up")).unwrap();
        let targets = ["../../vol/far/packages/x", "../../vol/far/work/x", "/etc/passwd", "x"];
        for (n, target) in targets.iter().enumerate() {
            let at = stage.path(&format!("work/up/{n}"));
            std::os::unix::fs::symlink(target, &at).unwrap();
            assert!(stage.store.staged(&at).is_none(), "{target}");
        }
        std::os::unix::fs::symlink("/tmp", stage.path("work/out")).unwrap();
        let upload = stage.upload("out/x", b"x");
        assert_eq!(stage.send(&upload, b"x").status, 200);
        assert!(stage.stage(&upload, true).is_err());
        assert!(std::fs::symlink_metadata("/tmp/x").is_err());
        if make == Make::S3s {
            // moto believes every signature at any time.
            let options = stage._server.options(&stage._server.address);
            let over = S3::new(Options { link_lifetime: Duration::ZERO, ..options }).unwrap();
            let ticket = over.upload_ticket(&upload).unwrap().unwrap();
            assert_eq!(with(&ticket.url, "PUT", &ticket.headers, b"x").status, 403);
            let ticket = stage.near.upload_ticket(&upload).unwrap().unwrap();
            let elsewhere = ticket.url.replace("/incoming/", "/packages/");
            assert_eq!(with(&elsewhere, "PUT", &ticket.headers, b"x").status, 403);
            for left in 0..ticket.headers.len() {
                let mut headers = ticket.headers.clone();
                headers.remove(left);
                assert_eq!(with(&ticket.url, "PUT", &headers, b"x").status, 403, "{left}");
            }
        }
    }
}

#[test]
fn what_nobody_needs_goes_by_its_age() {
    for make in ALL {
        let mut stage = Stage::new(make);
        stage.bring("up/kept", b"kept");
        let gone = stage.bring("up/gone", b"gone");
        std::fs::remove_file(stage.path("work/up/gone")).unwrap();
        let never = stage.upload("up/never", b"never");
        assert_eq!(stage.send(&never, b"never").status, 200);
        stage.near.put("packages/a/1/1/x", b"x").unwrap();
        let newest =
            stage.near.walk("").unwrap().into_iter().filter_map(|item| item.modified).max();
        let left = |age: Duration| {
            let before = newest.unwrap() + Duration::from_secs(3600) - age;
            let work = Path::new(stage.work.root());
            let mut left = stage.store.left_uploads(&stage.near, work, before).unwrap();
            left.sort();
            left
        };
        assert_eq!(left(Duration::from_secs(7200)), Vec::<String>::new());
        let wanted = [
            format!("incoming/{}", never.mark),
            format!("work/up/gone/{}.{}", gone.sha256, gone.mark),
        ];
        assert_eq!(left(Duration::ZERO), wanted, "{make:?}");
    }
}

#[test]
fn what_has_come_is_read_once_to_be_taken_over_and_once_to_be_imported() {
    for make in ALL {
        let server = Server::start(make);
        let proxy = Proxy::start(&server.address);
        let dir = tempfile::tempdir().unwrap();
        let far = S3::new(server.options(&proxy.address)).unwrap();
        let store = Store::new(dir.path(), [far.clone()]);
        let work = Area::new(dir.path().join("work"));
        let bytes = noise(3_000_000);
        let sha256 = hex::encode(Sha256::digest(&bytes));
        let (path, mark) = ("up/long".to_owned(), "1".repeat(32));
        let upload = Incoming { path, mark, size: bytes.len() as u64, sha256 };
        let ticket = far.upload_ticket(&upload).unwrap().unwrap();
        assert_eq!(with(&ticket.url, "PUT", &ticket.headers, &bytes).status, 200);
        // Heads and short answers, beside the content.
        let content = bytes.len()..bytes.len() + 100_000;
        let read = || proxy.answered.swap(0, std::sync::atomic::Ordering::Relaxed);
        read();
        store.stage(&far, &work, &upload, false).unwrap();
        let taken = read();
        assert!(content.contains(&taken), "{make:?}: {taken}");
        let staged = store.staged(&dir.path().join("work/up/long")).unwrap();
        std::io::copy(&mut staged.open().unwrap().0, &mut std::io::sink()).unwrap();
        let imported = read();
        assert!(content.contains(&imported), "{make:?}: {imported}");
        let to = dir.path().join("vol").join(far.name()).join("packages/a/1/1/long");
        store.place(&Step { from: dir.path().join("work/up/long"), to }).unwrap();
        let placed = read();
        assert!(placed < 100_000, "{make:?}: {placed}");
        println!("{make:?}: {taken} bytes to take over, {imported} to read, {placed} to place");
    }
}
