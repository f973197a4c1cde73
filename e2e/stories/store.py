"""The store proved: `toji fsck` and `toji checksum` as programs, killed and resumed, and everything that changes files interrupted."""

import json
import signal
import subprocess

from faults import store as campaign
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, story, that
from stories.workers import until

# Interruptions of each kind of deed and blow that run by default; `./x faults store` makes more than a thousand.
TIMES = 22


@story(own=True, slow=True)
def interrupted(own):
    """kill -9 and a full disk while files and rows change: after the next start both agree, and the same can be done again."""
    figures = campaign.run(own.toji, own.dir / "store", TIMES, 0)
    that(figures.held(), "\n".join([figures.line(), *figures.broken]))


@story(own=True, slow=True)
def programs(own):
    """Damage is found and mended by the programs; one that is killed goes on where it was."""
    server = Server(own.toji, own.dir / "server", extra=["--no-builder"]).start()
    try:
        w = own.world(server)
        w.koji("import", "--create-build", *binary_rpm(w.dir, "shelf"))
        place = ["--data", server.data, *(["--database", server.database_url()] if Server.postgres else [])]

        def run(code, *words):
            names = 2 if words[0] == "checksum" else 1
            done = subprocess.run([own.toji, *words[:names], *place, *words[names:]], capture_output=True, text=True)
            eq(done.returncode, code, f"the exit code of {words}: {done.stdout}{done.stderr}")
            return done.stdout

        has(run(0, "fsck"), " 0 findings left")
        eq(json.loads(run(0, "checksum", "scan", "--json", "--quiet").splitlines()[-1])["damaged"], 0, "the damages")
        rpm = next(w.topdir("packages/shelf").rglob("*.noarch.rpm"))
        whole = rpm.read_bytes()
        rpm.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        has(run(1, "checksum", "scan", "--quiet"), "changed rpm packages/shelf/1.0/1/noarch/shelf-1.0-1.noarch.rpm")
        has(run(0, "checksum", "report"), "1 files are known to be damaged")
        header = next(w.topdir("packages/shelf").rglob("*.src.rpm.sig"))
        header.unlink()
        has(run(1, "fsck"), "missing signature-header")
        has(run(0, "fsck", "--repair"), "mended: write it anew from another copy")
        rpm.write_bytes(whole)
        # At a thousand bytes a second it would take a while.
        slow = subprocess.Popen([own.toji, "checksum", "scan", *place, "--rate", "1000", "--restart", "--quiet"], stdout=subprocess.DEVNULL)
        until(lambda: not all(one["ended"] for one in json.loads(run(0, "checksum", "report", "--json"))["runs"]), "begin of a run")
        slow.send_signal(signal.SIGKILL)
        slow.wait()
        ended = json.loads(run(0, "checksum", "scan", "--json", "--quiet").splitlines()[-1])
        eq((ended["resumed"], ended["whole"], ended["damaged"]), (True, True, 0), "the run that goes on")
    finally:
        server.stop()
