"""Repository metadata read back into plain values, to compare two writers entry by entry."""

import gzip
import subprocess
import xml.etree.ElementTree as tree
from pathlib import Path

# What describes one run of a writer, not the packages.
IGNORED = {"{http://linux.duke.edu/metadata/common}time": {"file"}, "{http://linux.duke.edu/metadata/common}location": {"href", "{http://www.w3.org/XML/1998/namespace}base"}}


def unpack(path):
    """The bytes of a compressed or plain file."""
    path = Path(path)
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
    return path.read_bytes()


def parts(directory):
    """The kinds of metadata that repomd.xml lists, with the files' paths."""
    root = tree.parse(Path(directory) / "repodata/repomd.xml").getroot()
    space = "{http://linux.duke.edu/metadata/repo}"
    return {d.get("type"): Path(directory) / d.find(f"{space}location").get("href") for d in root.iter(f"{space}data")}


def value(node):
    """An element as nested tuples; the order of dependencies and files is not part of a repository's meaning."""
    left_out = IGNORED.get(node.tag, ())
    attributes = tuple(sorted((k, v) for k, v in node.attrib.items() if k not in left_out))
    children = [value(child) for child in node]
    if not node.tag.endswith("}package"):
        children.sort()
    return (node.tag.rsplit("}", 1)[-1], attributes, (node.text or "").strip(), tuple(children))


def packages(directory, kind):
    """The entries of primary, filelists or other, by package checksum."""
    root = tree.fromstring(unpack(parts(directory)[kind]))
    found = {}
    for package in root:
        if not package.tag.endswith("}package"):
            continue
        key = package.get("pkgid") or next(c.text for c in package if c.tag.endswith("}checksum"))
        found[key] = {v[:2] if kind == "primary" and v[0] in ("location",) else v for v in map(value, package)} | {
            ("package", tuple(sorted(package.attrib.items())), "", ())}
    return found, int(root.get("packages"))


def differences(mine, other, kind):
    """What two writers say differently, as lines; empty when they agree."""
    (a, a_count), (b, b_count) = packages(mine, kind), packages(other, kind)
    lines = []
    if a_count != len(a) or b_count != len(b):
        lines.append(f"{kind}: announced {a_count} and {b_count}, found {len(a)} and {len(b)}")
    for key in sorted(a.keys() ^ b.keys()):
        lines.append(f"{kind}: package {key} is only in {'the first' if key in a else 'the second'}")
    for key in sorted(a.keys() & b.keys()):
        if a[key] != b[key]:
            lines.append(f"{kind}: package {key}\n  only first:  {sorted(a[key] - b[key])}\n  only second: {sorted(b[key] - a[key])}")
    return lines
