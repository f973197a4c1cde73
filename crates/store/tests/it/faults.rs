//! Nothing is lost or made up when the network fails.

use std::io::Cursor;
use std::time::Duration;

use toji_store::s3::{Options, S3, Way};
use toji_store::{Error, Store, Volume as _};

use crate::proxy::{ALL, Fault, Proxy, Rule};
use crate::servers::{self, Server};
use crate::volumes::{content, noise};

/// Kinds of requests, by their first lines.
const KINDS: [(&str, &[&str], &[&str]); 8] = [
    ("put", &["PUT "], &["partNumber="]),
    ("part", &["partNumber=2"], &[]),
    ("begin", &["POST ", "uploads"], &[]),
    ("complete", &["POST ", "uploadId="], &[]),
    ("head", &["HEAD "], &[]),
    ("get", &["GET "], &["list-type"]),
    ("list", &["list-type"], &[]),
    ("delete", &["DELETE "], &["uploadId"]),
];

fn through(server: &Server, proxy: &Proxy) -> S3 {
    let options = server.options(&proxy.address);
    // Short, for answers that never come.
    S3::new(Options { timeout: Duration::from_secs(2), ..options }).unwrap()
}

#[test]
fn every_fault_of_every_request_is_survived() {
    for make in servers::ALL {
        let server = Server::start(make);
        let proxy = Proxy::start(&server.address);
        let (near, far) = (server.volume(), through(&server, &proxy));
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), [far.clone()]);
        let (short, long) = (noise(1000), noise((5 << 20) + 1));
        let mut happened = 0;
        for (kind, has, has_not) in KINDS {
            for fault in ALL {
                let place = format!("packages/{kind}/{fault:?}");
                let what = format!("{make:?} {place}");
                proxy.set(Some(Rule { fault, has, has_not, times: 1 }));
                let put = |name: &str, bytes: &[u8]| {
                    let to = format!("{place}/{name}");
                    far.upload(&to, &mut Cursor::new(bytes), Way::New, "mine")
                };
                // Only these are about uploads in parts.
                let parted = ["part", "begin", "complete"].contains(&kind);
                let name = if parted { "long" } else { "short" };
                let bytes = if parted { &long } else { &short };
                put(name, bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
                put("other", b"text").unwrap_or_else(|e| panic!("{what}: {e}"));
                let copy = dir.path().join(kind).join(format!("{fault:?}"));
                let from = dir.path().join("vol/far").join(&place);
                store.copy_tree(&from, &copy).unwrap_or_else(|e| panic!("{what}: {e}"));
                far.remove(&format!("{place}/other")).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(proxy.set(None), 1, "{what}: the fault happened");
                happened += 1;
                assert!(&content(&near, &format!("{place}/{name}")) == bytes, "{what}");
                assert_eq!(near.walk(&place).unwrap().len(), 1, "{what}");
                assert!(&std::fs::read(copy.join(name)).unwrap() == bytes, "{what}");
                assert_eq!(std::fs::read(copy.join("other")).unwrap(), b"text", "{what}");
                std::fs::remove_dir_all(copy).unwrap();
            }
        }
        assert_eq!(happened, KINDS.len() * ALL.len());
    }
}

#[test]
fn what_fails_for_long_fails_and_changes_nothing() {
    for make in servers::ALL {
        let server = Server::start(make);
        let proxy = Proxy::start(&server.address);
        let options = server.options(&proxy.address);
        let options = Options { timeout: Duration::from_secs(2), retries: 1, ..options };
        let (near, far) = (server.volume(), S3::new(options).unwrap());
        near.put("packages/a/1/1/x", b"text").unwrap();
        let (dir, long) = (tempfile::tempdir().unwrap(), noise((10 << 20) + 1));
        let store = Store::new(dir.path(), [far.clone()]);
        for fault in [Fault::Cut, Fault::FalseSuccess, Fault::Unavailable] {
            proxy.set(Some(Rule { fault, has: &[], has_not: &[], times: usize::MAX }));
            assert!(far.walk("packages").is_err(), "{make:?} {fault:?}: nothing is there?");
            assert!(far.item("none/such").is_err(), "{make:?} {fault:?}");
            assert!(far.reach().is_err());
            assert!(far.remove("packages/a").is_err());
            let from = dir.path().join("vol/far/packages/a");
            assert!(store.copy_tree(&from, &dir.path().join("copy")).is_err());
            assert!(far.upload("y", &mut Cursor::new(b"y"), Way::New, "").is_err());
            proxy.set(Some(Rule { fault, has: &["PUT "], has_not: &[], times: usize::MAX }));
            let error = far.upload("y", &mut Cursor::new(&long), Way::New, "").unwrap_err();
            assert!(!matches!(error, Error::Exists(_)), "{make:?} {fault:?}: {error}");
            assert!(proxy.set(None) > 1);
            assert_eq!(near.item("y").unwrap(), None, "{make:?} {fault:?}");
        }
        assert_eq!(content(&near, "packages/a/1/1/x"), b"text", "{make:?}");
    }
}
