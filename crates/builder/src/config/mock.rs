//! Settings of the `mock` kind of buildroots; names and defaults are those of `kojid.conf`.

use std::path::PathBuf;

/// How mock is called.
#[derive(Clone, Debug)]
pub struct Mock {
    /// The program.
    pub program: PathBuf,
    /// Where mock makes its roots.
    pub dir: PathBuf,
    /// As whom it runs when the builder is root; nobody else if empty.
    pub user: String,
    /// What follows the arch in `%_host`.
    pub host: String,
    /// Whether tags may name images for the bootstrap.
    pub bootstrap_images: bool,
    /// Where in a root things are put that stay there from one call to the next.
    pub tmpdir: String,
    /// The proxy of dnf and yum.
    pub proxy: Option<String>,
    /// All addresses at which the hub publishes its files.
    pub topurls: Vec<String>,
}

impl Default for Mock {
    fn default() -> Self {
        Self {
            program: "/usr/bin/mock".into(),
            dir: "/var/lib/mock".into(),
            user: "kojibuilder".to_owned(),
            host: "koji-linux-gnu".to_owned(),
            bootstrap_images: false,
            tmpdir: "/chroot_tmpdir".to_owned(),
            proxy: None,
            topurls: Vec::new(),
        }
    }
}
