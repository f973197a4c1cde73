"""The Python package: built by maturin from PyPI, installed by pip, used as users of txkoji use theirs."""

import sys

from harness.command import run
from harness.server import Server
from harness.story import has, story
from stories.upstream import ROOT

MATURIN = "maturin>=1.8,<2"


@story(own=True, slow=True, hand=True)
def binding(own):
    """A wheel is made, installed, and does a story, awaited and waiting. By hand: the library is built once more for it."""
    venv, wheels = own.dir / "venv", own.dir / "wheels"
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", MATURIN, timeout=600)
    env = {"CARGO_TARGET_DIR": str(ROOT / "target" / "python"), "PATH": f"{venv / 'bin'}:/usr/local/bin:/usr/bin:/bin"}
    made = run(venv / "bin" / "maturin", "build", "--profile", "dev", "--out", wheels, cwd=ROOT / "bindings" / "python", env=env,
               timeout=1800)
    has(made.err + made.out, "abi3")
    wheel = next(wheels.glob("*.whl"))
    run(venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", wheel)
    server = Server(own.toji, own.dir / "data").start()
    try:
        ready = server.ready
        said = run(venv / "bin" / "python", ROOT / "bindings" / "python" / "tests" / "story.py", ready["hub"], ready["admin_user"],
                   ready["admin_password"], own.dir / "home")
        has(said, "all of it")
    finally:
        server.stop()
