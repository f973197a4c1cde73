"""`toji repo`: repositories of plain directories, against createrepo_c, mergerepo_c, modifyrepo_c, dnf and zypper."""

import functools
import gzip
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

from harness import universe
from harness.command import run
from harness.dnf import dnf
from harness.repodata import parts, unpack
from harness.story import eq, has, story, that

HERE = Path(__file__).resolve().parent.parent
COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>{id}</id><name>{id}</name><description/><uservisible>true</uservisible><packagelist><packagereq type="mandatory">{package}</packagereq></packagelist></group></comps>
"""
MODULES = """---
document: modulemd
version: 2
data:
  name: {name}
  stream: "1"
  version: 1
  context: c0ffee
  arch: x86_64
  summary: A module
  description: A module
  license: {{module: [MIT]}}
...
"""


def records(first, second, *ignored):
    """What the binding reads differently, and the number of packages."""
    return json.loads(run("/usr/bin/python3", "-B", HERE / "harness/records.py", first, second, *ignored).out)


def equal(first, second, at_least=1, *ignored):
    """Two repositories say the same; returns the number of packages."""
    found = records(first, second, *ignored)
    that(not found["lines"], "\n".join([f"{len(found['lines'])} differences", *found["lines"][:8]]))
    eq(found["warned"][0], found["warned"][1], "the parser's warnings")
    that(found["packages"] >= at_least, f"only {found['packages']} packages")
    return found["packages"]


def rpmgen(own, *argv):
    """Runs the maker of packages."""
    return run(Path(own.toji).resolve().with_name("toji-rpmgen"), *argv)


def real(own, to):
    """The packages of the distribution for tests, as links."""
    for path in sorted(universe.make(own.toji).rglob("*.rpm")):
        place = to / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path.resolve())


def create(own, *argv, **how):
    """Runs `toji repo create`."""
    return run(own.toji, "repo", "create", *argv, **how)


def peer(directory, out, *options):
    """createrepo_c's repository of the same directory, elsewhere."""
    out.mkdir()
    run("createrepo_c", "--quiet", "--no-database", "--outputdir", out, *options, directory)
    return out


@story(own=True)
def thousand_packages(own):
    """A thousand real and odd packages: every value that createrepo_c's binding reads is the same as in createrepo_c's metadata."""
    packages = own.dir / "packages"
    rpmgen(own, "odd", packages, "--count", 800)
    real(own, packages)
    theirs = peer(packages, own.dir / "theirs")
    mine = own.dir / "mine"
    has(create(own, packages, "--outputdir", mine).out, "metadata of 0 were there")
    count = equal(mine, theirs, 1000)
    for kind in ("primary", "filelists", "other"):
        eq(unpack(parts(mine)[kind]), unpack(parts(theirs)[kind]), f"{kind}, byte for byte")
    # again, from what is there: nothing is read, nothing changes
    before = {k: p.name for k, p in parts(mine).items()}
    has(create(own, packages, "--update", "--outputdir", mine).out, f"{count} packages, metadata of {count} were there")
    eq({k: p.name for k, p in parts(mine).items()}, before, "the files")
    # and from what createrepo_c has made
    run("cp", "-a", theirs, own.dir / "taken")
    has(create(own, packages, "--update", "--outputdir", own.dir / "taken").out, f"metadata of {count} were there")
    equal(own.dir / "taken", theirs)
    for number, options in enumerate((
            ["--checksum", "sha512", "--changelog-limit", "3", "--baseurl", "http://example.org/r/"],
            ["--checksum", "sha1", "--location-prefix", "some/where", "--excludes", "*.src.rpm", "--excludes", "odd*1*", "--skip-symlinks"],
            ["--general-compress-type", "xz", "--cut-dirs", "1", "--simple-md-filenames"],
            ["--general-compress-type", "bz2"])):
        ours, other = own.dir / f"mine-{number}", own.dir / f"theirs-{number}"
        create(own, packages, "--outputdir", ours, *options)
        equal(ours, peer(packages, other, *options), 100)
        eq(list(parts(ours)), list(parts(other)), f"the records with {options}")
        has(run(own.toji, "repo", "check", "--packages", "none", ours).out, "all is well")


@story(own=True)
def changes(own):
    """An update reads what has changed and nothing else; broken packages are left out and told of; lists choose."""
    packages = own.dir / "p"
    rpmgen(own, "odd", packages, "--count", 40)
    create(own, packages, "--retain-old-md", "0")
    names = sorted(str(p.relative_to(packages)) for p in packages.rglob("*.rpm"))
    first, second, third = names[3], names[10], names[20]
    (packages / first).unlink()
    os.utime(packages / second, (1, 1))
    (packages / third).write_bytes((packages / third).read_bytes()[:150])
    (packages / "new.rpm").write_bytes((packages / names[0]).read_bytes())
    said = create(own, packages, "--update", "--read-pkgs-list", own.dir / "read", "--error-exit-val", code=2)
    has(said.out, "39 packages, metadata of 37 were there, 1 left out")
    has(said.err + said.out, third)
    eq((own.dir / "read").read_text().split("\n")[:-1], sorted([second, "new.rpm"]), "what was read")
    (packages / third).unlink()
    theirs = peer(packages, own.dir / "theirs")
    equal(packages, theirs, 39)
    # the state before is still there for its readers, but no older one
    create(own, packages, "--update", "--excludes", "new.rpm")
    create(own, packages, "--update")
    eq(len(list((packages / "repodata").glob("*-primary.xml.gz"))), 2, "primary files")
    eq(run(own.toji, "repo", "diff", packages, theirs).out, "", "differences")
    listed = own.dir / "list"
    listed.write_text(f"{names[0]}\n./{names[1]}\n")
    create(own, packages, "--pkglist", listed, "--includepkg", names[2], "--outputdir", own.dir / "listed", "--cachedir", own.dir / "sums")
    said = run(own.toji, "repo", "diff", own.dir / "listed", packages, code=1).out
    eq(said.count("\n+ "), 36 - said.startswith("+ "), "packages that the list leaves out")
    create(own, packages, "--pkglist", listed, "--includepkg", names[2], "--outputdir", own.dir / "again", "--cachedir", own.dir / "sums")
    equal(own.dir / "listed", own.dir / "again", 3)


@story(own=True)
def whole_repository(own):
    """Everything at once: databases, zchunk, groups, modules, tags, revision, signature; checks find every kind of damage."""
    packages, home = own.dir / "p", own.dir / "gpg"
    rpmgen(own, "synthetic", packages, "--count", 60)
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home)}
    run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "repo@example.org", "default", "default", "never", env=env)
    (own.dir / "comps.xml").write_text(COMPS.format(id="tools", package="pkg00001"))
    (packages / "modules.yaml").write_text(MODULES.format(name="thing"))
    options = ["--database", "--groupfile", own.dir / "comps.xml", "--distro", "cpe:/o:x:1,Fedora", "--content", "binary",
               "--revision", "1700000000", "--set-timestamp-to-revision"]
    create(own, packages, *options, "--repo", "r", "--zck", "--sign", "repo@example.org", env=env)
    run("gpg", "--verify", packages / "repodata/repomd.xml.asc", packages / "repodata/repomd.xml", env=env)
    theirs = own.dir / "theirs"
    theirs.mkdir()
    run("createrepo_c", "--quiet", "--outputdir", theirs, *options, "--repo", "r", packages)
    equal(packages, theirs, 60)
    mine, other = parts(packages), parts(theirs)
    eq([k for k in mine if not k.endswith("_zck")], list(other), "the records")
    for kind in ("primary_db", "filelists_db", "other_db"):
        eq(rows(mine[kind]), rows(other[kind]), kind)
    eq(mine["group"].read_bytes(), other["group"].read_bytes(), "the groups")
    for kind in ("primary", "filelists", "other"):
        plain = own.dir / f"{kind}.plain"
        with open(plain, "wb") as out:
            subprocess.run(["unzck", "-c", mine[f"{kind}_zck"]], stdout=out, check=True)
        eq(plain.read_bytes(), unpack(mine[kind]), f"{kind} as zchunk")
    eq(int(mine["primary"].stat().st_mtime), 1700000000, "the time of a file")
    has(run(own.toji, "repo", "check", "--signature", packages, env=env).out, "60 packages, all is well")
    read = dnf(own.dir / "root", f"file://{packages}", "module", "list").out
    has(read, "thing")
    has(dnf(own.dir / "root", f"file://{packages}", "group", "list").out, "tools")
    damage(own, packages)


def rows(database):
    """All rows of a database, without what describes one run."""
    import bz2
    import sqlite3
    path = database.parent.parent / f"{database.name}.plain"
    path.write_bytes(bz2.decompress(database.read_bytes()))
    db = sqlite3.connect(path)
    found = {}
    for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'db_info'").fetchall():
        found[table] = sorted((tuple("/".join(sorted(v.split("/"))) if table == "filelist" and n == 2 else "".join(sorted(v)) if table == "filelist" and n == 3
                                     else v for n, v in enumerate(row)) for row in db.execute(f"SELECT * FROM {table}")), key=repr)
    found["schema"] = sorted(r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    return found


def damage(own, packages):
    """Each damage is found and named."""
    some = sorted(packages.rglob("*.rpm"))
    primary = parts(packages)["primary"]

    def finds(text, *options):
        said = run(own.toji, "repo", "check", *options, packages, code=1).out
        has(said, text)

    kept = some[0].read_bytes()
    some[0].write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    finds("another checksum")
    has(run(own.toji, "repo", "check", "--packages", "sizes", packages).out, "all is well")
    some[0].write_bytes(kept + b"x")
    finds(f"{len(kept) + 1} bytes instead of {len(kept)}", "--packages", "sizes")
    some[0].unlink()
    finds("No such file", "--packages", "sizes")
    some[0].write_bytes(kept)
    text = primary.read_bytes()
    primary.write_bytes(text[:-1])
    finds("bytes instead of")
    primary.write_bytes(gzip.compress(gzip.decompress(text)))
    finds(primary.name)
    primary.unlink()
    finds("No such file")


@story(own=True)
def changed_records(own):
    """Records are added, replaced, renamed and removed as modifyrepo_c does it; readers see every state whole."""
    packages = own.dir / "p"
    rpmgen(own, "synthetic", packages, "--count", 8)
    create(own, packages)
    shutil.copytree(packages, own.dir / "theirs")
    update = own.dir / "updateinfo.xml"
    update.write_text("<updates><update><id>U-1</id><title>x</title></update></updates>\n")
    (own.dir / "productid").write_text("-----BEGIN CERTIFICATE-----\n")
    run(own.toji, "repo", "modify", packages, "--add", update, "--add", own.dir / "productid", "--compress-type", "xz")
    for path in (update, own.dir / "productid"):
        run("modifyrepo_c", "--compress-type", "xz", path, own.dir / "theirs/repodata")
    mine, theirs = parts(packages), parts(own.dir / "theirs")
    eq(sorted(mine), sorted(theirs), "the records")
    for kind in ("updateinfo", "productid"):
        eq(mine[kind].name.split("-", 1)[1], theirs[kind].name.split("-", 1)[1], "the plain name")
        eq(subprocess.check_output(["xz", "-dc", mine[kind]]), subprocess.check_output(["xz", "-dc", theirs[kind]]), kind)
    has(run(own.toji, "repo", "check", packages).out, "8 packages, all is well")
    # an update keeps them
    create(own, packages, "--update")
    eq(sorted(parts(packages)), sorted(mine), "the records after an update")
    run(own.toji, "repo", "modify", packages / "repodata", "--rename", "productid=other-id", "--remove", "updateinfo", "--add", f"x={update}", "--no-compress")
    eq(sorted(parts(packages)), ["filelists", "other", "other-id", "primary", "x"], "the records")
    eq(parts(packages)["x"].read_bytes(), update.read_bytes(), "a file that is not compressed")
    has(run(own.toji, "repo", "modify", packages, "--remove", "updateinfo", code=1).err, "no updateinfo")
    create(own, packages, "--update", "--discard-additional-metadata")
    eq(sorted(parts(packages)), ["filelists", "other", "primary"], "the records")
    has(run(own.toji, "repo", "check", packages).out, "8 packages, all is well")


@story(own=True)
def merged(own):
    """Merged repositories have the packages that mergerepo_c takes, from the same places, in all of Koji's modes."""
    odd = own.dir / "odd"
    rpmgen(own, "odd", odd, "--count", 60)
    rpmgen(own, "synthetic", own.dir / "syn", "--count", 40)
    repos = [own.dir / name for name in ("a", "b", "c")]
    files = sorted(odd.rglob("*.rpm")) + sorted((own.dir / "syn").rglob("*.rpm"))
    for number, repo in enumerate(repos):
        repo.mkdir()
        for path in files[number * 20:number * 20 + 55]:
            shutil.copy2(path, repo / path.name)
        (repo / "comps.xml").write_text(COMPS.format(id=f"g{number}", package="x"))
        create(own, repo, "--groupfile", "comps.xml")
    blocked = own.dir / "blocked"
    blocked.write_text("pkg00001\npkg00003\n\n")
    inputs = [word for repo in repos for word in ("--repo", repo)]
    cases = {
        "koji": ["--koji", "--archlist", "x86_64", "-b", blocked],
        "simple": ["--koji", "--simple", "--archlist", "x86_64,i386"],
        "bare": ["--pkgorigins", "--all", "--archlist", "x86_64", "--arch-expand"],
        "first": [], "nvr": ["--method", "nvr"], "ts": ["--method", "ts", "--omit-baseurl"],
        "noarch": ["--all", "--noarch-repo", repos[2]],
    }
    for name, options in cases.items():
        mine, theirs = own.dir / f"mine-{name}", own.dir / f"theirs-{name}"
        run(own.toji, "repo", "merge", *inputs, "--outputdir", mine, *options)
        run("mergerepo_c", *inputs, "--no-database", "--outputdir", theirs, *options)
        equal(mine, theirs, 5)
        if "origin" in parts(theirs):
            mine_text, their_text = (gzip.decompress(parts(p)["origin"].read_bytes()) for p in (mine, theirs))
            eq(sorted(mine_text.splitlines()), sorted(their_text.splitlines()), f"the origins, {name}")
        groups = unpack(parts(mine)["group"]).decode()
        has(groups, "<id>g0</id>", "<id>g1</id>", "<id>g2</id>")
        has(run(own.toji, "repo", "check", "--packages", "none", mine).out, "all is well")
    with universe.served(own.toji) as url:
        run(own.toji, "repo", "merge", "--repo", repos[0], "--repo", url, "--all", "--outputdir", own.dir / "web")
    has(gzip.decompress(parts(own.dir / "web")["primary"].read_bytes()).decode(), f'xml:base="{url.rstrip("/")}"')


class Conditional(http.server.SimpleHTTPRequestHandler):
    """Files with Last-Modified and conditions, as Python has them; keeps what was asked for and answered."""

    def log_request(self, code="-", size="-"):
        self.server.asked.append((self.path.rpartition("/")[2].rpartition("-")[2], int(code)))


@story(own=True)
def merged_from_elsewhere(own):
    """With --cachedir only what has changed at a URL is fetched; a kept file that is damaged is fetched again."""
    rpmgen(own, "synthetic", own.dir / "syn", "--count", 30)
    files = sorted((own.dir / "syn").rglob("*.rpm"))
    far, near, cache = own.dir / "far", own.dir / "near", own.dir / "cache"
    for repo, some in ((far, files[:10]), (near, files[10:20])):
        repo.mkdir()
        for path in some:
            shutil.copy2(path, repo / path.name)
        create(own, repo)
    serve = functools.partial(Conditional, directory=far)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    all_files = {(f"{part}.xml.gz", 200) for part in ("primary", "filelists", "other")} | {("repomd.xml", 200)}

    def merge(to):
        inputs = ["--repo", near, "--repo", url]
        run(own.toji, "repo", "merge", *inputs, "--koji", "--archlist", "x86_64", "--cachedir", cache, "--outputdir", own.dir / to)
        asked, server.asked = server.asked, []
        run("mergerepo_c", *inputs, "--koji", "--archlist", "x86_64", "--no-database", "--outputdir", own.dir / f"{to}-c")
        server.asked = []
        equal(own.dir / to, own.dir / f"{to}-c", 1)
        return sorted(asked)

    try:
        eq(merge("first"), sorted(all_files), "the first time")
        eq(merge("second"), [("repomd.xml", 304)], "nothing has changed")
        (kept,) = cache.glob("*/repodata/*primary*")
        whole = kept.read_bytes()
        kept.write_bytes(whole[:-7] + b"damaged")
        eq(merge("third"), [("primary.xml.gz", 200), ("repomd.xml", 304)], "one file was damaged")
        for path in files[20:]:
            shutil.copy2(path, far / path.name)
        create(own, far)
        # Last-Modified counts seconds: the new state must not have the second of the one before.
        repomd = far / "repodata/repomd.xml"
        os.utime(repomd, (repomd.stat().st_atime, repomd.stat().st_mtime + 2))
        eq(merge("fourth"), sorted(all_files), "the repository is another one")
        eq(len(list(cache.glob("*/repodata/*"))), 4, "files of the state before are gone")
    finally:
        server.shutdown()


@story(own=True)
def same_transactions(own):
    """dnf and zypper resolve the same transactions from our metadata of real packages and from createrepo_c's."""
    packages = own.dir / "p"
    real(own, packages)
    theirs = peer(packages, own.dir / "theirs", "--baseurl", f"file://{packages}/")
    for compression in ("gz", "xz"):
        mine = own.dir / f"mine-{compression}"
        create(own, packages, "--outputdir", mine, "--baseurl", f"file://{packages}/", "--general-compress-type", compression)
        for wanted in (["gcc"], ["rpm", "patch"], ["perl-base", "xz-utils"]):
            eq(by_dnf(own, mine, wanted), by_dnf(own, theirs, wanted), f"dnf install {wanted} with {compression}")
            eq(by_zypper(own, mine, wanted), by_zypper(own, theirs, wanted), f"zypper install {wanted} with {compression}")


def by_dnf(own, repo, wanted):
    """The packages that dnf would install, in its order."""
    said = dnf(own.dir / f"dnf-{repo.name}", f"file://{repo}", "--assumeno", "install", *wanted, code=1).out
    rows = [line.split()[:3] for line in said.splitlines() if line.startswith(" ") and " toji " in line]
    that(len(rows) > 1, said)
    return rows


def by_zypper(own, repo, wanted):
    """The packages that zypper would install."""
    root = own.dir / f"zypper-{repo.name}"
    base = ["zypper", "--non-interactive", "--no-gpg-checks", "--xmlout", "--root", root]
    if not root.exists():
        (root / "etc/zypp").mkdir(parents=True)
        (root / "etc/zypp/zypp.conf").write_text("[main]\narch = x86_64\nsolver.onlyRequires = true\n")
        run(*base, "addrepo", f"dir:{repo}", "toji")
        run(*base, "refresh")
    said = run(*base, "install", "--dry-run", "--no-recommends", *wanted, code=None).out
    found = sorted(line.strip() for line in said.splitlines() if "<solvable " in line)
    that(len(found) > 1, said[-3000:])
    return found
