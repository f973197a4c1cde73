//! What holds of a volume in an object store, whoever made the server.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use toji_store::s3::{S3, Way};
use toji_store::{Algorithm, Content, Error, Item, Kind, Plan, Step, Store, Volume as _};

use crate::http::{Message, header, send};
use crate::servers::{ALL, Make, Server};

/// Bytes that do not repeat soon.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(step).take(length).collect()
}

pub(crate) fn content(volume: &S3, path: &str) -> Vec<u8> {
    let mut found = Vec::new();
    volume.reader(path).unwrap().read_to_end(&mut found).unwrap();
    found
}

fn paths(items: &[Item]) -> Vec<&str> {
    items.iter().map(|item| item.path.as_str()).collect()
}

#[test]
fn objects_are_files_of_a_volume() {
    for make in ALL {
        let server = Server::start(make);
        let volume = server.volume();
        volume.reach().unwrap();
        assert_eq!(volume.item("").unwrap().unwrap().kind, Kind::Dir);
        assert_eq!(volume.item("packages").unwrap(), None, "{make:?}");
        assert!(volume.reader("packages").unwrap_err().is_missing());
        volume.put("packages/a/1/1/x.rpm", b"one").unwrap();
        volume.put("packages/a/1/1/data/logs/build.log", b"log").unwrap();
        volume.put("packages/a/1/10/y.rpm", b"other").unwrap();
        let found = volume.walk("packages/a/1/1").unwrap();
        let wanted = ["packages/a/1/1/data/logs/build.log", "packages/a/1/1/x.rpm"];
        assert_eq!(paths(&found), wanted, "{make:?}: and not those of release 10");
        assert_eq!(found[1].size, 3);
        assert!(found[1].modified.is_some());
        let listed = volume.list("packages/a/1/1").unwrap();
        assert_eq!(paths(&listed), ["packages/a/1/1/data", "packages/a/1/1/x.rpm"]);
        assert_eq!(listed[0].kind, Kind::Dir);
        assert_eq!(volume.item("packages/a/1").unwrap().unwrap().kind, Kind::Dir);
        assert_eq!(volume.item("packages/a/1/1/x.rpm").unwrap().unwrap().kind, Kind::File);
        assert!(volume.list("none").unwrap().is_empty());
        for bad in ["../x", "/etc/passwd", "a/../../b", "a\nb"] {
            assert!(volume.item(bad).is_err(), "{bad}");
            assert!(volume.put(bad, b"").is_err(), "{bad}");
        }
        volume.remove("packages/a/1/1").unwrap();
        assert_eq!(volume.item("packages/a/1/1").unwrap(), None);
        assert_eq!(content(&volume, "packages/a/1/10/y.rpm"), b"other", "{make:?}");
        volume.remove("packages/a/1/1").unwrap();
        assert!(volume.remove("").is_err(), "never everything");
    }
}

#[test]
fn names_are_kept_as_they_are() {
    for make in ALL {
        let volume = Server::start(make);
        let (volume, _server) = (volume.volume(), volume);
        for name in ["a+b-1.0~rc1^git20.fc40.x86_64.rpm", "per%20cent", "two words", "ünï#?&=.txt"]
        {
            let path = format!("packages/n/{name}");
            volume.put(&path, name.as_bytes()).unwrap();
            assert_eq!(content(&volume, &path), name.as_bytes(), "{make:?}");
            assert_eq!(volume.list("packages/n").unwrap()[0].path, path);
            volume.remove(&path).unwrap();
        }
    }
}

#[test]
fn what_is_new_stays_and_is_read_by_ranges() {
    for make in ALL {
        let server = Server::start(make);
        let volume = server.volume();
        let long = noise((12 << 20) + 5);
        for (name, bytes) in [("short", &long[..100]), ("long", &long[..]), ("empty", &[])] {
            volume.upload(name, &mut Cursor::new(bytes), Way::New, "mine").unwrap();
            // The same writing again, whose answer may have been lost.
            volume.upload(name, &mut Cursor::new(bytes), Way::New, "mine").unwrap();
            let other = volume.upload(name, &mut Cursor::new(b"other"), Way::New, "theirs");
            assert!(matches!(other, Err(Error::Exists(_))), "{make:?} {name}: {other:?}");
            assert!(content(&volume, name) == bytes, "{make:?} {name}");
            assert!(volume.has_mark(name, "mine").unwrap());
            assert!(!volume.has_mark(name, "theirs").unwrap());
            volume.upload(name, &mut Cursor::new(b"other"), Way::Replace, "theirs").unwrap();
            assert_eq!(content(&volume, name), b"other");
            volume.upload(name, &mut Cursor::new(bytes), Way::Replace, "").unwrap();
        }
        let mut reader = volume.reader("long").unwrap();
        let mut some = [0; 1000];
        for at in [0, 300_000, 12 << 20, 1, (12 << 20) - 995, 5 << 20] {
            reader.seek(SeekFrom::Start(at as u64)).unwrap();
            let length = some.len().min(long.len() - at);
            reader.read_exact(&mut some[..length]).unwrap();
            assert!(some[..length] == long[at..at + length], "{make:?} at {at}");
        }
        assert!(reader.seek(SeekFrom::Current(-1 << 40)).is_err());
        reader.seek(SeekFrom::End(5)).unwrap();
        assert_eq!(reader.read(&mut some).unwrap(), 0);
        let mut reader = volume.reader("long").unwrap();
        reader.read_exact(&mut some).unwrap();
        volume.upload("long", &mut Cursor::new(&long[1..]), Way::Replace, "").unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("replaced"), "{make:?}: {error}");
        volume.copy("long", "copy/of it").unwrap();
        assert!(content(&volume, "copy/of it") == long[1..]);
        assert!(volume.copy("none", "x").unwrap_err().is_missing());
    }
}

/// The host and the rest of a URL.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    rest.split_at(rest.find('/').unwrap())
}

pub(crate) fn with(url: &str, method: &str, headers: &[(String, String)], body: &[u8]) -> Message {
    let (host, target) = parts(url);
    send(host, method, target, headers, body)
}

#[test]
fn links_let_others_read_and_write_once() {
    for make in ALL {
        let server = Server::start(make);
        let volume = server.volume();
        let bytes = noise(70_000);
        let digest = hex::encode(Sha256::digest(&bytes));
        let ticket = volume.ticket("work/up/load", &digest, "mine").unwrap();
        assert!(!format!("{ticket:?}").contains("Signature"));
        let wrong = with(&ticket.url, "PUT", &ticket.headers, b"something else");
        // moto does not compare checksums, and s3s-fs refuses what it has written: what came is read before it counts.
        assert!(make == Make::Moto || wrong.status >= 400, "{} {}", wrong.status, wrong.text());
        volume.remove("work/up/load").unwrap();
        assert_eq!(volume.item("work/up/load").unwrap(), None, "{make:?}");
        let sent = with(&ticket.url, "PUT", &ticket.headers, &bytes);
        assert_eq!(sent.status, 200, "{make:?}: {}", sent.text());
        let again = with(&ticket.url, "PUT", &ticket.headers, &bytes);
        assert_eq!(again.status, 412, "{make:?}: {}", again.text());
        assert!(volume.has_mark("work/up/load", "mine").unwrap(), "{make:?}");
        let link = volume.link_to("work/up/load").unwrap();
        let whole = with(&link, "GET", &[], b"");
        assert!(whole.status == 200 && whole.body == bytes, "{make:?}: {}", whole.status);
        let range = [("Range".to_owned(), "bytes=1000-1009".to_owned())];
        let some = with(&link, "GET", &range, b"");
        assert_eq!((some.status, &some.body[..]), (206, &bytes[1000..1010]), "{make:?}");
        assert_eq!(header(&some.head, "content-range"), Some("bytes 1000-1009/70000"));
        if make != Make::Moto {
            // moto believes every signature.
            let other = link.replace("load?", "loaf?");
            assert_eq!(with(&other, "GET", &[], b"").status, 403);
            let bare = with(&ticket.url, "PUT", &ticket.headers[1..], &bytes);
            assert_eq!(bare.status, 403, "{}", bare.text());
        }
    }
}

#[test]
fn a_store_has_directories_and_buckets() {
    for make in ALL {
        let server = Server::start(make);
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path();
        let store = Store::new(top, [server.volume()]);
        let path = |rest: &str| top.join(rest);
        std::fs::create_dir_all(path("work")).unwrap();
        std::fs::create_dir_all(path("packages/a/1")).unwrap();
        std::fs::write(path("work/one"), "one").unwrap();
        std::fs::write(path("work/two"), "two").unwrap();
        let step = |from: &str, to: &str| Step { from: path(from), to: path(to) };
        let plan = Plan {
            steps: vec![step("work/one", "vol/far/packages/a/1/2/one")],
            written: vec![
                (path("vol/far/packages/a/1/2/sig"), Content::Bytes(b"sig".to_vec())),
                (path("packages/a/1/2"), Content::Link("../../../vol/far/packages/a/1/2".into())),
            ],
        };
        store.place_new(&plan, top).unwrap();
        // All or nothing: the second file of this one is taken.
        let other = Plan {
            steps: vec![
                step("work/two", "vol/far/packages/a/1/2/two"),
                step("work/two", "vol/far/packages/a/1/2/one"),
            ],
            written: Vec::new(),
        };
        assert!(matches!(store.place_new(&other, top), Err(Error::Exists(_))));
        assert!(!store.exists(&path("vol/far/packages/a/1/2/two")).unwrap());
        let (volume, below) = store.resolve("packages/a/1/2/one").unwrap();
        assert_eq!((volume.name(), below.as_str()), ("far", "packages/a/1/2/one"));
        assert!(store.resolve("work/one").is_none() && store.resolve("packages/a").is_none());
        assert!(store.resolve("packages/a/1/2/../../../../work/one").is_some());
        // What another step has placed stays, what this one has placed goes.
        store.undo(&step("work/two", "vol/far/packages/a/1/2/one"), top).unwrap();
        let (sums, size) =
            store.hash(&path("vol/far/packages/a/1/2/one"), &[Algorithm::Md5]).unwrap();
        assert_eq!((sums[0].as_str(), size), ("f97c5d29941bfb1b2fdab0874906ab82", 3));
        // To a directory, to the bucket again, and to another name in it.
        store.copy_tree(&path("vol/far/packages/a/1/2"), &path("near")).unwrap();
        assert_eq!(std::fs::read_to_string(path("near/sig")).unwrap(), "sig");
        store.copy_tree(&path("near"), &path("vol/far/packages/b")).unwrap();
        store.rename(&path("vol/far/packages/b"), &path("vol/far/packages/c")).unwrap();
        assert_eq!(store.read(&path("vol/far/packages/c/one")).unwrap(), b"one");
        assert!(!store.exists(&path("vol/far/packages/b")).unwrap());
        let missing = store.copy_tree(&path("vol/far/packages/b"), &path("near2"));
        assert!(missing.is_err_and(|e| e.is_missing()), "nothing is no copy");
        std::os::unix::fs::symlink("sig", path("near/link")).unwrap();
        assert!(store.copy_tree(&path("near"), &path("vol/far/packages/d")).is_err());
        store.undo(&plan.steps[0], top).unwrap();
        assert!(!store.exists(&path("vol/far/packages/a/1/2/one")).unwrap());
        store.write(&path("vol/far/x"), |out| out.write_all(b"text")).unwrap();
        assert_eq!(store.file(&path("vol/far/x")).unwrap().unwrap().0, 4);
        store.remove_tree(&path("vol/far/packages")).unwrap();
        assert!(!store.is_dir(Path::new(&path("vol/far/packages"))).unwrap());
        let volumes = store.volumes(["far"]).unwrap();
        assert_eq!(volumes.item("vol/far").unwrap().unwrap().path, "vol/far");
        assert_eq!(paths(&volumes.list("vol/far").unwrap()), ["vol/far/x"]);
    }
}
