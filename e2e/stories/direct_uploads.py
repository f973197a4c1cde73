"""Uploads that go straight to an object store by tickets: a build, a package by hand, and everything that tickets must refuse."""

import hashlib
import os
import re
import urllib.request

from harness.command import run
from harness.hub import Fault, Hub
from harness.s3 import VOLUME, Straight, straight, with_far_volume
from harness.server import Server
from harness.story import PASSWORD, eq, has, story, that
from stories.imports import built_here


@story(own=True, slow=True)
def moto(own):
    """Builder and caller upload to moto, which believes every signature and compares no sum."""
    life(own, "moto")


@story(own=True, slow=True)
def s3s(own):
    """The same with s3s-fs, which checks both."""
    life(own, "s3s")


def life(own, make):
    """Starts both servers and goes through the story."""
    with with_far_volume(own, make, "Uploads = yes\n") as (bucket, server):
        w = own.world(server)
        w.koji("add-volume", VOLUME)
        Life(own, w, bucket).go()


class Life:
    """The way of uploads."""

    def __init__(self, own, w, bucket):
        self.own, self.w, self.bucket = own, w, bucket

    def go(self):
        """All steps."""
        self.build()
        self.by_hand()
        self.refusals()
        self.volumes()
        database = ["--database", self.w.server.database_url()] if Server.postgres else []
        run(self.own.toji, "fsck", "--data", self.w.server.data, *database)

    def fetch(self, path):
        """A published file, with the headers that came with it."""
        with urllib.request.urlopen(f"{self.w.ready['files']}/{path}") as answer:
            return answer.read(), answer.headers

    def build(self):
        """What the builder makes never lies on the hub's disk; a build of the default volume comes from the bucket, too."""
        w = self.w
        for base in ("straight", "near"):
            pkg = w.name(base)
            target = w.target(f"t-{base}", [pkg])
            has(w.build(target, w.srpm(pkg)), "completed successfully")
            binary = f"{pkg}-1.0-1.noarch.rpm"
            content, headers = self.fetch(f"packages/{pkg}/1.0/1/noarch/{binary}")
            found = [path for path in w.topdir().rglob(f"{pkg}*.noarch.rpm") if path.is_file() and not path.is_symlink()]
            links = [path for path in w.topdir("work").rglob("*.rpm") if path.name == binary and path.is_symlink()]
            eq(len(links), 1, "links that stand for the upload")
            if base == "near":
                eq(found, [w.topdir("packages", pkg, "1.0", "1", "noarch", binary)], "files of the build on the disk")
                eq(found[0].read_bytes(), content, "the package")
            else:
                eq(found, [], "files of the build on the disk")
                # What came by a ticket keeps its mark, which is shorter than those of what the hub has written.
                that(re.fullmatch("[0-9a-f]{32}", headers["x-amz-meta-toji-write"] or ""), f"not by a ticket: {headers}")
                eq(self.fetch(str(links[0].relative_to(w.topdir())))[0], content, "the package by the task's directory")
            task = w.hub.call("getBuild", f"{pkg}-1.0-1")["task_id"]
            children = [child["id"] for child in w.hub.call("getTaskChildren", task) if child["method"] == "buildArch"]
            that(binary in w.hub.call("listTaskOutput", children[0]), "the package is not listed")
            sums = w.hub.call("getRPMChecksums", w.hub.call("getRPM", f"{pkg}-1.0-1.noarch")["id"], ["sha256"])
            eq(list(sums.values())[0]["sha256"], hashlib.sha256(content).hexdigest(), "the sum")
        eq(self.bucket.keys("store/incoming/"), [], "what was brought and not taken over")
        eq([key for key in self.bucket.keys("store/work/") if ".noarch.rpm" in key], [], "uploads that were imported")

    def by_hand(self):
        """Both packages of a build are brought, looked at, and imported; nothing of them is on the disk."""
        w = self.w
        source, binary = built_here(w, w.name("brought"))
        for path in (source, binary):
            content = path.read_bytes()
            up = Straight(w.hub, "cli-import/1", path.name, content)
            eq(up.put(), 200, "bringing it")
            eq(w.hub.call("checkUpload", "cli-import/1", path.name), None, "before it is taken over")
            eq(up.finish(), True, "taking it over")
            eq(up.finish(), True, "taking it over again: the answer was lost")
            seen = w.hub.call("checkUpload", "cli-import/1", path.name, verify="sha256")
            eq((seen["size"], seen["hexdigest"]), (len(content), hashlib.sha256(content).hexdigest()), "what is known of it")
            tail = w.hub.call("checkUpload", "cli-import/1", path.name, verify="md5", tail=100)
            eq((tail["sumlength"], tail["hexdigest"]), (100, hashlib.md5(content[-100:]).hexdigest()), "its end")
            link = w.topdir("work", "cli-import", "1", path.name)
            has(os.readlink(link), f"vol/{VOLUME}/work/cli-import/1/{path.name}/")
            eq(self.fetch(f"work/cli-import/1/{path.name}")[0], content, "the upload")
            refused(lambda p=path: w.hub.call("uploads.begin", "cli-import/1", p.name, 1, "0" * 64), "upload path exists")
            w.hub.call("importRPM", "cli-import/1", path.name)
            has(os.readlink(link), f"/packages/{binary.name.rsplit('-', 2)[0]}/1.0/1/")
            refused(lambda p=path: w.hub.call("importRPM", "cli-import/1", p.name), "is not a regular file")
        found = self.fetch(f"packages/{binary.name.rsplit('-', 2)[0]}/1.0/1/noarch/{binary.name}")[0]
        eq(found, binary.read_bytes(), "the imported package")
        eq(self.bucket.keys("store/incoming/"), [], "what is left of tickets")
        eq([key for key in self.bucket.keys("store/work/") if binary.name in key], [], "what is left of uploads")

    def refusals(self):
        """What was not announced does not become an upload, whatever the server lets through."""
        w = self.w
        content = b"as announced" * 1000
        for name, sent in (("other", content[::-1]), ("short", content[1:]), ("long", content + b"!")):
            up = Straight(w.hub, "cli-wrong", name, content)
            status = up.put(sent)
            eq(status == 200, self.bucket.make == "moto", f"{name}: the server answers {status}")
            refused(up.finish, "nothing has come" if status != 200 else "expected SHA-256" if name == "other" else "Incorrect upload length")
            eq(w.hub.call("checkUpload", "cli-wrong", name), None, name)
        up = Straight(w.hub, "cli-wrong", "once", content)
        eq((up.put(), up.put()), (200, 412), "two writings")
        eq(up.finish(), True)
        straight(w.hub, "cli-wrong", "once", b"another", overwrite=True)
        eq(w.hub.call("checkUpload", "cli-wrong", "once")["size"], 7, "what was replaced")
        user = w.user("uploader")
        other = Hub(w.ready["hub"]).login(user, PASSWORD)
        for hub, path, name, said in (
            (w.hub, "../x", "y", "Invalid upload directory"), (w.hub, "a", "../y", "Invalid upload filename"), (w.hub, "a/.x", "y", "Invalid upload directory"),
            (w.hub, "tasks/1/2", "y", "Invalid task upload directory"), (Hub(w.ready["hub"]), "a", "y", "logged"), (other, "cli-wrong", "y", "not owner"),
        ):
            refused(lambda h=hub, p=path, n=name: h.call("uploads.begin", p, n, 5, "0" * 64), said)
            refused(lambda h=hub, p=path, n=name: h.call("uploads.finish", p, n, "0" * 32 + "@far", 5, "0" * 64), said)
        for ticket in ("", "x", "0" * 32, "0" * 32 + "@near", "../x@far"):
            refused(lambda t=ticket: w.hub.call("uploads.finish", "cli-wrong", "z", t, 5, "0" * 64), "")
        refused(lambda: w.hub.call("uploads.begin", "cli-wrong", "z", 5, "0" * 63), "64 hexadecimal digits")
        eq(w.hub.call("uploads.begin", "cli-wrong", "z.log", 5, "0" * 64), {"direct": False, "reason": "it is a log"})
        eq(w.hub.call("uploads.begin", "cli-wrong", "z", 5, "0" * 64, volume="DEFAULT"), {"direct": False, "reason": "no object store takes uploads"})

    def volumes(self):
        """An ordinary upload for the volume is kept in the work directory, and found by either name; there is no directory for the volume."""
        w = self.w
        eq(w.hub.call("uploadFile", "cli-plain", "plain.txt", 5, None, 0, "cGxhaW4=", volume=VOLUME), True)
        for volume in (None, VOLUME):
            eq(w.hub.call("checkUpload", "cli-plain", "plain.txt", volume=volume)["size"], 5, "the upload")
        that(not w.topdir("vol", VOLUME).exists(), "the volume has a directory")


def refused(call, said):
    """The call faults with these words."""
    try:
        answer = call()
    except Fault as fault:
        has(str(fault), said)
    else:
        raise AssertionError(f"not refused: {answer}")
