"""OpenPGP keys of a story's own, and packages signed with them."""

import shutil
from pathlib import Path

from .command import run


class Keyring:
    """A directory with secret keys without passwords."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.dir.chmod(0o700)
        # The agent's socket must have a short path.
        self.env = {"GNUPGHOME": str(self.dir)}

    def make(self, name):
        """Makes a key; returns its id as Koji writes it: eight digits."""
        run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", f"{name}@example.org",
            "rsa2048", "sign", "never", env=self.env)
        lines = run("gpg", "--batch", "--with-colons", "--list-keys", f"{name}@example.org", env=self.env).out.splitlines()
        return next(line.split(":")[4] for line in lines if line.startswith("pub"))[-8:].lower()

    def sign(self, key, *rpms):
        """Signs packages in place."""
        run("rpmsign", "--define", f"__gpg {shutil.which('gpg')}", "--define", f"_gpg_name {key}", "--define", f"_gpg_path {self.dir}", "--addsign", *rpms,
            env=self.env)
