//! Real S3 servers, each in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use toji_store::s3::{Credentials, Options, S3};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// moto, in Python.
    Moto,
    /// s3s-fs, in Rust.
    S3s,
}

/// Every make of server that a test runs with.
pub(crate) const ALL: [Make; 2] = [Make::Moto, Make::S3s];

/// A server; it ends with this.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(".x").join(name);
    assert!(path.is_file(), "{} is missing: run ./x setup test", path.display());
    path
}

impl Server {
    /// Starts a server with an empty bucket `koji`.
    pub(crate) fn start(make: Make) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let mut command = match make {
            Make::Moto => {
                let mut command = Command::new(program("moto/bin/moto_server"));
                command.args(["-H", "127.0.0.1", "-p", "0"]).stderr(Stdio::piped());
                command
            }
            Make::S3s => {
                let mut command = Command::new(program("s3s/bin/s3s-fs"));
                command.args(["--host", "127.0.0.1", "--port", "0"]);
                command.args(["--access-key", "key", "--secret-key", "secret"]).arg(dir.path());
                std::fs::create_dir(dir.path().join("koji")).unwrap();
                command.env("RUST_LOG", "s3s_fs=info").stdout(Stdio::piped());
                command
            }
        };
        let mut child = command.spawn().unwrap();
        // The one that it tells its address on.
        let output: Box<dyn std::io::Read + Send> = match make {
            Make::Moto => Box::new(child.stderr.take().unwrap()),
            Make::S3s => Box::new(child.stdout.take().unwrap()),
        };
        let mut lines = BufReader::new(output).lines();
        let address = loop {
            let line = lines.next().expect("the server tells where it listens").unwrap();
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.trim().to_owned();
            }
        };
        // Nobody may wait for this end to be read.
        std::thread::spawn(move || lines.for_each(drop));
        let server = Server { address, child, _dir: dir };
        if make == Make::Moto {
            let answer = crate::http::send(&server.address, "PUT", "/koji", &[], b"");
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        server
    }

    pub(crate) fn options(&self, address: &str) -> Options {
        Options {
            endpoint: Some(format!("http://{address}")),
            prefix: "some/where".to_owned(),
            credentials: Credentials {
                key_id: "key".to_owned(),
                secret: "secret".to_owned(),
                token: None,
            },
            timeout: Duration::from_secs(20),
            part_size: 5 << 20,
            ..Options::new("far", "koji")
        }
    }

    /// The bucket as a volume.
    pub(crate) fn volume(&self) -> S3 {
        S3::new(self.options(&self.address)).unwrap()
    }
}
