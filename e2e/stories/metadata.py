"""A store that another hub has filled: the repository metadata of its RPMs are made in the background."""

import time

from harness.command import run
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, story, that

SUBPACKAGE = "%package -n {name}\nSummary: {name}\n%description -n {name}\n{name}.\n%files -n {name}\n"
COUNT = 40


@story(own=True, slow=True)
def made_in_the_background(own):
    """The hub is killed in the middle and goes on; files that cannot be read are named and left alone until they are asked for."""
    server = Server(own.toji, own.dir / "server").start()
    try:
        w = own.world(server)
        pkg = w.name("many")
        more = "".join(SUBPACKAGE.format(name=f"{pkg}-{number}") for number in range(COUNT - 2))
        rpms = binary_rpm(w.dir / "rpms", pkg, more=more)
        eq(len(rpms), COUNT, "the packages")
        w.koji("import", "--create-build", *rpms)
        eq(server.stop(), 0, "the exit code")
        server.sql("DELETE FROM toji_rpm_fragment")
        server.sql("UPDATE toji_metadata_job SET floor = 0, position = 0, top = 0, rate = 8")
        lost, cut = (w.topdir("packages", pkg, "1.0", "1", "noarch", f"{pkg}-{n}-1.0-1.noarch.rpm") for n in (3, 7))
        whole = [lost.read_bytes(), cut.read_bytes()]
        lost.unlink()
        cut.write_bytes(whole[1][:100])
        server.start()
        w.renew()
        before = wait(w, lambda job: job["made"] >= 10)
        that(before["made"] < COUNT - 2, f"all was made at once: {before}")
        server.kill()
        server.start()
        w.renew()
        after = w.hub.call("repo.metadataJob")
        that(after["made"] >= before["made"] and after["of"] == before["of"], f"{after} after {before}")
        has(admin(w, "--rate", "0", "--workers", "2"), "as many as possible")
        job = wait(w, lambda job: job["state"] == "done")
        eq((job["made"], job["failed"]), (COUNT - 2, 2), "what was made, and what failed")
        said = admin(w)
        has(said, f"done: looked at {COUNT} of {COUNT} RPMs (100 %)", f"made: {COUNT - 2}, not readable: 2, as many as possible, 2 at a time",
            f"{pkg}-3-1.0-1.noarch: cannot read", "no such file", f"{pkg}-7-1.0-1.noarch: cannot read")
        has(server.log_tail(400), f"{lost.name}: no such file")
        for path, data in zip((lost, cut), whole):
            path.write_bytes(data)
        has(admin(w, "--retry"), "RPMs")
        job = wait(w, lambda job: job["state"] == "done")
        eq((job["made"], job["failed"]), (2, 0), "what was made of those that failed")
    finally:
        server.stop()


def wait(w, enough, timeout=120):
    """How far the job is once that is enough."""
    deadline = time.monotonic() + timeout
    while True:
        job = w.hub.call("repo.metadataJob")
        if enough(job):
            return job
        that(time.monotonic() < deadline, f"the job stands still: {job}")
        time.sleep(0.05)


def admin(w, *words):
    """What `toji admin metadata` says."""
    ready = w.ready
    login = ["--server", ready["hub"], "--user", ready["admin_user"]]
    return run(w.server.toji, "admin", "metadata", *words, *login, stdin=ready["admin_password"].encode())
