"""dnf on a published repository and an empty root, as root or in a user namespace."""

import os
from pathlib import Path

from .command import run


def as_root():
    """What makes an ordinary user the root of a namespace."""
    return [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]


def dnf(root, url, *argv, code=0):
    """Runs dnf with `url` as its only repository and nothing of the host's configuration."""
    root = Path(root)
    settings = {
        "reposdir": "/nonexistent", "varsdir": "/nonexistent", "pluginpath": "/nonexistent",
        "cachedir": root / "var/cache/dnf", "install_weak_deps": "False", "module_platform_id": "platform:toji",
        "metadata_expire": "0", "keepcache": "False",
    }
    options = [f"--setopt={key}={value}" for key, value in settings.items()]
    return run(*as_root(), "dnf", "-y", "--installroot", root, "--releasever", "1", *options, "--nogpgcheck",
               "--repofrompath", f"toji,{url}", *argv, code=code)


def run_inside(root, *argv):
    """Runs an installed program inside the root; one that needs the C library borrows the host's."""
    root = Path(root)
    if not (root / "lib64").exists() and is_dynamic(root / argv[0].lstrip("/")):
        lent = [word for path in ("/lib", "/lib64", "/usr/lib", "/usr/lib64") if Path(path).exists()
                for word in ("--ro-bind", path, path)]
        return run("bwrap", "--bind", root, "/", *lent, "--unshare-net", "--die-with-parent", *argv)
    return run(*as_root(), "chroot", root, *argv)


def is_dynamic(program):
    """Whether an ELF file names a loader, or is a script."""
    text = program.read_bytes()
    return b"/ld-linux" in text or b"/ld-musl" in text or text.startswith(b"#!")
