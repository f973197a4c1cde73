"""The faults: each strikes, and makes good what an administrator or a service manager would."""

import glob
import threading
import time

from . import network

KINDS = {}
# A lost builder is found, and its tasks are queued again, within so many seconds.
FOUND, QUEUED = 30, 60


class Kind:
    """A fault; `farm` says what it needs, `points` where it strikes."""

    farm, points, builds, needs_network, settle = {}, ["random"], 0, False, 90
    # Seconds that another task of each blow takes, if it has one.
    extra = 0
    # How many builders are struck in a round, each at a point of its own; 1 for what there is only one of.
    strikes = 1
    # Whether a victim is made whole before the next one is struck.
    at_once = True
    about = ""

    def __init_subclass__(cls):
        if hasattr(cls, "name"):
            KINDS[cls.name] = cls

    def strike(self, farm, blow):
        """Breaks something."""

    def recover(self, farm, blow):
        """Makes it whole again."""

    def watch(self, farm, blows):
        """Looks on after all blows of a round; gives lines about what does not hold."""
        return []

    def after(self, farm, blow):
        """What is left to do when all tasks have ended."""


EVERY = ["made", "assigned", "opening", "opened", "uploading", "waiting", "closing", "closed", "random"]
HELD = ["assigned", "opened", "waiting", "closing", "random"]


class OfBuilders(Kind):
    """Strikes several builders of a round, each at its point; `blow.victim` is the one that has the task at that point."""

    farm, strikes = {"builders": 5}, 4


class BuilderKill(OfBuilders):
    """A builder ends with kill -9 and is started again at once."""

    name, points, builds = "builder-kill", EVERY, 9

    def strike(self, farm, blow):
        blow.victim.kill()

    def recover(self, farm, blow):
        blow.victim.spawn()


class Given(OfBuilders):
    """A builder goes away until its tasks were given to others."""

    farm, strikes, at_once = {"builders": 5}, 3, False

    def watch(self, farm, blows):
        """Waits until nothing is on the victims any more; notes how long that took."""
        waiting = list(blows)
        deadline = max(blow.begin for blow in blows) + 90
        lines = []
        while waiting and time.monotonic() < deadline:
            for blow in list(waiting):
                host = blow.victim.name
                if blow.found is None:
                    lost = farm.ask(f"SELECT lost IS NOT NULL FROM toji_host_stream s JOIN host h ON h.id = s.host_id WHERE h.name = '{host}'")
                    blow.found = time.monotonic() - blow.begin if lost == "t" else None
                query = f"SELECT count(*) FROM task t JOIN host h ON h.id = t.host_id WHERE h.name = '{host}' AND t.state IN (1, 4)"
                if blow.found is not None and farm.ask(query, "1") == "0":
                    blow.queued = time.monotonic() - blow.begin
                    waiting.remove(blow)
            time.sleep(0.02)
        for blow in blows:
            if blow.found is None or blow.found > FOUND:
                lines.append(f"{blow.victim.name} was found to be lost after {blow.found} s")
            if blow.queued is None or blow.queued > QUEUED:
                lines.append(f"the tasks of {blow.victim.name} were queued again after {blow.queued} s")
        return lines


class BuilderLost(Given):
    """A builder ends with kill -9 and stays away until others have done its tasks."""

    name, points = "builder-lost", ["assigned", "opening", "opened", "waiting", "closing", "random"]

    def strike(self, farm, blow):
        blow.victim.kill()

    def after(self, farm, blow):
        blow.victim.spawn()


class BuilderStop(Given):
    """A builder stands still for longer than the time-out; its tasks go elsewhere, its late results are refused."""

    name, points = "builder-stop", ["opened", "waiting", "opened", "assigned", "opened", "closing", "random"]

    def strike(self, farm, blow):
        blow.victim.stop()

    def watch(self, farm, blows):
        lines = super().watch(farm, blows)
        for blow in blows:
            blow.victim.resume()
        return lines


class ClockBuilder(OfBuilders):
    """A builder whose clock is an hour off, killed and started again with the other sign."""

    name, points = "clock-builder", HELD

    def strike(self, farm, blow):
        victim = blow.victim
        victim.hours = -getattr(victim, "hours", farm.dice.choice([1, -1]))
        victim.kill()
        victim.env = faked(victim.hours)

    def recover(self, farm, blow):
        blow.victim.spawn()


class HubKill(Kind):
    """The hub ends with kill -9 and is started again at once."""

    name, points, builds = "hub-kill", EVERY, 9

    def strike(self, farm, blow):
        farm.hubs[0].kill()

    def recover(self, farm, blow):
        farm.hubs[0].start()


class DatabaseKill(Kind):
    """Every process of PostgreSQL ends with kill -9, and the server is started again at once."""

    name, points, builds = "database-kill", EVERY, 9

    def strike(self, farm, blow):
        farm.kill_database()

    def recover(self, farm, blow):
        farm.start_database()


class DatabaseRestart(Kind):
    """PostgreSQL is restarted in good order under load."""

    name, points = "database-restart", ["random", *HELD]

    def strike(self, farm, blow):
        farm.postgres.stop("fast")

    def recover(self, farm, blow):
        farm.start_database()


class TwoHubs(Kind):
    """One of two hubs on one database ends with kill -9; the other one goes on."""

    name, points, farm = "two-hubs", ["made", "assigned", "opening", "opened", "waiting", "closing", "random"], {"hubs": 2, "builders": 2}

    def strike(self, farm, blow):
        blow.victim = farm.dice.choice(farm.hubs)
        blow.victim.kill()

    def recover(self, farm, blow):
        blow.victim.start()


class ClockHub(Kind):
    """A hub whose clock is an hour off, killed and started again with the other sign."""

    name, points = "clock-hub", HELD
    hours = 1

    def strike(self, farm, blow):
        self.hours = -self.hours
        farm.hubs[0].kill()
        farm.hubs[0].env = faked(self.hours)

    def recover(self, farm, blow):
        farm.hubs[0].start()


def faked(hours):
    """The environment of a program whose clock is off."""
    library = next(iter(sorted(glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1"))))
    return {"LD_PRELOAD": library, "FAKETIME": f"{hours:+d}h", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


class Cut(Kind):
    """Nothing that the one sends reaches the other: for a second or two, or for longer than the time-outs."""

    needs_network, at_once = True, False
    # How many of the cuts are longer than the time-outs.
    long = 0.25

    def strike(self, farm, blow):
        blow.pairs = self.pairs(farm, blow)
        blow.long = farm.dice.random() < self.long
        seconds = self.seconds(farm, blow)
        for pair in blow.pairs:
            farm.network.cut(*pair)
        blow.timer = threading.Timer(seconds, self.heal, (farm, blow))
        blow.timer.start()

    def seconds(self, farm, blow):
        """How long a cut is."""
        return farm.dice.uniform(1.1, 1.5) * farm.given_away() if blow.long else farm.dice.uniform(0.2, 1.5)

    def heal(self, farm, blow):
        """Lets everything through again."""
        for pair in blow.pairs:
            farm.network.heal(*pair)

    def recover(self, farm, blow):
        blow.timer.join()


class CutBuilderHub(OfBuilders, Cut):
    """Nothing of a builder reaches the hub."""

    name, points, at_once = "cut-builder-hub", HELD, False

    def pairs(self, farm, blow):
        """From whom to whom."""
        return [(blow.victim.name, hub.name) for hub in farm.hubs]


class CutHubBuilder(OfBuilders, Cut):
    """Nothing of the hub reaches a builder."""

    name, points, at_once = "cut-hub-builder", HELD, False

    def pairs(self, farm, blow):
        """From whom to whom."""
        return [(hub.name, blow.victim.name) for hub in farm.hubs]


class CutOff(OfBuilders, Cut):
    """A builder is cut off both ways for so long that its tasks are surely others': it stops them."""

    name, points, at_once, long, extra = "cut-off", ["opened"], False, 1.0, 15

    def pairs(self, farm, blow):
        """From whom to whom."""
        blow.before = blow.victim.told("others have this builder's tasks by now")
        names = [hub.name for hub in farm.hubs]
        return [(blow.victim.name, name) for name in names] + [(name, blow.victim.name) for name in names]

    def seconds(self, farm, blow):
        return farm.given_away() + 20

    def watch(self, farm, blows):
        lines = []
        for blow in blows:
            blow.timer.join()
            if blow.victim.told("others have this builder's tasks by now") == blow.before:
                lines.append(f"{blow.victim.name} has not stopped its tasks")
        return lines


class CutHubDatabase(Cut):
    """Nothing of the hub reaches the database."""

    name, points = "cut-hub-database", HELD

    def pairs(self, farm, blow):
        """From whom to whom."""
        return [(hub.name, "database") for hub in farm.hubs]


class CutDatabaseHub(Cut):
    """Nothing of the database reaches the hub."""

    name, points = "cut-database-hub", HELD

    def pairs(self, farm, blow):
        """From whom to whom."""
        return [("database", hub.name) for hub in farm.hubs]


def why_not(kind):
    """Why the machine cannot have this fault, or nothing."""
    return network.problem() if kind.needs_network else None
