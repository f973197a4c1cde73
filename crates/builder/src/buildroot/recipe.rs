//! What a room is made of, in words.

use std::fmt::Write as _;

use toji_rpmfile::Header;
use toji_sandbox::Command;

use super::Room;
use super::facts::hostname;

impl Room<'_> {
    /// The packages of its lockfile with where they are, the macros and the variables; `files` is the URL of the hub's
    /// published files.
    pub(crate) fn recipe(&mut self, source: &Header, files: &str) -> String {
        self.date_by(source);
        let mut text = String::new();
        // A string takes whatever is written.
        if let Some(lockfile) = &self.locked {
            let (count, digest) = (lockfile.packages().len(), lockfile.digest());
            let _ = writeln!(text, "{count} packages, lockfile {digest}");
            for package in lockfile.packages() {
                let _ = writeln!(text, "    {} {}", lockfile.url(package, files), package.digest);
            }
        }
        text.push_str("\nmacros\n");
        for line in self.macros(&hostname(&self.task.config().user)).lines() {
            let _ = writeln!(text, "    {line}");
        }
        let variables = self.equip(Command::default()).env;
        if !variables.is_empty() {
            text.push_str("\nvariables\n");
        }
        for (name, value) in variables {
            let _ = writeln!(text, "    {name}={value}");
        }
        text
    }
}
