"""Every command of the stock client has a story."""

import re

import commands
from harness.story import STORIES, eq, story


@story()
def every_command(w):
    """The client's own list of commands, and the list of what covers them, have the same names."""
    listed = w.anonymous("help", "all").out
    found = set(re.findall(r"^        ([a-z][-a-z]*) ", listed, re.MULTILINE))
    known = commands.COVERED.keys() | commands.UNCOVERED.keys()
    eq(sorted(found - known), [], "the commands of the client that e2e/commands.py does not have")
    eq(sorted(known - found), [], "the commands in e2e/commands.py that the client does not have")
    eq(sorted(commands.COVERED.keys() & commands.UNCOVERED.keys()), [], "the commands that are both covered and not")
    labels = {s.label for s in STORIES}
    eq(sorted(s for s in commands.COVERED.values() if s not in labels), [], "the stories that do not exist")
