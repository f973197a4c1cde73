"""Interrupts everything that changes the store, at every step: kill -9 and a full disk, then recovery, then a proof by looking.

The steps are those of `steps.c`: each call to the system that changes a file, the database's own among them. What is looked at afterwards is
database and directories themselves, without the hub; `toji fsck` must then agree."""

import base64
import contextlib
import hashlib
import json
import mmap
import os
import random
import re
import sqlite3
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path

from harness.gpg import Keyring
from harness.hub import Fault, Hub
from harness.rpms import binary_rpm
from harness.s3 import BUCKET, straight
from harness.server import Server

HERE = Path(__file__).resolve().parent
KILL, FULL, STOP = 1, 2, 3
# A recovery that takes longer, in seconds, breaks what must hold.
LONGEST = 5.0
PASSWORD = "secret-of-the-host"
NVR = "victim-1.0-1"
PASSING = re.compile(r"^\..*\.(new|link|moving|packing)$|^\.tmp.{6}$")


class Steps:
    """The library that counts and strikes, and the memory that it shares with this process."""

    def __init__(self, directory):
        self.library, self.file = directory / "steps.so", directory / "steps"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self.library, HERE / "steps.c", "-ldl"], check=True)
        self.file.write_bytes(bytes(24))
        with open(self.file, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 24)
        self.env = {"LD_PRELOAD": str(self.library), "STEPS_CONTROL": str(self.file)}

    def arm(self, left, what):
        """Strikes at the step of this number."""
        self.memory[:] = struct.pack("qqq", left, 0, 0)
        self.memory[8:16] = struct.pack("q", what)

    def disarm(self):
        """Strikes no more; tells how many steps there were."""
        self.memory[8:16] = struct.pack("q", 0)
        return struct.unpack("qqq", self.memory[:])[2]


class Stage:
    """A hub without builders and all that the deeds need."""

    def __init__(self, toji, directory, bucket=None):
        self.dir = Path(directory)
        self.dir.mkdir(parents=True)
        self.steps, self.bucket = Steps(self.dir), bucket
        self.server = Server(toji, self.dir / "data", extra=["--no-builder", "--no-repositories"], env=self.steps.env)
        if bucket or Server.postgres:
            self.server.env = {**self.steps.env, "STEPS_SOCKETS": "1"}
        if bucket:
            volumes = bucket.tell(self.server.data, "far", "Uploads = yes\n")
            policy = "[policy]\nvolume =\n  package straight :: far\n  all :: DEFAULT\n"
            (self.server.data / "hub.conf").write_text(f"[toji]\nObjectVolumes = {volumes}\n{policy}")
        self.server.start()
        self.server.listen = self.server.address
        ready = self.server.ready
        self.admin = Hub(ready["hub"], 60).login(ready["admin_user"], ready["admin_password"])
        self.user, self.top = ready["admin_user"], self.server.data / "koji"
        self.slowest, self.worker = 0.0, None
        self.srpm, self.rpm = binary_rpm(self.dir, "victim")
        self.drafted = binary_rpm(self.dir, "drafted")
        self.straight = binary_rpm(self.dir, "straight")
        keys = Keyring(self.dir / "keys")
        self.key = keys.make("gold")
        self.header = self.signature(keys)
        self.prepare()

    def signature(self, keys):
        """The signature header of a signed copy of the package."""
        signed = self.dir / "signed.rpm"
        signed.write_bytes(self.rpm.read_bytes())
        keys.sign(self.key, signed)
        data = signed.read_bytes()
        index, store = struct.unpack(">II", data[104:112])
        return data[96:112 + 16 * index + store]

    def prepare(self):
        """Tags, a volume, a content generator and a host."""
        call = self.admin.call
        (self.top / "vol/one").mkdir(parents=True)
        call("addVolume", "one")
        if self.bucket:
            call("addVolume", "far")
        call("createTag", "t", arches="x86_64")
        call("packageListAdd", "t", "victim", self.user)
        call("packageListAdd", "t", "straight", self.user)
        call("grantCGAccess", self.user, "maker", True)
        call("addBType", "npm")
        call("addHost", "worker", ["noarch"])
        self.server.set_password("worker", PASSWORD)
        self.worker = Hub(self.server.ready["hub"], 60).login("worker", PASSWORD)
        self.worker.call("exclusiveSession")

    def put(self, rel, content):
        """Lays a file into the upload area."""
        path = self.top / "work" / rel
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return rel

    def restart(self):
        """kill -9, if that was not done, and a start with its recovery."""
        if self.server.alive():
            self.server.kill()
        # What failed is tried again after a pause; it is over now.
        self.server.sql("UPDATE toji_statement SET not_before = (SELECT min(time) FROM events) WHERE due")
        begin = time.monotonic()
        self.server.start()
        self.settle()
        self.slowest = max(self.slowest, time.monotonic() - begin)

    def settle(self, timeout=20):
        """Waits until the statements about builds are written, which a hub does by itself, through the journal."""
        deadline = time.monotonic() + timeout
        left = "SELECT 'statement', build_id FROM toji_statement WHERE due UNION ALL SELECT 'import ' || state, id FROM toji_import"
        while rows := self.rows(left):
            if time.monotonic() > deadline:
                raise RuntimeError(f"statements about builds are not written, or the journal does not get empty: {rows}")
            time.sleep(0.01)

    def rows(self, sql):
        """What the database has."""
        if Server.postgres:
            lines = Server.postgres.psql(self.database(), sql).splitlines()
            return [tuple(int(text) if re.fullmatch(r"[1-9]\d{0,17}|0", text) else text for text in line.split("|")) for line in lines]
        with contextlib.closing(sqlite3.connect(f"file:{self.server.data}/toji.db?mode=ro", uri=True, timeout=60)) as link:
            return link.execute(sql).fetchall()

    def database(self):
        """The name of the database in PostgreSQL."""
        return self.server.database_url().split("?")[0].split("/")[-1]

    def place(self, rel):
        """Where a file of the store is, as this machine sees it: what is in the bucket lies in a directory of its server's."""
        far = "vol/far/"
        return self.bucket.dir / "bucket" / BUCKET / "store" / rel[len(far):] if rel.startswith(far) else self.top / rel

    def rename(self, build):
        """Gives a deleted build another name, so that its own is free again."""
        self.server.sql(f"UPDATE build SET version = 'gone.{build}' WHERE id = {build}")

    def state(self, nvr=NVR):
        """The state of a build, or nothing."""
        found = self.admin.call("getBuild", nvr)
        return found and found["state"]


class Deed:
    """Something that changes the store. `undo` must bring back what `make` has found, wherever it was interrupted."""

    def __init__(self, stage):
        self.stage, self.call = stage, stage.admin.call

    def before(self):
        """What must be there."""

    def make(self):
        """The deed itself."""

    def done(self):
        """Whether it is done, as the hub's answers tell."""

    def after(self):
        """Takes everything away again."""
        if self.stage.state() is not None:
            self.call("resetBuild", NVR)


class Import(Deed):
    """Both packages of a build, as an administrator imports them."""

    name = "import"

    def before(self):
        for path in (self.stage.srpm, self.stage.rpm):
            self.stage.put(f"in/{path.name}", path.read_bytes())
        self.call("createEmptyBuild", "victim", "1.0", "1", None)

    def make(self):
        known = {rpm["arch"] for rpm in self.call("listBuildRPMs", NVR)}
        for path, arch in ((self.stage.srpm, "src"), (self.stage.rpm, "noarch")):
            if arch not in known:
                self.call("importRPM", "in", path.name)

    def done(self):
        return len(self.call("listBuildRPMs", NVR)) == 2


class OfImported(Deed):
    """A deed to a build that was imported."""

    def before(self):
        first = Import(self.stage)
        first.before()
        first.make()


class Build(Deed):
    """A build as a builder ends it."""

    name, package, draft = "build", "victim", False

    def before(self):
        self.packages = self.stage.drafted if self.draft else (self.stage.srpm, self.stage.rpm)
        self.task = self.call("makeTask", "build", ["victim.src.rpm", None], arch="noarch")
        deadline = time.monotonic() + 20
        while not self.stage.worker.call("host.openTask", self.task):
            if time.monotonic() > deadline:
                raise RuntimeError("the task does not open")
            time.sleep(0.02)
        self.build = self.stage.worker.call("host.initBuild", {"task_id": self.task, "name": self.package, "version": "1.0", "release": "1",
                                                               "epoch": None, "source": "git://x#1", "draft": self.draft})
        place = f"tasks/{self.task % 10000}/{self.task}"
        self.files = [self.stage.put(f"{place}/{path.name}", path.read_bytes()) for path in self.packages]
        self.log = self.stage.put(f"{place}/build.log", b"a line\n" * 100)

    def make(self):
        if self.call("getBuild", self.build)["state"] != 1:
            self.stage.worker.call("host.completeBuild", self.task, self.build, self.files[0], self.files[1:], {}, {"noarch": [self.log]})

    def done(self):
        return self.call("getBuild", self.build)["state"] == 1

    def after(self):
        self.call("resetBuild", self.build)
        self.call("cancelTask", self.task)


class Straight(Build):
    """The same with packages that go straight to a bucket, which is where the build goes, too."""

    name, package = "straight", "straight"

    def before(self):
        super().before()
        for file in self.files:
            (self.stage.top / "work" / file).unlink()

    def make(self):
        if self.call("getBuild", self.build)["state"] == 1:
            return
        place = self.log.rpartition("/")[0]
        self.files = [straight(self.stage.worker, place, path.name, path.read_bytes(), overwrite=True) for path in self.stage.straight]
        super().make()


class Archive(Deed):
    """Images that are added to a build."""

    name = "archive"

    def before(self):
        self.call("createEmptyBuild", "victim", "1.0", "1", None)
        self.call("createImageBuild", {"name": "victim", "version": "1.0", "release": "1", "epoch": None})
        self.put()

    def put(self):
        """Uploads them."""
        for number in range(2):
            self.stage.put(f"in/disk{number}.qcow2", bytes([number]) * 50_000)

    def make(self):
        known = {archive["filename"] for archive in self.call("listArchives", self.call("getBuild", NVR)["id"])}
        for number in range(2):
            if f"disk{number}.qcow2" not in known:
                self.call("importArchive", f"in/disk{number}.qcow2", NVR, "image", {"arch": "x86_64"})

    def done(self):
        return len(self.call("listArchives", self.call("getBuild", NVR)["id"])) == 2


class Generator(Deed):
    """A build of a content generator: files, a package and a log."""

    name = "generator"

    def before(self):
        outputs = [self.output("one.tgz", b"one" * 1000), self.output("two.tgz", b"two" * 2000), self.output("build.log", b"line\n" * 200, type="log")]
        outputs[2].pop("extra")
        self.metadata = {
            "metadata_version": 0,
            "build": {"name": "victim", "version": "1.0", "release": "1", "source": "git://x#1", "start_time": 1_700_000_000,
                      "end_time": 1_700_000_100, "extra": {"typeinfo": {"npm": {}}}},
            "buildroots": [{"id": 1, "content_generator": {"name": "maker", "version": "1"}, "container": {"type": "docker", "arch": "x86_64"},
                            "host": {"os": "x", "arch": "x86_64"}, "components": [], "tools": []}],
            "output": outputs,
        }

    def output(self, name, content, **more):
        """Uploads a file and describes it."""
        self.stage.put(f"cg/{name}", content)
        return {"buildroot_id": 1, "filename": name, "filesize": len(content), "arch": "noarch", "checksum_type": "md5",
                "checksum": hashlib.md5(content).hexdigest(), "type": "file", "extra": {"typeinfo": {"npm": {"x": 1}}}, **more}

    def make(self):
        if not self.done():
            self.call("CGImport", self.metadata, "cg")

    def done(self):
        return self.stage.state() == 1


class Promote(Build):
    """A draft becomes a regular build."""

    name, package, draft = "promote", "drafted", True

    def before(self):
        super().before()
        super().make()

    def make(self):
        if not self.done():
            self.call("promoteBuild", self.build, True)

    def done(self):
        return not self.call("getBuild", self.build)["draft"]

    def after(self):
        super().after()
        # Neither the number nor the name comes back.
        self.stage.rename(self.build)


class Sign(OfImported):
    """A signature header and the copy that carries it."""

    name = "sign"

    def make(self):
        nvra = f"{NVR}.noarch"
        if not self.signatures():
            self.call("addRPMSig", nvra, base64.b64encode(self.stage.header).decode())
        self.call("writeSignedRPM", nvra, self.stage.key)

    def signatures(self):
        """Those of the key."""
        return self.call("queryRPMSigs", rpm_id=f"{NVR}.noarch", sigkey=self.stage.key)

    def done(self):
        copy = self.stage.top / f"packages/victim/1.0/1/data/signed/{self.stage.key}/noarch/{NVR}.noarch.rpm"
        return bool(self.signatures()) and copy.exists()


class Unsign(Sign):
    """A signature is deleted."""

    name = "unsign"

    def before(self):
        super().before()
        super().make()

    def make(self):
        if not self.done():
            self.call("deleteRPMSig", f"{NVR}.noarch", self.stage.key)

    def done(self):
        return not self.signatures()


class Move(OfImported):
    """A build goes to another volume and back."""

    name, volume = "move", "one"

    def make(self):
        if self.call("getBuild", NVR)["volume_name"] == "DEFAULT" and not getattr(self, "there", False):
            self.call("changeBuildVolume", NVR, self.volume)
        self.there = True
        if self.call("getBuild", NVR)["volume_name"] == self.volume:
            self.call("changeBuildVolume", NVR, "DEFAULT")

    def before(self):
        super().before()
        self.there = False

    def done(self):
        return self.there and self.call("getBuild", NVR)["volume_name"] == "DEFAULT"


class Away(Move):
    """A build goes to a bucket and back."""

    name, volume = "away", "far"


class Delete(OfImported):
    """A build is deleted; it is reset first, so that its name comes back."""

    name = "delete"

    def make(self):
        if not self.done():
            self.call("resetBuild", NVR)

    def done(self):
        return self.stage.state() == 4


class Remove(Generator):
    """A build is deleted for good."""

    name = "remove"

    def before(self):
        super().before()
        self.id = None
        super().make()
        self.id = self.call("getBuild", NVR)["id"]

    def make(self):
        if not self.done():
            self.call("deleteBuild", self.id, True, 0)

    def done(self):
        return self.id is not None and self.call("getBuild", self.id)["state"] == 2

    def after(self):
        self.stage.rename(self.id)


class Repository(OfImported):
    """A repository with its metadata, from its directory to the end; then it is deleted."""

    name = "repository"

    def before(self):
        super().before()
        self.call("tagBuildBypass", "t", NVR, True)
        self.repo = None

    def make(self):
        worker = self.stage.worker.call
        repo, _ = worker("host.repoInit", "t")
        worker("host.createRepo", repo, "x86_64")
        worker("host.repoDone", repo, {})
        self.repo = repo

    def done(self):
        return self.repo is not None

    def after(self):
        for repo, in self.stage.rows("SELECT id FROM repo WHERE state <> 3"):
            self.call("repoDelete", repo)
        self.call("untagBuildBypass", "t", NVR, False, True)
        super().after()


DEEDS = [Import, Build, Straight, Archive, Generator, Promote, Sign, Unsign, Move, Away, Delete, Remove, Repository]


def digest(path, kind):
    """A sum of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


class Look:
    """Compares database and directories without the hub; `wrong` is what does not hold."""

    def __init__(self, stage):
        self.stage, self.top, self.wrong, self.known = stage, stage.top, [], set()
        for row in stage.rows("SELECT id, state FROM toji_import"):
            self.wrong.append(f"the journal has {row}")
        self.builds()
        self.records()
        self.files()
        self.repositories()

    def has(self, rel, size=None, kind=None, value=None, may_miss=False):
        """Wants a file with a size and a sum."""
        self.known.add(rel)
        path = self.stage.place(rel)
        if not path.is_file():
            if not may_miss:
                self.wrong.append(f"a row has {rel}, which is missing")
        elif size is not None and path.stat().st_size != size:
            self.wrong.append(f"{rel} has {path.stat().st_size} bytes, the row {size}")
        elif value and digest(path, kind) != value:
            self.wrong.append(f"{rel} has another {kind} than its row")

    def builds(self):
        """Complete builds have all that their rows say."""
        self.dirs = {}
        for ident, name, version, release, state, volume in self.stage.rows(
                "SELECT b.id, p.name, b.version, b.release, b.state, v.name FROM build b JOIN package p ON p.id = b.pkg_id "
                "JOIN volume v ON v.id = b.volume_id"):
            if state != 1:
                continue
            base = "" if volume == "DEFAULT" else f"vol/{volume}/"
            self.dirs[ident] = f"{base}packages/{name}/{version}/{release}"
            link = self.top / f"packages/{name}/{version}/{release}"
            if volume != "DEFAULT" and not (link.is_symlink() and (volume == "far" or link.exists())):
                self.wrong.append(f"{link} does not lead to {volume}")
        for ident, build, name, version, release, arch, size in self.stage.rows(
                "SELECT id, build_id, name, version, release, arch, size FROM rpminfo WHERE build_id IS NOT NULL"):
            if build not in self.dirs:
                continue
            file = f"{arch}/{name}-{version}-{release}.{arch}.rpm"
            self.has(f"{self.dirs[build]}/{file}", size)
            for key, sighash in self.stage.rows(f"SELECT sigkey, sighash FROM rpmsigs WHERE rpm_id = {ident}"):
                part = f"{key}/" if key else ""
                self.has(f"{self.dirs[build]}/data/sigcache/{part}{file}.sig", kind="md5", value=sighash)
        for build, filename, size, checksum, kind, btype in self.stage.rows(
                "SELECT a.build_id, a.filename, a.size, a.checksum, a.checksum_type, b.name FROM archiveinfo a JOIN btype b ON b.id = a.btype_id"):
            if build in self.dirs:
                place = "images" if btype == "image" else f"files/{btype}"
                self.has(f"{self.dirs[build]}/{place}/{filename}", size, ["md5", "sha1", "sha256"][kind], checksum)

    def records(self):
        """What has a digest is there."""
        for path, size, sha256 in self.stage.rows("SELECT path, size, sha256 FROM toji_file"):
            self.has(path, size, "sha256", sha256)

    def files(self):
        """Every file belongs to a complete build, every link leads somewhere."""
        places = set(self.dirs.values())
        for root in ("packages", "vol/one/packages", ".import-journal", *(["vol/far/packages"] if self.stage.bucket else [])):
            base = self.stage.place(root)
            for dir, names, files in os.walk(base):
                for name in names + files:
                    path = Path(dir, name)
                    rel = f"{root}/{path.relative_to(base)}"
                    if PASSING.match(name) or root.startswith("."):
                        self.wrong.append(f"{rel} is left")
                    elif path.is_symlink():
                        # What is in a bucket is not there for this machine.
                        if not path.exists() and "/vol/far/" not in os.readlink(path):
                            self.wrong.append(f"{rel} leads to nothing")
                    elif path.is_file() and not self.explained(rel, places):
                        self.wrong.append(f"no row has {rel}")
                # The server of the bucket keeps directories of objects that are gone.
                deep = dir.count("/") - str(base).count("/") == 3 and root != "vol/far/packages"
                if deep and f"{root}/{Path(dir).relative_to(base)}" not in places:
                    self.wrong.append(f"no complete build has {dir}")

    def explained(self, rel, places):
        """Whether a row or its build explains a file."""
        if rel in self.known:
            return True
        place = next((place for place in places if rel.startswith(f"{place}/")), None)
        rest = rel[len(place) + 1:] if place else ""
        return rest == "metadata.json" or rest.startswith("data/logs/") or (rest.startswith("data/sigcache/") and rest.endswith(".save"))

    def repositories(self):
        """Repositories that are ready have their metadata, and directories have their rows."""
        states = {ident: (state, tag) for ident, state, tag in self.stage.rows("SELECT r.id, r.state, t.name FROM repo r JOIN tag t ON t.id = r.tag_id")}
        for ident, (state, tag) in states.items():
            if state == 1 and not (self.top / f"repos/{tag}/{ident}/x86_64/repodata/repomd.xml").is_file():
                self.wrong.append(f"repository {ident} is ready without its metadata")
        for path in (self.top / "repos").glob("*/[0-9]*"):
            if int(path.name) not in states:
                self.wrong.append(f"no repository has {path}")


class Figures:
    """What the interruptions have shown."""

    def __init__(self):
        self.struck, self.steps, self.broken, self.slowest = Counter(), {}, [], 0.0
        self.where = "PostgreSQL" if Server.postgres else "SQLite"

    def held(self):
        """Whether every invariant held."""
        return not self.broken and self.slowest < LONGEST

    def line(self):
        """One line for the report."""
        each = ", ".join(f"{deed} {count}" for deed, count in sorted(self.struck.items()))
        steps = ", ".join(f"{deed} {count}" for deed, count in self.steps.items())
        return (f"store on {self.where}: {sum(self.struck.values())} interruptions ({each}); steps of an undisturbed deed: {steps}; slowest start with "
                f"recovery {self.slowest:.2f} s; {len(self.broken)} broken")


class Campaign:
    """Each deed is interrupted at each of its steps, in turns, until there were enough interruptions."""

    def __init__(self, toji, directory, seed, names=(), bucket=None):
        self.toji, self.figures, self.dice = toji, Figures(), random.Random(seed)
        self.stage = Stage(toji, directory, bucket)
        self.deeds = [kind(self.stage) for kind in DEEDS if (not names or kind.name in names) and (bucket or kind not in (Away, Straight))]

    def run(self, times):
        """Interrupts so often."""
        try:
            for deed in self.deeds:
                self.measure(deed)
            turns = [self.turn(deed, what) for what in (KILL, FULL) for deed in self.deeds]
            count = 0
            while count < times:
                for turn in turns:
                    count += next(turn)
                    if count >= times:
                        break
            self.agree("at the end")
        finally:
            self.figures.slowest = self.stage.slowest
            self.stage.server.kill()
        return self.figures

    def measure(self, deed):
        """How many steps an undisturbed deed has."""
        deed.before()
        self.stage.steps.arm(1 << 40, KILL)
        deed.make()
        self.figures.steps[deed.name] = self.stage.steps.disarm()
        if not deed.done():
            raise RuntimeError(f"{deed.name} does not do what it should")
        deed.after()
        try:
            self.stage.settle()
        except RuntimeError as error:
            raise RuntimeError(f"{deed.name}, not interrupted: {error}") from error
        wrong = Look(self.stage).wrong
        if wrong:
            raise RuntimeError(f"{deed.name} leaves without any interruption: {wrong}")

    def turn(self, deed, what):
        """One interruption after the other, at steps in an order that chance has made."""
        while True:
            steps = list(range(1, self.figures.steps[deed.name] + 1))
            self.dice.shuffle(steps)
            for step in steps:
                yield self.interrupt(deed, what, step)

    def interrupt(self, deed, what, step):
        """One interruption, recovery and look; 1 if it struck."""
        stage, name = self.stage, f"{deed.name} {'killed' if what == KILL else 'full'} at {step}"
        deed.before()
        stage.steps.arm(step, what)
        with contextlib.suppress(Fault, OSError, RuntimeError, ValueError, json.JSONDecodeError, EOFError):
            deed.make()
        counted = stage.steps.disarm()
        struck = counted >= step
        try:
            if what == KILL and struck:
                stage.server.process.wait(20)
            stage.restart()
            self.look(name)
            deed.make()
            if not deed.done():
                self.note(f"{name}: it cannot be done again")
            stage.settle()
            self.look(f"{name}, done again")
        except Exception as error:  # what is not foreseen breaks the campaign's promise, too
            self.note(f"{name}: {type(error).__name__}: {error}")
            if not stage.server.alive():
                stage.restart()
        with contextlib.suppress(Fault):
            deed.after()
        if struck:
            self.figures.struck[f"{deed.name}{'' if what == KILL else ' full'}"] += 1
        return int(struck)

    def look(self, name):
        """Looks at database and directories."""
        for wrong in Look(self.stage).wrong:
            self.note(f"{name}: {wrong}")
        if sum(self.figures.struck.values()) % 20 == 0:
            self.agree(name)

    def agree(self, name):
        """`toji fsck` must find nothing."""
        place = ["--data", self.stage.server.data, *(["--database", self.stage.server.database_url()] if Server.postgres else [])]
        done = subprocess.run([self.toji, "fsck", *place, "--json", "--quiet"], capture_output=True, text=True)
        if done.returncode:
            self.note(f"{name}: fsck: {done.stdout}{done.stderr[-500:]}")

    def note(self, text):
        """Records what did not hold."""
        self.figures.broken.append(text)
        print(f"  !! {text}", flush=True)


def run(toji, directory, times, seed, names=(), bucket=None):
    """The figures of so many interruptions; with a bucket builds go there, too."""
    return Campaign(toji, directory, seed, names, bucket).run(times)
