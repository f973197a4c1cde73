"""The Python package: built by maturin, installed by pip, used as users of txkoji use theirs."""

import os
import sys
from pathlib import Path

from harness.command import run
from harness.rpms import srpm
from harness.server import Server
from harness.story import has, story
from stories.upstream import ROOT

HERE = ROOT / "bindings" / "python"


@story(own=True, slow=True, hand=True)
def python(own):
    """A wheel is made and installed; a program logs in, lists, submits, watches and reads with it, awaited and waiting."""
    # By name only: where nothing of it is compiled yet, the library and what it needs take two minutes of a processor.
    venv, wheels = own.dir / "venv", own.dir / "wheels"
    # What Toji's own build has compiled is used again.
    env = {"CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR") or str(ROOT / "target"), "CARGO_INCREMENTAL": "0"}
    maturin = ROOT / ".x" / "maturin" / "bin" / "maturin"
    made = run(maturin, "build", "--locked", "--profile", "dev", "--interpreter", sys.executable, "--out", wheels, cwd=HERE, env=env, timeout=1800)
    has(made.err + made.out, "abi3")
    run(sys.executable, "-m", "venv", venv)
    run(venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--no-index", next(Path(wheels).glob("*.whl")))
    server = Server(own.toji, own.dir / "data").start()
    try:
        ready = server.ready
        said = run(venv / "bin" / "python", HERE / "tests" / "story.py", ready["hub"], ready["admin_user"], ready["admin_password"],
                   own.dir / "home", srpm(own.dir, "pypkg"), timeout=180)
        has(said, "all of it")
    finally:
        server.stop()
