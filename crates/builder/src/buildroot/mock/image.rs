//! Images in roots of mock: commands as root, and what lies where.

use std::path::PathBuf;

use crate::buildroot::Room;
use crate::failure::Result;

impl Room<'_> {
    /// The root as this machine sees it.
    pub(in crate::buildroot) fn mock_tree(&self) -> Result<PathBuf> {
        Ok(self.mock_dir()?.join("root"))
    }

    /// Runs a command as root inside; whether it was a success.
    pub(in crate::buildroot) async fn chroot_in_mock(
        &mut self,
        cwd: &str,
        words: &[String],
    ) -> Result<bool> {
        let mut args = vec!["--cwd", cwd, "--chroot", "--"];
        args.extend(words.iter().map(String::as_str));
        Ok(self.call_mock(&args).await?.is_none())
    }
}
