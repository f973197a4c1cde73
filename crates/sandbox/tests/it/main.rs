//! The sandbox tried with real programs, as the user who runs the tests and, under root, as nobody too.

mod chroot;
mod escape;
mod identity;
mod layers;
mod limits;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use toji_sandbox::{
    Buildroot, BuildrootBuilder, CancellationToken, Capture, Command, Limits, Outcome,
};

/// A place for one test: a work directory for the buildroot and a directory that is writable inside.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.build_dir()).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn build_dir(&self) -> PathBuf {
        self.dir.path().join("build")
    }

    fn builder(&self) -> BuildrootBuilder {
        Buildroot::builder(self.path().join("work")).writable(self.build_dir(), "/builddir/build")
    }

    async fn root(&self) -> Buildroot {
        self.builder().build().await.unwrap()
    }
}

/// Runs a shell script to its end; output of both streams.
async fn sh(root: &Buildroot, script: &str) -> (Outcome, String) {
    limited(root, script, Limits::default()).await
}

async fn limited(root: &Buildroot, script: &str, limits: Limits) -> (Outcome, String) {
    let mut output = Capture::default();
    let command = Command::new(["sh", "-c", script]).limits(limits);
    let outcome = root.run(&command, &mut output, &CancellationToken::new()).await.unwrap();
    (outcome, output.text())
}
