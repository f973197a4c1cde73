"""Published repositories: dnf installs from them, and createrepo_c says the same about the packages."""

import datetime
import gzip
import hashlib
import struct
import urllib.error
import urllib.request
import xml.etree.ElementTree as tree

from harness.command import run
from harness.dnf import dnf, run_inside
from harness.repodata import differences, parts
from harness.rpms import from_spec
from harness.story import eq, has, story, that


def repo_url(w, tag, arch="x86_64"):
    """The address of the tag's current repository, made if needed."""
    repo = w.koji("request-repo", "--wait", "--timeout", "3", "--current", tag).number(r"Got repo (\d+)")
    return f"{w.ready['files']}/repos/{tag}/{repo}/{arch}", repo


@story(slow=True)
def install(w):
    """dnf installs a program and what it requires into an empty root, and the program runs."""
    prog, data = w.name("prog"), w.name("data")
    target = w.target("t", [prog, data])
    w.koji("edit-tag", target, "--arches", "x86_64")
    w.build(target, w.srpm(data))
    w.build(target, w.srpm(prog, arch="x86_64", requires=[data], **program(prog)))
    url, _ = repo_url(w, target)
    root = w.dir / "root"
    dnf(root, url, "install", prog)
    eq(run_inside(root, f"/usr/bin/{prog}").out, "it runs\n", "the program's output")
    eq((root / "usr/share" / data / "hello").read_text(), f"{data} 1.0\n", "the file of the required package")
    has(dnf(w.dir / "root2", url, "install", "no-such-package", code=1).err, "no-such-package")
    has(dnf(w.dir / "root2", url, "repoquery", "--provides", data), f"{data} = 1.0-1")


def program(name):
    """A C program without dependencies of its own, so that an empty root is enough."""
    return {
        "build": "printf '#include <stdio.h>\\nint main(void) { puts(\"it runs\"); return 0; }\\n' > p.c\ngcc -g -O2 -o prog p.c",
        "install": f"install -D prog %{{buildroot}}/usr/bin/{name}",
        "files": f"/usr/bin/{name}",
        "header": "AutoReq: no\n",
    }


MENAGERIE = """Name: {name}
Version: 1.2~rc3
Release: 4
Epoch: 7
Summary: Packages of every kind <&> "quoted"
Summary(de): Pakete jeder Art
License: MIT AND (Apache-2.0 OR GPL-2.0-only)
URL: https://example.com/?a=1&b=2
Vendor: Üser <vendor@example.com>
Packager: Somebody
Group: Development/Tools
%description
Two lines, with <markup>, "quotes" & an ampersand.
Ünïcode: 麹.
%prep
%build
%install
mkdir -p %{{buildroot}}/etc/{name} %{{buildroot}}/usr/bin %{{buildroot}}/usr/share/{name} %{{buildroot}}/usr/lib/{name}
{install}
{subpackages}
%files
%dir /usr/share/{name}
%changelog
{changelog}
"""

SUBPACKAGE = """
%package -n {name}-{n}
Summary: Number {n}
{tags}
%description -n {name}-{n}
Number {n}.
{scripts}
%files -n {name}-{n}
/usr/bin/{name}-{n}
%config(noreplace) /etc/{name}/{n}.conf
/usr/share/{name}/{n}
%dir /usr/lib/{name}
%ghost /usr/share/{name}/{n}/ghost
"""


def menagerie(name, count):
    """A spec file whose subpackages use every kind of dependency, file and script."""
    tags = [
        "Requires: {name}-{prev} >= 7:1.0", "Requires: {name}-{prev} = 7:1.2~rc3-4\nConflicts: nothing-{n} < 2",
        "Provides: virtual({n}) = {n}.{n}-1\nProvides: virtual-{n}\nObsoletes: older-{n} <= 0:3", "Recommends: weak-{n}\nSuggests: weaker-{n} > 1",
        "Supplements: (a-{n} and b-{n})\nEnhances: c-{n}", "Requires: ((x-{n} or y-{n}) if q-{n})",
        "Requires(pre): /bin/sh\nRequires(post): /usr/sbin/thing-{n}\nRequires: /usr/bin/other", "BuildArch: noarch\nRequires: config({name}-{n}) >= 1",
        "Requires: a = 1, b > 2, c >= 3, d < 4, e <= 5, f\nRequires: a = 1", "Provides: bundled(lib-{n}) = 1.0^git{n}",
    ]
    scripts = ["", "%pre -n {name}-{n}\ntrue\n", "%post -n {name}-{n} -p /sbin/ldconfig\n", "%triggerin -n {name}-{n} -- bash\ntrue\n",
               "%posttrans -n {name}-{n} -p <lua>\nprint(1)\n"]
    subpackages, install = [], []
    for n in range(1, count + 1):
        words = {"name": name, "n": n, "prev": n - 1 or 1}
        subpackages.append(SUBPACKAGE.format(
            **words, tags=tags[n % len(tags)].format(**words), scripts=scripts[n % len(scripts)].format(**words)))
        install.append(f"mkdir -p %{{buildroot}}/usr/share/{name}/{n}; echo {n} > %{{buildroot}}/etc/{name}/{n}.conf; "
                       f"printf '#!/bin/sh\\necho {n}\\n' > %{{buildroot}}/usr/bin/{name}-{n}; chmod 755 %{{buildroot}}/usr/bin/{name}-{n}; "
                       f"touch '%{{buildroot}}/usr/share/{name}/{n}/a file <&> ü'; ln -s ../{n} %{{buildroot}}/usr/share/{name}/{n}/link; "
                       f"touch %{{buildroot}}/usr/share/{name}/{n}/ghost")
    days = [(2026, 11, 22), (2026, 2, 28), (2025, 12, 31)] + [(2024 - i, 6, 15) for i in range(12)]
    entries = [f"* {datetime.date(*d).strftime('%a %b %d %Y')} Jørgen <&> <j@example.com> - {i}\n- Entry {i} & more\n- A second <line>" for i, d in enumerate(days)]
    return MENAGERIE.format(name=name, install="\n".join(install), subpackages="".join(subpackages), changelog="\n\n".join(entries))


@story(slow=True)
def like_createrepo(w):
    """Over 200 packages of every kind: the published metadata equal createrepo_c's, entry by entry."""
    name = w.name("zoo")
    target = w.target("t", [name])
    w.koji("edit-tag", target, "--arches", "x86_64")
    text = w.dir / f"{name}.spec"
    text.write_text(menagerie(name, 205))
    w.build(target, from_spec(text, w.dir))
    _, repo = repo_url(w, target)
    mine = w.topdir("repos", target, str(repo), "x86_64")
    files = [p for p in w.topdir("packages", name).rglob("*.rpm") if not p.name.endswith(".src.rpm")]
    that(len(files) >= 200, f"only {len(files)} packages")
    peer = w.dir / "peer"
    peer.mkdir()
    for path in files:
        (peer / path.name).hardlink_to(path) if path.stat().st_dev == peer.stat().st_dev else (peer / path.name).write_bytes(path.read_bytes())
    run("createrepo_c", "-q", "--checksum", "sha256", peer)
    for kind in ("primary", "filelists", "other"):
        found = differences(mine, peer, kind)
        that(not found, "\n".join([f"{len(found)} differences between the hub and createrepo_c", *found[:3]]))
    checksums(w, mine)
    made_anew(w, target, name, mine)


def made_anew(w, target, name, before):
    """What is kept of repositories may be lost or damaged: the next one is the same, and it is kept again."""
    # Where chunks end, and how many there are, depends on the packages' names.
    kept = next(path for path in w.topdir(".repo-chunks").rglob("*/*") if f"<name>{name}-".encode() in primary_of(path))
    whole = kept.read_bytes()
    damages = {"another": None, "a-third": whole[: len(whole) // 2], "a-fourth": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]}
    for group, left in damages.items():
        kept.unlink()
        if left is not None:
            kept.write_bytes(left)
        before = same_again(w, target, group, before)
        that(kept.read_bytes() == whole, f"what is kept after {group}")


def same_again(w, target, group, before):
    """A new repository, which a group asks for; it lists the same packages."""
    w.hub.call("groupListAdd", target, group)
    _, repo = repo_url(w, target)
    after = w.topdir("repos", target, str(repo), "x86_64")
    that(after != before, "there is no new repository")
    for kind in ("primary", "filelists", "other"):
        eq(differences(before, after, kind), [], kind)
    eq(len(list(after.glob("repodata/*-primary.xml.gz"))), 1)
    checksums(w, after)
    return after


def primary_of(chunk):
    """The text of a kept chunk for primary, as it is packed for repositories, with the names of all in it."""
    data = chunk.read_bytes()
    _, _, kept, packed = struct.unpack_from("<4Q", data, 8)
    begin = 8 + 10 * 8 + kept
    return gzip.decompress(data[begin : begin + packed])


def checksums(w, directory):
    """repomd.xml's own sums and sizes hold, over HTTP too."""
    space = "{http://linux.duke.edu/metadata/repo}"
    for data in tree.parse(directory / "repodata/repomd.xml").getroot().iter(f"{space}data"):
        path = directory / data.find(f"{space}location").get("href")
        raw = path.read_bytes()
        eq(hashlib.sha256(raw).hexdigest(), data.find(f"{space}checksum").text, f"the checksum of {path.name}")
        eq(len(raw), int(data.find(f"{space}size").text), f"the size of {path.name}")
        url = f"{w.ready['files']}/{path.relative_to(w.topdir())}"
        with urllib.request.urlopen(url) as answer:
            eq(answer.read(), raw, f"{url}")
    that({"primary", "filelists", "other"} <= parts(directory).keys(), f"only {parts(directory).keys()}")


@story(slow=True)
def files(w):
    """Files are served with listings, ranges, and headers that let caches work."""
    pkg = w.name("files")
    target = w.target("t", [pkg])
    w.build(target, w.srpm(pkg))
    path = w.topdir("packages", pkg, "1.0", "1", "noarch", f"{pkg}-1.0-1.noarch.rpm")
    base = f"{w.ready['files']}/packages/{pkg}/1.0/1/"
    with urllib.request.urlopen(base) as answer:
        listing = answer.read().decode()
    has(listing, 'href="noarch/"', 'href="src/"')
    url = base + f"noarch/{path.name}"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": "bytes=10-19"})) as answer:
        eq((answer.status, answer.read()), (206, path.read_bytes()[10:20]), "the range")
    with urllib.request.urlopen(url) as answer:
        eq(answer.read(), path.read_bytes(), "the file")
        tag, modified = answer.headers["ETag"], answer.headers["Last-Modified"]
    that(tag or modified, "neither ETag nor Last-Modified")
    again = urllib.request.Request(url, headers={"If-None-Match": tag} if tag else {"If-Modified-Since": modified})
    status(again, 304)
    for bad in ("../../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc/passwd", "nosuch"):
        status(urllib.request.Request(f"{w.ready['files']}/{bad}"), 404, 400, 403)


def status(request, *wanted):
    """The request is answered with one of the wanted status codes."""
    try:
        with urllib.request.urlopen(request) as answer:
            that(answer.status in wanted, f"{request.full_url}: {answer.status}")
    except urllib.error.HTTPError as error:
        that(error.code in wanted, f"{request.full_url}: {error.code}")
