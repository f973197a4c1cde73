"""The faults: each strikes, and makes good what an administrator or a service manager would."""

import glob
import time

from . import network

KINDS = {}


class Kind:
    """A fault; `farm` says what it needs, `points` where it strikes."""

    farm, points, builds, database, needs_network, settle = {}, ["random"], 0, "postgres", False, 90
    about = ""

    def __init_subclass__(cls):
        KINDS[cls.name] = cls

    def strike(self, farm):
        """Breaks something."""

    def recover(self, farm):
        """Makes it whole again."""

    def check(self, farm, since):
        """What else must hold; lines about what does not."""
        return []


EVERY = ["made", "assigned", "opening", "opened", "uploading", "waiting", "closing", "closed", "random"]


class BuilderKill(Kind):
    """A builder ends with kill -9 and is started again at once."""

    name, points, builds = "builder-kill", EVERY, 20

    def strike(self, farm):
        self.victim = farm.dice.choice(farm.builders)
        self.victim.kill()

    def recover(self, farm):
        self.victim.spawn()


class BuilderLost(Kind):
    """A builder ends with kill -9 and stays away until others have done its tasks."""

    name, points = "builder-lost", ["assigned", "opening", "opened", "waiting", "closing", "random"]

    def strike(self, farm):
        self.victim = farm.dice.choice(farm.builders)
        self.victim.kill()

    def check(self, farm, since):
        self.victim.spawn()
        farm.wait_for_builders()
        return []


class BuilderStop(Kind):
    """A builder stands still for longer than the time-out; its tasks go elsewhere, its late results are refused."""

    name, points = "builder-stop", ["assigned", "opened", "waiting", "closing", "random"]

    def strike(self, farm):
        self.victim = farm.dice.choice(farm.builders)
        self.victim.stop()

    def recover(self, farm):
        host = self.victim.name
        deadline = time.monotonic() + 75
        # Until nothing is on the standing builder any more.
        query = f"SELECT count(*) FROM task t JOIN host h ON h.id = t.host_id WHERE h.name = '{host}' AND t.state IN (1, 4)"
        while farm.ask(query, "1") != "0" and time.monotonic() < deadline:
            time.sleep(0.02)
        self.victim.resume()


class HubKill(Kind):
    """The hub ends with kill -9 and is started again at once."""

    name, points, builds = "hub-kill", EVERY, 20

    def strike(self, farm):
        farm.hubs[0].kill()

    def recover(self, farm):
        farm.hubs[0].start()


class DatabaseKill(Kind):
    """Every process of PostgreSQL ends with kill -9, and the server is started again at once."""

    name, points, builds = "database-kill", EVERY, 20

    def strike(self, farm):
        farm.kill_database()

    def recover(self, farm):
        farm.start_database()


class DatabaseRestart(Kind):
    """PostgreSQL is restarted in good order under load."""

    name = "database-restart"

    def strike(self, farm):
        farm.postgres.stop("fast")

    def recover(self, farm):
        farm.start_database()


class TwoHubs(Kind):
    """One of two hubs on one database ends with kill -9; the other one goes on."""

    name, points, farm = "two-hubs", ["made", "assigned", "opening", "opened", "waiting", "closing", "random"], {"hubs": 2, "builders": 2}

    def strike(self, farm):
        self.victim = farm.dice.choice(farm.hubs)
        self.victim.kill()

    def recover(self, farm):
        self.victim.start()


class ClockBuilder(Kind):
    """A builder whose clock is an hour off, killed and started again with the other sign."""

    name = "clock-builder"
    hours = 1

    def strike(self, farm):
        self.hours = -self.hours
        self.victim = farm.dice.choice(farm.builders)
        self.victim.kill()
        self.victim.env = faked(self.hours)

    def recover(self, farm):
        self.victim.spawn()


class ClockHub(Kind):
    """A hub whose clock is an hour off, killed and started again with the other sign."""

    name = "clock-hub"
    hours = 1

    def strike(self, farm):
        self.hours = -self.hours
        farm.hubs[0].kill()
        farm.hubs[0].env = faked(self.hours)

    def recover(self, farm):
        farm.hubs[0].start()


def faked(hours):
    """The environment of a program whose clock is off."""
    library = next(iter(sorted(glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))))
    return {"LD_PRELOAD": library, "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


def cut(sender, receiver):
    """Makes the fault of a cut in one direction."""

    class Cut(Kind):
        name, needs_network = f"cut-{sender}-{receiver}", True
        about = f"Nothing of the {sender} reaches the {receiver} for a second or two."

        def pairs(self, farm):
            names = {"builder": [b.name for b in farm.builders], "hub": [h.name for h in farm.hubs], "database": ["database"]}
            return [(a, b) for a in names[sender] for b in names[receiver]]

        def strike(self, farm):
            for pair in self.pairs(farm):
                farm.network.cut(*pair)
            time.sleep(farm.dice.uniform(0.2, 1.5))

        def recover(self, farm):
            for pair in self.pairs(farm):
                farm.network.heal(*pair)

    return Cut


for one, other in (("builder", "hub"), ("hub", "builder"), ("hub", "database"), ("database", "hub")):
    cut(one, other)


def why_not(kind):
    """Why the machine cannot have this fault, or nothing."""
    return network.problem() if kind.needs_network else None
