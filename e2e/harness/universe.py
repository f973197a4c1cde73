"""The distribution for tests: real packages that roots are made of, served as an external repository."""

import contextlib
import functools
import http.server
import threading
from pathlib import Path

from .command import run

ROOT = Path(__file__).resolve().parent.parent.parent
LISTS = ROOT / "e2e/universe"
MADE = ROOT / ".x/universe"

# What a buildroot has without being asked; sources ask for the rest.
GROUP = """base-files base-passwd bash bzip2 coreutils cpio dash diffutils file findutils gawk grep gzip hostname libc-bin make patch
    perl-base sed tar unzip util-linux xz-utils zstd gcc libc6-dev rpm universe-rpm-config""".split()

making = threading.Lock()


def make(toji, name="list"):
    """Makes the repository of a list where it is missing or old, by the program beside `toji`; returns its directory."""
    place = MADE / ("repo" if name == "list" else name)
    with making:
        run(Path(toji).resolve().with_name("toji-rpmgen"), "universe", LISTS / name, place, "--cache", MADE / "debian", timeout=1500)
    return place


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Says nothing."""


@contextlib.contextmanager
def served(toji, name="list"):
    """The URL of the repository of a list, as long as the context lasts."""
    handler = functools.partial(Quiet, directory=str(make(toji, name)))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def target(w, url, base="root", packages=(), group=GROUP):
    """A target whose build tag has the distribution as an external repository, and a group to build in."""
    name = w.target(base, packages)
    build = f"{name}-build"
    w.koji("add-external-repo", "--tag", build, "--mode", "bare", f"universe-{name}", url)
    for kind in ("build", "srpm-build"):
        w.koji("add-group-pkg", build, kind, *group)
    w.koji("request-repo", "--wait", "--timeout", "5", "--current", build)
    return name
