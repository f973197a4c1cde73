"""Builders that a story starts by itself: one on the stock client library, and `toji builder`."""

from pathlib import Path

from . import stock
from .program import Program

WORKER = Path(__file__).resolve().parent / "worker"
PASSWORD = "the password of every builder"


def add_host(world, name, arches="x86_64", channels=(), capacity=8):
    """Makes a host that may log in by password, in these channels beside `default` and `createrepo`."""
    world.koji("add-host", name, *arches.split())
    world.koji("edit-host", name, "--capacity", str(capacity))
    for channel in ["createrepo", *channels]:
        world.koji("add-host-to-channel", "--new", name, channel)
    world.server.set_password(name, PASSWORD)


class StockWorker(Program):
    """The worker in `e2e/harness/worker`, which is made of the stock client library."""

    def __init__(self, world, name, *options):
        self.calls = world.dir / f"{name}.calls"
        super().__init__(name, world.dir, [
            stock.python(world.koji_program), "-W", "ignore", "-B", WORKER, "--server", world.ready["hub"], "--topurl", world.ready["files"],
            "--topdir", world.ready["topdir"], "--user", name, "--password", PASSWORD, "--workdir", world.dir / name, "--calls", self.calls, *options])

    def made(self):
        """The names of the calls that were answered without a fault."""
        return set(self.calls.read_text().split()) if self.calls.exists() else set()


class TojiBuilder(Program):
    """A `toji builder`, configured by a kojid.conf of the story."""

    def __init__(self, world, name, toji, server=None, options=(), sections=None, own=None, env=None, room=None, **conf):
        self.workdir = world.dir / name
        self.workdir.mkdir(exist_ok=True)
        self.conf = stock.conf(world.dir / f"{name}.conf", kojid={
            "server": server or world.ready["hub"], "topurl": world.ready["files"], "user": name, "password": PASSWORD,
            "workdir": self.workdir, "minspace": 0, "sleeptime": 2, **conf}, toji={"max_load": 0, **(own or {})}, **(sections or {}))
        command = [Path(toji).resolve(), "builder", "--config", self.conf, *options]
        if room:
            # In namespaces of its own, so that it needs no rights: a work directory of that size.
            script = f'mount -t tmpfs -o size={room} none "$0" && exec "$@"'
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, self.workdir, *command]
        super().__init__(name, world.dir, command, env)


class SiteBuilder(Program):
    """A `toji builder` at a site's hub, whose kojid.conf has these options beside the usual ones."""

    def __init__(self, own, site, name, **options):
        place = own.dir / name
        place.mkdir()
        self.conf = stock.conf(place / "kojid.conf", kojid={
            "server": site.hub.tls, "serverca": site.authority.ca, "workdir": place / "work", "minspace": 0, "max_load": 0,
            "sleeptime": 1, **options})
        super().__init__(name, place, [Path(own.toji).resolve(), "builder", "--config", self.conf], site.env())
