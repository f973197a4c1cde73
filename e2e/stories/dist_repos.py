"""Repositories for distribution: each option of the stock client's dist-repo, judged by dnf and createrepo_c."""

import json
import os
import shutil
import subprocess
import tempfile

from harness.command import run
from harness.dnf import dnf
from harness.gpg import Keyring
from harness.repodata import differences, parts, unpack
from harness.rpms import binary_rpm
from harness.server import Server
from harness.story import eq, has, story, that
from stories.logs import whole

COMPS = """<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>dist</id><name>Dist</name><packagelist><packagereq type="mandatory">{package}</packagereq></packagelist></group></comps>
"""

TWIN = """Name: {name}
Version: 1.0
Release: 1
Summary: A library of two arches
License: MIT
AutoReqProv: no
%global debug_package %{{nil}}
%ifarch x86_64
%global libs /usr/lib64
%else
%global libs /usr/lib
%endif
Requires: {name}-data = 1.0
%description
Library.
%package devel
Summary: For compiling
Requires: {name} = 1.0-1
%description devel
Headers.
%package tools
Summary: Programs
%description tools
Programs.
%package data
Summary: For both
BuildArch: noarch
%description data
Data.
%install
mkdir -p %{{buildroot}}%{{libs}} %{{buildroot}}/usr/include %{{buildroot}}/usr/bin %{{buildroot}}/usr/share/{name}
echo 1 >%{{buildroot}}%{{libs}}/lib{name}.so.1
echo 1 >%{{buildroot}}/usr/include/{name}.h
echo 1 >%{{buildroot}}/usr/bin/{name}
echo 1 >%{{buildroot}}/usr/share/{name}/data
%files
%{{libs}}/lib{name}.so.1
%files devel
/usr/include/{name}.h
%files tools
/usr/bin/{name}
%files data
/usr/share/{name}
"""

MULTILIB = "[runtime]\nwhite =\nblack =\n[devel]\nwhite =\nblack =\n    {black}\n"


class Shelf:
    """A tag with packages; `keys` sign some of them."""

    def __init__(self, w, arches="x86_64"):
        self.w, self.tag = w, w.name("dist")
        self.ring = Keyring(w.dir / "keys")
        w.koji("add-tag", self.tag, "--arches", arches)

    def put(self, name, version="1.0", keys=(), tag=None, built=None):
        """Imports and tags a package, signed with each of the keys."""
        w, files = self.w, built or binary_rpm(self.w.dir, name, version)
        w.koji("import", *files)
        for key in keys:
            folder = w.dir / f"{name}-{version}-{key}"
            folder.mkdir()
            copies = [shutil.copy(file, folder) for file in files]
            self.ring.sign(key, *copies)
            w.koji("import-sig", *copies)
        w.koji("add-pkg", "--owner", w.ready["admin_user"], "--force", tag or self.tag, name)
        w.koji("tag-build", "--wait", tag or self.tag, f"{name}-{version}-1")

    def make(self, *argv, code=0):
        """Runs dist-repo and waits; returns what it said and the directory of the repository, whether it is the latest or not."""
        said = self.w.koji("dist-repo", "--wait", self.tag, *argv, code=code)
        return said, self.w.topdir("repos-dist", self.tag, str(self.task()["request"][1]))

    def task(self):
        """The tag's newest task."""
        tasks = self.w.hub.call("listTasks", {"method": "distRepo", "decode": True})
        return max((t for t in tasks if t["request"][0] == self.tag), key=lambda t: t["id"])

    def log(self, name, arch):
        """A log of the newest task, of one arch."""
        children = self.w.hub.call("getTaskDescendents", self.task()["id"])[str(self.task()["id"])]
        return whole(self.w, next(t["id"] for t in children if t["label"] == arch), name)


def content(directory):
    """The names of the packages that dnf sees in a repository, after createrepo_c has judged it."""
    theirs = directory.parent / f".judge-{directory.name}"
    shutil.rmtree(theirs, ignore_errors=True)
    theirs.mkdir()
    try:
        run("createrepo_c", "--quiet", "--no-database", "--pkglist", directory / "pkglist", "--outputdir", theirs, directory)
        for kind in ("primary", "filelists", "other"):
            eq(differences(directory, theirs, kind), [], f"{kind} beside createrepo_c's")
    finally:
        shutil.rmtree(theirs)
    return seen(f"file://{directory}")


def seen(url, *options):
    """The packages that dnf sees, as name-version.arch."""
    with tempfile.TemporaryDirectory(prefix="toji-dnf-") as cache:
        said = run("dnf", "--quiet", "--disablerepo=*", f"--repofrompath=x,{url}", "--enablerepo=x", f"--setopt=cachedir={cache}",
                   *options, "repoquery", "--qf", "%{name}-%{version}.%{arch}")
    return sorted(said.out.split())


def key_of(package):
    """The id of the key that signed a package; nothing for none."""
    said = run("rpm", "--nosignature", "-qp", "--qf", "%{RSAHEADER:pgpsig}", package).out
    return said.rsplit(" ", 1)[-1][-8:] if "Key ID" in said else None


@story(slow=True)
def keys(w):
    """The copy of the first key that has signed a package; what has none ends the task, is left out or taken unsigned."""
    shelf = Shelf(w)
    one, two = shelf.ring.make("one"), shelf.ring.make("two")
    both, second, none = w.name("both"), w.name("second"), w.name("none")
    shelf.put(both, keys=[one, two])
    shelf.put(second, keys=[two])
    _, latest = shelf.make("--write-signed-rpms", two, one)
    def signers(repository):
        return {p.name[:4]: key_of(p) for p in (repository / "x86_64/Packages").rglob("*.rpm")}

    eq(signers(latest), {both[:4]: two, second[:4]: two}, "the keys")
    _, latest = shelf.make(one, two)
    eq(signers(latest), {both[:4]: one, second[:4]: two}, "the keys in the other order")
    refused, _ = shelf.make(one, code=1)
    has(refused.out + refused.err, "Unsigned packages found. See missing_signatures.log")
    shelf.put(none)
    _, latest = shelf.make("--skip-missing-signatures", two)
    eq(content(latest / "x86_64"), sorted([f"{both}-1.0.noarch", f"{second}-1.0.noarch"]), "what is signed")
    _, latest = shelf.make("--allow-missing-signatures", two)
    eq(signers(latest), {both[:4]: two, second[:4]: two, none[:4]: None}, "what is there")
    _, latest = shelf.make("--allow-missing-signatures")
    eq(set(signers(latest).values()), {None}, "the keys without any")
    eq(len(content(latest / "x86_64")), 3, "packages")


@story(slow=True)
def what_is_in(w):
    """Latest or all builds, inherited ones or not, at an event, groups, sources, arches, another volume; the description and the link."""
    shelf = Shelf(w)
    first, other = w.name("first"), w.name("other")
    parent = w.name("parent")
    w.koji("add-tag", parent)
    w.koji("add-tag-inheritance", shelf.tag, parent)
    shelf.put(other, tag=parent)
    shelf.put(first)
    event = w.hub.call("getLastEvent")["id"]
    shelf.put(first, "2.0")
    plain = ["--allow-missing-signatures"]
    new, old, inherited = f"{first}-2.0.noarch", f"{first}-1.0.noarch", f"{other}-1.0.noarch"
    (w.dir / "comps.xml").write_text(COMPS.format(package=first))
    for options, wanted in (([], [new, inherited]), (["--non-latest"], [new, old, inherited]), (["--noinherit"], [new]),
                            (["--event", event], [old, inherited])):
        _, latest = shelf.make(*plain, *options)
        eq(content(latest / "x86_64"), sorted(wanted), f"with {options}")
    _, latest = shelf.make(*plain, "--with-src", "--arch", "x86_64", "--arch", "aarch64", "--comps", w.dir / "comps.xml", "--skip-stat")
    eq(sorted(p.name for p in latest.iterdir()), ["aarch64", "groups", "repo.json", "src", "x86_64"], "the directory")
    eq(content(latest / "src"), sorted([f"{first}-2.0.src", f"{other}-1.0.src"]), "the sources")
    eq(content(latest / "aarch64"), sorted([new, inherited]), "packages of another arch")
    eq(parts(latest / "x86_64")["group"].read_text(), COMPS.format(package=first), "the groups")
    has(dnf(w.dir / "root", f"file://{latest}/x86_64", "group", "list").out, "Dist")
    repo = w.hub.call("getRepo", shelf.tag, dist=True)
    eq((latest.name, os.readlink(latest.parent / "latest")), (str(repo["id"]),) * 2, "the link")
    told = json.loads((latest / "repo.json").read_text())
    eq((told["id"], told["tag"], told["tag_id"], told["keys"], told["volume"]), (repo["id"], shelf.tag, w.hub.call("getTag", shelf.tag)["id"], [], None), "repo.json")
    eq(sorted(told["task_opts"]["arch"]), ["aarch64", "src", "x86_64"], "the options in repo.json")
    volume = w.name("vol")
    w.topdir("vol", volume).mkdir(parents=True)
    w.koji("add-volume", volume)
    _, latest = shelf.make(*plain, "--volume", volume)
    repo = w.hub.call("getRepo", shelf.tag, dist=True)
    that(w.topdir("vol", volume, "repos-dist", shelf.tag, str(repo["id"]), "x86_64/repodata/repomd.xml").is_file(), "not on the volume")
    eq(os.readlink(w.topdir("repos-dist", shelf.tag, str(repo["id"]))), f"../../vol/{volume}/repos-dist/{shelf.tag}/{repo['id']}", "the link to the volume")
    eq(content(latest / "x86_64"), sorted([new, inherited]), "packages on the volume")
    refused, _ = shelf.make(*plain, "--delta-rpms", str(repo["id"]), code=1)
    has(refused.out + refused.err, "delta packages (--delta-rpms) are not made; nothing was published")


@story(slow=True)
def debuginfo_and_zchunk(w):
    """Debug packages in a repository of their own; metadata as zchunk files too, with and without dictionaries."""
    shelf = Shelf(w)
    name = w.name("split")
    files = binary_rpm(w.dir, name, more="%package debuginfo\nSummary: d\n%description debuginfo\nd\n%files debuginfo\n")
    shelf.put(name, built=files)
    dictionaries = w.dir / "dictionaries"
    dictionaries.mkdir()
    (dictionaries / "primary.xml.zdict").write_bytes(b'<package type="rpm">\n  <name></name>\n  <arch>noarch</arch>\n  <version epoch="0" ver="1.0"' * 4)
    refused, _ = shelf.make("--allow-missing-signatures", "--zck-dict-dir", dictionaries, code=1)
    has(refused.out + refused.err, "--zck-dict-dir makes no sense without --zck")
    refused, _ = shelf.make("--allow-missing-signatures", "--zck", "--zck-dict-dir", w.dir / "none", code=1)
    has(refused.out + refused.err, "zchunk dir path doesn't exist:")
    for options in ([], ["--zck-dict-dir", dictionaries]):
        _, latest = shelf.make("--allow-missing-signatures", "--split-debuginfo", "--zck", *options)
        arch = latest / "x86_64"
        eq(content(arch), [f"{name}-1.0.noarch"], "the packages")
        eq((arch / "debug/pkglist").read_text(), f"../Packages/{name[0]}/{name}-debuginfo-1.0-1.noarch.rpm\n", "the list of debug packages")
        for place in (arch, arch / "debug"):
            found = parts(place)
            for kind in ("primary", "filelists", "other"):
                plain = subprocess.run(["unzck", "-c", found[f"{kind}_zck"]], check=True, capture_output=True).stdout
                eq(plain, unpack(found[kind]), f"{kind} as zchunk")
                head = run("zck_read_header", found[f"{kind}_zck"]).out
                said = (place / "repodata/repomd.xml").read_text().split(f'<data type="{kind}_zck">')[1]
                for title, tag in (("Header size", "header-size"), ("Header checksum", "header-checksum")):
                    value = next(line.split(":")[1].strip() for line in head.splitlines() if line.startswith(title))
                    has(said.split("</data>")[0], f">{value}</{tag}>")
        that(not (arch / "zdict").exists(), "dictionaries are published")
        eq(seen(f"{w.ready['files']}/repos-dist/{shelf.tag}/latest/x86_64", "--setopt=zchunk=True"), [f"{name}-1.0.noarch"], "what dnf sees")


@story(slow=True)
def multilib(w):
    """Libraries and what is needed to compile come in both arches, with what they need; a lacking twin ends the task."""
    shelf = Shelf(w, "x86_64 i686")
    name = w.name("twin")
    folder = w.dir / "twin"
    folder.mkdir()
    spec = folder / f"{name}.spec"
    spec.write_text(TWIN.format(name=name))
    define = ["--define", f"_topdir {folder}/top", "--define", f"_srcrpmdir {folder}", "--define", f"_rpmdir {folder}",
              "--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--define", f"_dbpath {folder}/db"]
    # The package of both arches is of the first build only.
    run("rpmbuild", "-ba", "--nodeps", "--target", "x86_64", *define, spec)
    kept = {path: path.read_bytes() for path in folder.glob("*.rpm")}
    run("rpmbuild", "-bb", "--nodeps", "--target", "i686", *define, spec)
    for path, data in kept.items():
        path.write_bytes(data)
    shelf.put(name, built=sorted(folder.glob("*.rpm"), key=lambda path: not path.name.endswith(".src.rpm")))
    config = w.dir / "multilib.conf"
    config.write_text(MULTILIB.format(black="none"))
    _, latest = shelf.make("--allow-missing-signatures", "--arch", "x86_64", "--arch", "i686", "--multilib", config)
    own = [f"{name}-data-1.0.noarch", *(f"{name}{part}-1.0.x86_64" for part in ("", "-devel", "-tools"))]
    twins = [f"{name}-1.0.i686", f"{name}-devel-1.0.i686"]
    eq(content(latest / "x86_64"), sorted(own + twins), "packages of both arches")
    eq(content(latest / "i386"), sorted([*(p.replace("x86_64", "i686") for p in own)]), "packages of the other arch")
    listed = json.loads((latest / "x86_64/kojipkgs").read_text())
    eq(sorted(k for k, v in listed.items() if v.get("_multilib")), sorted(f"{name}{part}-1.0-1.i686.rpm" for part in ("", "-devel")), "the marks")
    root = w.dir / "root"
    dnf(root, f"file://{latest}/x86_64", "--setopt=tsflags=test", "--forcearch=x86_64", "install", f"{name}-devel.i686", f"{name}-devel.x86_64")
    config.write_text(MULTILIB.format(black=f"{name}-devel"))
    _, latest = shelf.make("--allow-missing-signatures", "--arch", "x86_64", "--arch", "i686", "--multilib", config)
    eq(content(latest / "x86_64"), sorted(own + twins[:1]), "without what the configuration leaves out")
    lone = w.name("lone")
    (folder / "lone").mkdir()
    spec = folder / "lone" / f"{lone}.spec"
    spec.write_text(TWIN.format(name=lone).replace("AutoReqProv", "ExclusiveArch: x86_64\nAutoReqProv"))
    run("rpmbuild", "-ba", "--nodeps", "--target", "x86_64", *[word.replace(f"{folder}", f"{folder}/lone") for word in define], spec)
    shelf.put(lone, built=sorted((folder / "lone").glob("*.rpm"), key=lambda path: not path.name.endswith(".src.rpm")))
    refused, latest = shelf.make("--allow-missing-signatures", "--arch", "x86_64", "--arch", "i686", "--multilib", config, code=1)
    has(refused.out + refused.err, "multilib packages missing. See missing_multilib.log")
    eq(shelf.log("missing_multilib.log", "x86_64").decode().splitlines()[1:], [f"{lone}-1.0-1.i686.rpm", f"{lone}-devel-1.0-1.i686.rpm"], "what lacks")


@story(own=True)
def signed_metadata(own):
    """A command of the site signs repomd.xml; dnf checks the signature, and nothing is published when the command fails."""
    ring = Keyring(own.dir / "keys")
    key = ring.make("repo")
    command = own.dir / "sign"
    command.write_text(f"#!/bin/sh\nset -e\n[ ! -e {own.dir}/broken ] || {{ echo 'the key is locked' >&2; exit 3; }}\n"
                       f"GNUPGHOME={ring.dir} exec gpg --batch --yes --quiet --armor --detach-sign --local-user {key} \"$2\"\n")
    command.chmod(0o755)
    server = Server(own.toji, own.dir / "one")
    server.data.mkdir(parents=True)
    (server.data / "hub.conf").write_text(f"[hub]\n[toji]\nSignDistRepo = {command} repomd\n")
    try:
        server.start()
        w = own.world(server)
        shelf = Shelf(w)
        name = w.name("signedmd")
        shelf.put(name, built=binary_rpm(w.dir, name, more="%package debuginfo\nSummary: d\n%description debuginfo\nd\n%files debuginfo\n"))
        _, latest = shelf.make("--allow-missing-signatures", "--with-src", "--split-debuginfo")
        for place in ("x86_64", "x86_64/debug", "src"):
            run("gpg", "--verify", latest / place / "repodata/repomd.xml.asc", latest / place / "repodata/repomd.xml", env=ring.env)
        public = own.dir / "key.asc"
        public.write_text(run("gpg", "--armor", "--export", key, env=ring.env).out)
        url = f"{w.ready['files']}/repos-dist/{shelf.tag}/latest/x86_64"
        checked = [f"--setopt=x.{option}" for option in ("repo_gpgcheck=1", f"gpgkey=file://{public}", "skip_if_unavailable=0")]
        eq(seen(url, "-y", *checked), [f"{name}-1.0.noarch"], "what dnf sees")
        copy = own.dir / "copy"
        shutil.copytree(latest / "x86_64/repodata", copy / "repodata")
        with open(copy / "repodata/repomd.xml", "a") as out:
            out.write("<!-- another -->\n")
        refused = run("dnf", "--quiet", "-y", "--disablerepo=*", f"--repofrompath=x,file://{copy}", "--enablerepo=x", *checked,
                      f"--setopt=cachedir={own.dir}/cache2", "repoquery", code=None)
        that(refused.code != 0 and "GPG" in refused.err + refused.out, f"a changed repomd.xml is taken\n{refused}")
        link = latest.parent / "latest"
        before = os.readlink(link)
        (own.dir / "broken").touch()
        refused, _ = shelf.make("--allow-missing-signatures", code=1)
        has(refused.out + refused.err, "the repository cannot be signed:", "the key is locked")
        eq(os.readlink(link), before, "what is published")
    finally:
        server.stop()
