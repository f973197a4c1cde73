"""Signatures: imported, written, listed, pruned and deleted with the stock client."""

import hashlib
import os
import shutil

from harness.command import run
from harness.story import eq, has, lacks, matches, story, that
from stories.imports import built_here


def key(w):
    """Makes a key; returns its keyring's directory and its id as Koji writes it."""
    home = w.dir / "gpg"
    home.mkdir(mode=0o700)
    gpg = ("gpg", "--batch", "--homedir", home)
    run(*gpg, "--passphrase", "", "--quick-gen-key", "tester", "rsa2048", "sign", "never")
    line = next(x for x in run(*gpg, "--with-colons", "--list-keys").out.splitlines() if x.startswith("pub:"))
    return home, line.split(":")[4][-8:].lower()


def signed(w, home, rpm):
    """A signed copy of a package."""
    copy = w.dir / "signed" / rpm.name
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(rpm.read_bytes())
    run("rpmsign", "--define", "_gpg_name tester", "--define", "__gpg /usr/bin/gpg", "--define", f"_gpg_path {home}",
        "--define", "_gpg_sign_cmd_extra_args --batch --pinentry-mode loopback", "--addsign", copy)
    return copy


def imported(w, base):
    """Imports a package and its source; returns the paths of both."""
    source, binary = built_here(w, w.name(base))
    w.koji("import", source, binary)
    return source, binary


@story()
def import_sig(w):
    """A signature is imported, its signed copy written and offered; it is told of and can be removed again."""
    home, sigkey = key(w)
    _, binary = imported(w, "sig")
    copy = signed(w, home, binary)
    nvra = binary.name.removesuffix(".rpm")
    said = w.koji("import-sig", copy)
    has(said, f"Importing signature [key {sigkey}] from {copy}...", "Writing signed copy")
    pkg = nvra.rsplit("-", 2)[0]
    stored = w.topdir("packages", pkg, "1.0", "1", "data", "signed", sigkey, "noarch", binary.name)
    eq(stored.read_bytes(), copy.read_bytes(), "the signed copy")
    that(w.topdir("packages", pkg, "1.0", "1", "data", "sigcache", sigkey, "noarch", f"{binary.name}.sig").is_file(), "no cached header")
    has(w.koji("import-sig", copy), f"Signature already imported: {copy}")
    has(w.koji("import-sig", binary), f"Skipping unsigned package: {binary}")
    matches(w.anonymous("list-signed", "--rpm", nvra, "--key", sigkey, "--debug"), r".*" + nvra + r".*")
    sums = w.hub.call("getRPMChecksums", w.hub.call("getRPM", nvra)["id"], ["sha256"])
    eq(sums[sigkey]["sha256"], hashlib.sha256(copy.read_bytes()).hexdigest(), "the checksum of the copy")
    fetched = w.dir / "fetched"
    fetched.mkdir()
    w.anonymous("download-build", "--key", sigkey, "--arch", "noarch", nvra.rsplit(".", 1)[0], cwd=fetched)
    eq(next(fetched.rglob(binary.name)).read_bytes(), copy.read_bytes(), "the downloaded copy")
    w.koji("remove-sig", nvra, "--sigkey", sigkey)
    that(not stored.exists(), "the signed copy is still there")
    eq([s["sigkey"] for s in w.hub.call("queryRPMSigs", nvra)], [""], "the signatures that are left")


@story()
def write_signed_rpm(w):
    """Signed copies are written again after they were pruned."""
    home, sigkey = key(w)
    source, binary = imported(w, "written")
    for rpm in (source, binary):
        w.koji("import-sig", signed(w, home, rpm))
    nvr = binary.name.removesuffix(".noarch.rpm")
    pkg = nvr.rsplit("-", 2)[0]
    copies = w.topdir("packages", pkg, "1.0", "1", "data", "signed", sigkey)
    names = {binary.name, source.name}
    eq({p.name for p in copies.rglob("*.rpm")}, names, "the copies")
    said = w.koji("prune-signed-copies", "--days", "0", "--package", pkg, "--verbose")
    lacks(said.err, "Traceback")
    eq({p.name for p in copies.rglob("*.rpm")}, set(), "the copies after pruning")
    has(w.koji("write-signed-rpm", sigkey, nvr), nvr)
    eq({p.name for p in copies.rglob("*.rpm")}, names, "the copies that were written again")
    said = w.koji("write-signed-rpm", "00000000", nvr, code=None)
    that(said.code != 0 and "No cached signature for package" in said.err + said.out, f"another key was accepted\n{said}")


@story()
def a_key_of_ones_own_name(w):
    """A signature may be filed under a name instead of the id of its key."""
    home, sigkey = key(w)
    _, binary = imported(w, "label")
    copy = signed(w, home, binary)
    nvra = binary.name.removesuffix(".rpm")
    has(w.koji("import-sig", "--sigkey", "release-2026", copy), "Importing signature [key release-2026]")
    eq(sorted(s["sigkey"] for s in w.hub.call("queryRPMSigs", nvra)), ["", "release-2026"], "the signatures")
    pkg = nvra.rsplit("-", 2)[0]
    stored = w.topdir("packages", pkg, "1.0", "1", "data", "signed", "release-2026", "noarch", binary.name)
    eq(stored.read_bytes(), copy.read_bytes(), "the signed copy")
    w.koji("rename-sig", nvra, "release-2026", sigkey)
    eq(sorted(s["sigkey"] for s in w.hub.call("queryRPMSigs", nvra)), ["", sigkey], "the renamed signature")
    that(not stored.exists(), "the copy has its old name")


@story(slow=True)
def dist_repo(w):
    """A repository of signed packages is made, and dnf installs from it with the key checked."""
    home, sigkey = key(w)
    source, binary = imported(w, "dist")
    nvr = binary.name.removesuffix(".noarch.rpm")
    pkg = nvr.rsplit("-", 2)[0]
    tag = w.name("disttag")
    w.koji("add-tag", tag, "--arches", "x86_64")
    w.koji("add-pkg", "--owner", w.ready["admin_user"], tag, pkg)
    w.koji("tag-build", "--wait", tag, nvr)
    refused = w.koji("dist-repo", "--wait", tag, sigkey, code=1)
    has(refused.out + refused.err, "Unsigned packages found. See missing_signatures.log")
    for rpm in (source, binary):
        w.koji("import-sig", signed(w, home, rpm))
    shutil.rmtree(w.topdir("packages", pkg, "1.0", "1", "data", "signed"))
    lost = w.koji("dist-repo", "--wait", tag, sigkey, code=1)
    has(lost.out + lost.err, "Packages missing from the filesystem. See missing_files.log.")
    said = w.koji("dist-repo", "--wait", "--write-signed-rpms", "--with-src", "--split-debuginfo", tag, sigkey)
    task = max(t["id"] for t in w.hub.call("listTasks", {"method": "distRepo"}))
    has(said, f"Creating dist repo for tag {tag}", f"{task} distRepo (", "completed successfully")
    repo = w.hub.call("getRepo", tag, dist=True)
    eq(w.hub.call("getTaskRequest", task)[1], repo["id"], "the repository")
    latest = w.topdir("repos-dist", tag, "latest")
    eq(os.readlink(latest), str(repo["id"]), "the link to the newest")
    stored = latest / "x86_64" / "Packages" / pkg[0] / binary.name
    that("Key ID" in run("rpm", "--define", f"_dbpath {w.dir}/none", "-qip", stored).out, "the package is not signed")
    that((latest / "src" / "Packages" / pkg[0] / source.name).is_file(), "no source package")
    url = f"{w.ready['files']}/repos-dist/{tag}/latest/x86_64"
    listed = run("dnf", "--quiet", "--disablerepo=*", f"--repofrompath=x,{url}", "--enablerepo=x",
                 f"--setopt=cachedir={w.dir}/cache", "repoquery", "--qf", "%{name}-%{version}-%{release}.%{arch} %{location}", cwd=w.dir)
    eq(listed.out.split(), [f"{nvr}.noarch", f"Packages/{pkg[0]}/{binary.name}"], "what dnf sees")
