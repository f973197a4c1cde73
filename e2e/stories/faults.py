"""A few repetitions of each fault that needs no privileges; `./x faults` repeats them hundreds of times."""

from faults.kinds import KINDS
from faults.run import run
from harness.story import story, that

TIMES = 4
SELECTION = ["builder-kill", "hub-kill", "database-kill", "two-hubs"]


@story(own=True, slow=True)
def what_must_hold_holds(own):
    """Builders, hubs and databases end with kill -9 at named points of a task's life: nothing is lost, doubled or stuck."""
    for name in SELECTION:
        that(name in KINDS, f"there is no fault {name}")
        figures = run(name, own.toji, own.dir / name, TIMES, 0)
        that(figures.held(), "\n".join([figures.line(), *figures.notes]))
