//! Runs rpmbuild in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A place to build in; everything it makes lies below one directory.
#[derive(Debug, Clone)]
pub struct Rpmbuild {
    topdir: PathBuf,
    out: PathBuf,
    arch: String,
    payload: &'static str,
    /// Whether the time of building is always the same, as rpmbuild has it.
    dated: &'static str,
}

impl Rpmbuild {
    /// Builds below `topdir`; finished packages go to `out`, one directory for each arch.
    pub fn new(topdir: &Path, out: &Path) -> Result<Self> {
        for dir in ["SOURCES", "SPECS", "BUILD", "tmp"] {
            fs::create_dir_all(topdir.join(dir))?;
        }
        fs::create_dir_all(out)?;
        Ok(Self {
            topdir: topdir.to_owned(),
            out: out.to_owned(),
            arch: "x86_64".to_owned(),
            payload: "w1.gzdio",
            dated: "0",
        })
    }

    /// Builds for another arch.
    pub fn arch(self, arch: &str) -> Self {
        Self { arch: arch.to_owned(), ..self }
    }

    /// Compresses for speed, and gives the same packages each time.
    pub fn fast(self) -> Self {
        Self { payload: "w1.zstdio", dated: "1", ..self }
    }

    /// The directory of sources.
    pub fn sources(&self) -> PathBuf {
        self.topdir.join("SOURCES")
    }

    /// Builds a spec file's text; `options` are rpmbuild's, such as `-ba`.
    pub fn build(&self, name: &str, spec: &[u8], options: &[&str]) -> Result<()> {
        let path = self.topdir.join("SPECS").join(format!("{name}.spec"));
        fs::write(&path, spec)?;
        let define = |name: &str, value: &str| format!("{name} {value}");
        let dir = |dir: &str| self.topdir.join(dir).display().to_string();
        let out = self.out.display().to_string();
        let srpms = self.out.join("src").display().to_string();
        let result = Command::new("rpmbuild")
            .args(options)
            .args(["--nodeps", "--target", &format!("{}-linux", self.arch)])
            .args(["--define", &define("_topdir", &self.topdir.display().to_string())])
            .args(["--define", &define("_rpmdir", &out)])
            .args(["--define", &define("_srcrpmdir", &srpms)])
            .args(["--define", &define("_tmppath", &dir("tmp"))])
            .args(["--define", "_buildhost builder.example"])
            .args(["--define", &define("_binary_payload", self.payload)])
            .args(["--define", "debug_package %{nil}"])
            .args(["--define", "__os_install_post %{nil}"])
            .args(["--define", "_build_id_links none"])
            .arg(&path)
            .args(["--define", &define("use_source_date_epoch_as_buildtime", self.dated)])
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .context("failed to run rpmbuild")?;
        let log = String::from_utf8_lossy(&result.stderr);
        ensure!(result.status.success(), "rpmbuild of {name} failed:\n{log}");
        Ok(())
    }
}

/// Every RPM below a directory, sorted by path.
pub fn find_rpms(dir: &Path) -> Result<Vec<PathBuf>> {
    let rpm = |path: &PathBuf| path.extension().is_some_and(|e| e == "rpm");
    Ok(crate::files::list(dir)?.into_iter().filter(rpm).map(|path| dir.join(path)).collect())
}
