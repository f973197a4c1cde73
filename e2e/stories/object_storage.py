"""Volumes in object stores, from the import of a build to its deletion, on servers of different make."""

import os
import urllib.error
import urllib.request

from harness import stock
from harness.command import run
from harness.dnf import dnf
from harness.gpg import Keyring
from harness.s3 import VOLUME, with_far_volume
from harness.server import Server
from harness.story import eq, has, story, that
from stories.imports import built_here


@story(own=True, slow=True)
def moto(own):
    """Everything that a build goes through, on a volume in moto: readers are sent to the server."""
    life(own, "moto", redirect=True)


@story(own=True, slow=True)
def s3s(own):
    """The same in s3s-fs, which checks signatures and sums; the hub sends what readers want itself."""
    life(own, "s3s", redirect=False)


def life(own, make, redirect):
    """Starts both servers and goes through the story."""
    with with_far_volume(own, make, "" if redirect else "Redirect = no\n") as (_, server):
        Life(own, own.world(server), redirect).go()


class Life:
    """One build's way."""

    def __init__(self, own, w, redirect):
        self.own, self.w, self.redirect = own, w, redirect
        self.pkg, self.binary = w.name("faraway"), None

    def go(self):
        """All steps."""
        self.volume()
        self.build()
        self.repository()
        self.sign()
        self.check()
        self.move()
        self.collect()

    def volume(self):
        """The volume is added without a directory; one that nobody knows is not."""
        w = self.w
        has(w.koji("add-volume", VOLUME), f"Added volume {VOLUME}")
        has(w.koji("add-volume", "elsewhere", code=1).err, "please create the volume directory first")

    def build(self):
        """A build goes to the volume by the policy; nothing of it is on the disk."""
        w = self.w
        self.target = w.target("far", [self.pkg])
        has(w.build(self.target, w.srpm(self.pkg)), "completed successfully")
        self.nvr = f"{self.pkg}-1.0-1"
        self.binary = f"{self.nvr}.noarch.rpm"
        has(w.anonymous("buildinfo", self.nvr), "State: COMPLETE", f"Volume: {VOLUME}")
        eq(os.readlink(w.topdir("packages", self.pkg, "1.0", "1")), f"../../../vol/{VOLUME}/packages/{self.pkg}/1.0/1", "the link")
        self.nothing_here()
        self.headers = w.hub.call("getRPMHeaders", w.hub.call("getRPM", f"{self.nvr}.noarch")["id"], headers=["name", "summary"])
        eq(self.headers["name"], self.pkg, "what the header says")
        logs = w.hub.call("getBuildLogs", self.nvr)
        that(any(log["name"] == "build.log" for log in logs), f"no build.log among {logs}")
        fetched = w.dir / "fetched"
        fetched.mkdir()
        w.anonymous("download-build", "--arch", "noarch", self.nvr, cwd=fetched)
        self.content = next(fetched.rglob(self.binary)).read_bytes()
        path = f"packages/{self.pkg}/1.0/1/noarch/{self.binary}"
        eq(self.get(path, {"Range": "bytes=0-3"})[:2], (206, b"\xed\xab\xee\xdb"), "the first bytes")
        has(self.get(f"packages/{self.pkg}/1.0/1/")[1].decode(), "noarch/", "data/")
        head = urllib.request.Request(f"{w.ready['files']}/{path}", method="HEAD")
        with urllib.request.urlopen(head) as answer:
            eq(int(answer.headers["Content-Length"]), len(self.content), "the length")
        eq(self.get(f"packages/{self.pkg}/1.0/1/none")[0], 404, "what is not there")

    def get(self, path, headers=None):
        """Status and content of a file, as a reader gets it, and where it came from."""
        url = f"{self.w.ready['files']}/{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {})) as answer:
                sent = not answer.url.startswith(self.w.ready["url"])
                if not path.endswith("/"):
                    eq(sent, self.redirect, "whether the reader was sent to the server")
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def nothing_here(self):
        """No file of the volume is on the disk."""
        w = self.w
        that(not w.topdir("vol", VOLUME).exists(), "the volume has a directory")
        found = [path for path in w.topdir().rglob(f"{self.pkg}*.noarch.rpm") if path.is_file()]
        eq(found, [], "files of the build on the disk")

    def repository(self):
        """dnf installs the build from the tag's repository."""
        w = self.w
        w.koji("edit-tag", self.target, "--arches", "x86_64")
        w.koji("regen-repo", "--make-task", "--wait", self.target)
        repo = w.hub.call("getRepo", self.target)
        url = f"{w.ready['files']}/repos/{self.target}/{repo['id']}/x86_64"
        root = w.dir / "root"
        dnf(root, url, "install", self.pkg)
        has(run("rpm", "--root", root, "-q", self.pkg), self.nvr)

    def sign(self):
        """A signature is imported, its copy is written and has the bytes of rpmsign."""
        w, keys = self.w, Keyring(self.w.dir / "keys")
        self.key = keys.make("far")
        copy = w.dir / "signed" / self.binary
        copy.parent.mkdir()
        copy.write_bytes(self.content)
        keys.sign(self.key, copy)
        has(w.koji("import-sig", copy), "Importing signature", "Writing signed copy")
        path = f"packages/{self.pkg}/1.0/1/data/signed/{self.key}/noarch/{self.binary}"
        eq(self.get(path), (200, copy.read_bytes()), "the signed copy")
        sums = w.hub.call("getRPMChecksums", w.hub.call("getRPM", f"{self.nvr}.noarch")["id"], ["sha256"])
        that(len(sums[self.key]["sha256"]) == 64, f"sums of the copy: {sums}")
        self.nothing_here()

    def program(self, *words, code=0):
        """Runs one of the hub's own commands on its data."""
        database = ["--database", self.w.server.database_url()] if Server.postgres else []
        return run(self.own.toji, *words, "--data", self.w.server.data, *database, code=code)

    def check(self):
        """fsck and scan find nothing."""
        self.program("fsck")
        self.program("checksum", "scan", "--restart")

    def move(self):
        """The build moves to the disk and back; everybody finds it where it was."""
        w = self.w
        path = f"packages/{self.pkg}/1.0/1/noarch/{self.binary}"
        w.koji("set-build-volume", "DEFAULT", self.nvr)
        place = w.topdir(path)
        that(not place.parent.parent.is_symlink(), "still a link")
        eq(place.read_bytes(), self.content, "the package on the disk")
        eq(self.program("fsck").code, 0, "fsck with the build on the disk")
        w.koji("set-build-volume", VOLUME, self.nvr)
        self.nothing_here()
        eq(self.get(path), (200, self.content), "the package")
        self.program("checksum", "scan", "--restart")
        # One that was imported to the disk goes there, too.
        source, binary = built_here(w, w.name("near"))
        w.koji("import", source, binary)
        near = binary.name.removesuffix(".noarch.rpm")
        w.koji("set-build-volume", VOLUME, near)
        eq(self.get(f"packages/{near.rsplit('-', 2)[0]}/1.0/1/noarch/{binary.name}"), (200, binary.read_bytes()), "the other package")
        self.program("fsck")

    def collect(self):
        """Garbage is collected, the signed copy pruned and the build deleted; nothing stays."""
        w = self.w
        signed = f"packages/{self.pkg}/1.0/1/data/signed/{self.key}/noarch/{self.binary}"
        w.koji("untag-build", self.target, self.nvr)
        w.koji("add-tag", "trashcan")
        w.koji("add-pkg", "--owner", w.ready["admin_user"], "trashcan", self.pkg)
        conf = stock.conf(w.dir / "koji-gc.conf", main={"unprotected_keys": "none", "email_domain": "example.org"},
                          **{"signed-copies": {"delay": "0 seconds"}})
        words = ["gc", "-c", conf, "--delay", "0 seconds", "--grace-period", "0 seconds", "--no-mail"]
        eq(self.get(signed)[0], 200, "the signed copy")
        has(self.program(*words, "signed-copies"), f"signed with {self.key}")
        eq(self.get(signed)[0], 404, "the pruned copy")
        w.koji("write-signed-rpm", self.key, f"{self.nvr}.noarch")
        eq(self.get(signed)[0], 200, "the copy that was written again")
        w.koji("remove-sig", f"{self.nvr}.noarch", "--sigkey", self.key)
        eq(self.get(signed)[0], 404, "the copy of a signature that was removed")
        has(self.program(*words, "archive-builds", "--archive-volume", "DEFAULT", "--archive-age", "0 seconds", "--dry-run"),
            f"would move {self.nvr} (DEFAULT)")
        has(self.program(*words, "trash"), f"moved to the trash {self.nvr}")
        has(self.program(*words, "delete"), self.nvr)
        eq(w.hub.call("getBuild", self.nvr)["state"], 2, "the state of the build")
        path = f"packages/{self.pkg}/1.0/1/noarch/{self.binary}"
        eq(self.get(path)[0], 404, "the deleted package")
        self.program("fsck")
