//! Something between a program and PostgreSQL that can be cut.

use std::path::PathBuf;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Passes on what goes to and fro, until it is cut: then the server sees its connections end, and the client hears nothing at all.
pub struct Cutter {
    /// The database, by the way that can be cut.
    pub url: String,
    is_cut: watch::Sender<bool>,
    _dir: tempfile::TempDir,
}

impl Cutter {
    /// Begins between this program and the database of a URL with a socket's directory.
    ///
    /// Panics when it cannot, as a test should.
    pub async fn start(url: &str) -> Cutter {
        let dir = tempfile::tempdir().expect("a directory for a socket");
        let (base, query) = url.split_once('?').expect("a URL with a socket's directory");
        let host = query.split('&').find_map(|part| part.strip_prefix("host="));
        let host = host.expect("a URL with a socket's directory");
        let own = dir.path().to_str().expect("a plain path");
        let url = format!("{base}?{}", query.replace(host, own));
        let server = PathBuf::from(host).join(".s.PGSQL.5432");
        let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).expect("a socket");
        let (is_cut, state) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), state.clone()));
            }
        });
        Cutter { url, is_cut, _dir: dir }
    }

    /// Nothing goes through from now on.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// New connections go through again, and clients learn that those of before are lost.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn pass(mut client: UnixStream, server: PathBuf, mut is_cut: watch::Receiver<bool>) {
    if !*is_cut.borrow() {
        let Ok(mut server) = UnixStream::connect(server).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _ = is_cut.wait_for(|cut| *cut) => {}
        }
    }
    let _ = is_cut.wait_for(|cut| !cut).await;
}
