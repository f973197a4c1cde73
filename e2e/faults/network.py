"""Network namespaces for the parts of a farm, and cuts between them in one direction.

A cut gives one side a wrong hardware address of the other: what it sends is lost without a word, as in a broken network."""

import itertools
import os
import subprocess

NOWHERE = "02:00:00:00:00:01"


def ip(*words, check=True):
    """Runs `ip`."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done.returncode == 0


def problem():
    """Why this machine has no namespaces, or nothing."""
    name = f"toji-try-{os.getpid()}"
    try:
        ip("netns", "add", name)
        ip("link", "add", "toji-try0", "type", "veth", "peer", "name", "toji-try1")
        ip("link", "del", "toji-try0")
        ip("link", "add", "toji-try2", "type", "bridge")
        ip("link", "del", "toji-try2")
    except (RuntimeError, FileNotFoundError) as error:
        return str(error)
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return None


class Network:
    """A bridge of its own with a namespace for each part."""

    numbers = itertools.count(os.getpid() % 200)

    def __init__(self, parts):
        number = next(Network.numbers) % 250
        self.bridge, self.tag = f"tojibr{number}", f"toji{number}"
        self.net = f"10.231.{number}"
        self.parts = {part: n + 2 for n, part in enumerate(parts)}

    def __enter__(self):
        self.__exit__()
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{self.net}.1/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for part, number in self.parts.items():
            space, outer = self.space(part), f"{self.tag}v{number}"
            ip("netns", "add", space)
            ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", outer, "master", self.bridge, "up")
            ip("-n", space, "addr", "add", f"{self.address(part)}/24", "dev", "eth0")
            ip("-n", space, "link", "set", "eth0", "up")
            ip("-n", space, "link", "set", "lo", "up")
        return self

    def __exit__(self, *failure):
        for part in self.parts:
            ip("netns", "del", self.space(part), check=False)
        ip("link", "del", self.bridge, check=False)

    def space(self, part):
        """The name of a part's namespace."""
        return f"{self.tag}-{part}"

    def address(self, part):
        """The address of a part."""
        return f"{self.net}.{self.parts[part]}"

    def cut(self, sender, receiver):
        """From now on nothing of the sender reaches the receiver."""
        ip("-n", self.space(sender), "neigh", "replace", self.address(receiver), "lladdr", NOWHERE, "dev", "eth0", "nud", "permanent")

    def heal(self, sender, receiver):
        """Ends a cut."""
        ip("-n", self.space(sender), "neigh", "del", self.address(receiver), "dev", "eth0", check=False)
