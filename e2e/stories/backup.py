"""Backups: points taken by `toji backup` while a farm builds and deletes, verified, pruned, restored and used."""

import json
import shutil
import signal
import subprocess
import threading

from harness.command import run
from harness.rpms import binary_rpm
from harness.s3 import S3
from harness.server import Server
from harness.story import eq, has, story, that

# While points are taken, at least so many builds are deleted.
POINTS, DELETED = 4, 6


class Farm:
    """Imports and builds packages and deletes them again until it is told to stop."""

    def __init__(self, w, number):
        self.w, self.number, self.stop, self.imported, self.deleted, self.failed = w, number, threading.Event(), 0, 0, None
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def run(self):
        """One after the other; of three, one stays."""
        hub = self.w.new_hub().login(self.w.ready["admin_user"], self.w.ready["admin_password"])
        try:
            while not self.stop.is_set():
                name = f"crop{self.number}x{self.imported}"
                files = binary_rpm(self.w.dir / f"farm{self.number}", name)
                self.w.koji("import", "--create-build", *files)
                self.imported += 1
                if self.imported % 3:
                    hub.call("deleteBuild", f"{name}-1.0-1")
                    self.deleted += 1
        except Exception as error:  # pylint: disable=broad-except
            self.failed = error


def place(server, data=None, database=None):
    """The words that tell the hub's own commands where database and files are."""
    words = ["--data", data or server.data]
    if Server.postgres:
        words += ["--database", database or server.database_url()]
    return words


def last(done):
    """What a command said in the end, as JSON."""
    return json.loads(done.out.splitlines()[-1])


@story(own=True, slow=True)
def farm(own):
    """Points are taken while builds come and go, one is killed; the last one comes back, is whole, and builds go on there."""
    server = Server(own.toji, own.dir / "server").start()
    to = own.dir / "backup"
    try:
        w = own.world(server)
        target = w.target("field", [w.name("wheat")])
        has(w.build(target, w.srpm(w.name("wheat"))), "completed successfully")
        nvr = f"{w.name('wheat')}-1.0-1"
        with Farm(w, 1) as one, Farm(w, 2) as two:
            command = [str(word) for word in (own.toji, "backup", "create", to, *place(server), "--json", "--quiet")]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
                # As soon as something was taken in.
                while killed.poll() is None and not any((to / "objects").glob("*/*")):
                    pass
                killed.send_signal(signal.SIGKILL)
            sums = []
            while len(sums) < POINTS or one.deleted + two.deleted < DELETED and not (one.failed or two.failed):
                sums.append(last(run(*command)))
        eq([one.failed, two.failed], [None, None], "what kept the farms from working")
        that(one.deleted + two.deleted >= DELETED, f"the farms have deleted {one.deleted} and {two.deleted} builds")
        eq([one["damaged"] for one in sums], [0] * len(sums), "the damages of the points")
        listed = [json.loads(line) for line in run(own.toji, "backup", "list", to, "--json").out.splitlines()]
        eq([point["id"] for point in listed][-len(sums):], [one["point"] for one in sums], "the points")
        that(all(one["new_files"] < one["files"] for one in sums[1:]), f"points that take in everything again: {sums}")
        eq(last(run(own.toji, "backup", "verify", to, "--json", "--quiet"))["damaged"], 0, "the findings")
        back(own, server, to, listed[-2]["id"], "former")
        has(run(own.toji, "backup", "prune", to, "--keep", "1"), f"removed {listed[0]['id']}")
        data = back(own, server, to, None, "restored")
    finally:
        server.stop()
    shutil.copy(server.data / "accounts.json", data)
    restored = Server(own.toji, data)
    if Server.postgres:
        Server.databases[restored.data] = Server.databases[("restored", server.data)]
    restored.start()
    try:
        w = own.world(restored)
        eq(w.hub.call("getBuild", nvr)["state"], 1, "the state of the build")
        has(w.anonymous("buildinfo", nvr), "State: COMPLETE")
        rpms = binary_rpm(w.dir, "after")
        w.koji("import", "--create-build", *rpms)
    finally:
        restored.stop()
    run(own.toji, "fsck", *place(restored))


def back(own, server, to, point, name):
    """Restores a point; gives the data directory."""
    data = own.dir / name
    data.mkdir()
    database = None
    if Server.postgres:
        key = (name, server.data)
        Server.databases[key] = database = Server.postgres.create(f"e2e{name}{len(Server.databases)}")
    words = ["--point", point] if point else []
    done = last(run(own.toji, "restore", to, *words, *place(server, data, database), "--json", "--quiet"))
    eq((done["left"], done["whole"]), (0, True), f"what the comparison of {name} has found")
    return data


@story(own=True, slow=True)
def buckets(own):
    """Of a volume in an object store a point has the list, or the contents too; those fill an empty bucket again."""
    with S3("moto", own.dir) as bucket:
        data = own.dir / "data"
        volumes = bucket.tell(data, "far")
        conf = f"[toji]\nObjectVolumes = {volumes}\n[policy]\nvolume =\n  all :: far\n"
        (data / "hub.conf").write_text(conf)
        server = Server(own.toji, data, extra=["--no-builder"]).start()
        try:
            w = own.world(server)
            w.koji("add-volume", "far")
            w.koji("import", "--create-build", *binary_rpm(w.dir, "distant"))
            w.koji("set-build-volume", "far", "distant-1.0-1")
            lean, full = own.dir / "lean", own.dir / "full"
            listed = last(run(own.toji, "backup", "create", lean, *place(server), "--json", "--quiet"))
            that(listed["elsewhere"] >= 2, f"files in the bucket alone: {listed}")
            whole = last(run(own.toji, "backup", "create", full, *place(server), "--buckets", "--json", "--quiet"))
            eq(whole["elsewhere"], 0, "files that are not in the backup")
            eq(last(run(own.toji, "backup", "verify", full, "--json", "--quiet"))["damaged"], 0, "the findings")
            def restore(source, name, prefix, code):
                again = own.dir / name
                again.mkdir()
                (again / "volumes.conf").write_text(volumes.read_text().replace("Prefix = store", f"Prefix = {prefix}"))
                (again / "hub.conf").write_text(conf.replace(str(volumes), str(again / "volumes.conf")))
                database = Server.postgres.create(f"e2e{name}{len(Server.databases)}") if Server.postgres else None
                return run(own.toji, "restore", source, *place(server, again, database), "--json", "--quiet", code=code)

            eq(last(restore(lean, "same", "store", 0))["left"], 0, "the findings with the same bucket")
            that(last(restore(lean, "none", "other", 1))["left"] > 0, "nothing is missing in an empty bucket")
            eq(last(restore(full, "copy", "copied", 0))["left"], 0, "the findings with a filled bucket")
        finally:
            server.stop()
