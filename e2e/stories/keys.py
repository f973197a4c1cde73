"""Keys of every kind: signatures by gpg and rpmsign are imported, found by label, id and fingerprint, verified, and written byte by byte."""

import base64
import hashlib
import struct
import subprocess
import time
from pathlib import Path

from harness.command import run
from harness.story import eq, has, lacks, matches, story, that
from stories.imports import built_here


ROOT = Path(__file__).resolve().parents[2]


class Keyring:
    """A home of gpg's."""

    def __init__(self, w, *algorithms):
        self.home = w.dir / "keyring"
        self.home.mkdir(mode=0o700)
        for algorithm in algorithms:
            self.gpg("--quick-gen-key", algorithm, algorithm, "sign", "never")

    def gpg(self, *argv, code=0):
        return run("gpg", "--batch", "--homedir", self.home, "--pinentry-mode", "loopback", "--passphrase", "", *argv, code=code)

    def print(self, name):
        """The fingerprint of a key."""
        listing = self.gpg("--with-colons", "--list-keys", name).out
        return next(x for x in listing.splitlines() if x.startswith("fpr:")).split(":")[9].lower()

    def public(self, name):
        """The file with the public key."""
        path = self.home / f"{name}.asc"
        path.write_text(self.gpg("--armor", "--export", name).out)
        return path

    def rpmsign(self, name, rpm, *options):
        run("rpmsign", "--define", f"_gpg_name {name}", "--define", "__gpg /usr/bin/gpg", "--define", f"_gpg_path {self.home}",
            "--define", "_gpg_sign_cmd_extra_args --batch --pinentry-mode loopback", *options, "--addsign", rpm)

    def sign_header(self, w, name, rpm):
        """Signs as rpmsign does, with keys that this rpmsign does not know."""
        header, packet = self.home / "header", self.home / "header.sig"
        header.write_bytes(subprocess.run([rpmgen(w), "header", rpm], stdout=subprocess.PIPE, check=True).stdout)
        packet.unlink(missing_ok=True)
        self.gpg("--local-user", name, "--detach-sign", "--output", packet, header)
        run(rpmgen(w), "sign", rpm, packet, rpm)


def rpmgen(w):
    return Path(w.server.toji).resolve().with_name("toji-rpmgen")


def toji(w, *argv, code=0):
    """Runs the binary as the administrator."""
    password = w.dir / "password"
    password.write_text(w.ready["admin_password"])
    return run(w.server.toji, *argv, "--server", w.ready["hub"], "--user", w.ready["admin_user"], "--password-file", password, code=code)


def copy_of(w, rpm, name):
    place = w.dir / name / rpm.name
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(rpm.read_bytes())
    return place


def signed_copy(w, rpm, label):
    pkg = rpm.name.rsplit("-", 2)[0]
    return w.topdir("packages", pkg, "1.0", "1", "data", "signed", label, "noarch", rpm.name)


@story(slow=True)
def every_kind(w):
    """RSA, EdDSA and ECDSA, RPM 3's signatures, two keys on one package: found by each name, verified, copied byte by byte."""
    kinds = ["rsa2048", "rsa4096", "ed25519", "nistp256"]
    ring = Keyring(w, *kinds)
    _, binary = built_here(w, w.name("kinds"))
    w.koji("import", "--create-build", binary)
    nvra = binary.name.removesuffix(".rpm")
    rpmdb = w.dir / "rpmdb"
    for kind in kinds:
        has(toji(w, "keys", "add", ring.public(kind)), f"{ring.print(kind)} {kind}\n", f"signs: {ring.print(kind)[24:]} ")
        # RPM 4.18 has no ECDSA
        run("rpm", "--dbpath", rpmdb, "--import", ring.public(kind), code=1 if kind == "nistp256" else 0)
    copies = {}
    for kind in kinds:
        copy = copies[kind] = copy_of(w, binary, kind)
        if kind == "nistp256":
            ring.sign_header(w, kind, copy)
        else:
            ring.rpmsign(kind, copy)
        label = ring.print(kind)[32:]
        has(w.koji("import-sig", copy), f"Importing signature [key {label}] from {copy}...", "Writing signed copy")
    # The same key once more, by header and payload as RPM 3 has it: under a label of its own.
    old = copies["rpm3"] = copy_of(w, binary, "rpm3")
    ring.rpmsign("rsa2048", old, "--rpmv3")
    said = w.koji("import-sig", old)
    has(said.out + said.err, "signature mismatch")
    has(w.koji("import-sig", "--sigkey", "Legacy", old), "Importing signature [key Legacy]")
    labels = {kind: ring.print(kind)[32:] for kind in kinds} | {"rpm3": "legacy"}
    eq(sorted(s["sigkey"] for s in w.hub.call("queryRPMSigs", nvra)), sorted(["", *labels.values()]), "the signatures")
    for kind, label in labels.items():
        stored = signed_copy(w, binary, label)
        eq(stored.read_bytes(), copies[kind].read_bytes(), f"the signed copy of {kind}")
        if kind != "nistp256":
            has(run("rpm", "--dbpath", rpmdb, "-K", stored), "digests signatures OK")
    for kind in kinds:
        print_ = ring.print(kind)
        for name in (print_, print_[24:], print_.upper()):
            found = {s["sigkey"] for s in w.hub.call("queryRPMSigs", nvra, name)}
            eq(found, {labels[kind], "legacy"} if kind == "rsa2048" else {labels[kind]}, f"the signatures of {name}")
        has(w.koji("list-signed", "--rpm", nvra, "--key", print_[32:]), nvra)
        has(toji(w, "signatures", "list", "--key", print_[32:]), f" {labels[kind]} ", f" {print_[24:]} {print_} ")
        stored = signed_copy(w, binary, labels[kind])
        if kind != "rsa2048":
            # written again for whoever names it by its id or fingerprint
            for name in (print_[24:], print_):
                stored.unlink()
                w.koji("write-signed-rpm", name, nvra)
                eq(stored.read_bytes(), copies[kind].read_bytes(), f"the copy for {name}")
    # one header that two keys have signed in turn: rpmsign leaves the last signature
    twice = copy_of(w, copies["rsa2048"], "twice")
    ring.rpmsign("ed25519", twice)
    has(w.koji("import-sig", "--sigkey", "twice", twice), "Importing signature [key twice]")
    eq(signed_copy(w, binary, "twice").read_bytes(), twice.read_bytes(), "the copy that was signed twice")
    said = toji(w, "signatures", "verify", nvra)
    eq(len(said.out.splitlines()), 7, f"the verified signatures\n{said}")
    eq({line.split()[1] for line in said.out.splitlines()}, {"good"}, f"the states\n{said}")
    has(said, " legacy sigpgp ", " legacy rsaheader ")
    toji(w, "keys", "remove", ring.print("rsa4096"))
    said = toji(w, "signatures", "verify", nvra, "--key", ring.print("rsa4096"), code=1)
    matches(said, rf"{nvra} nokey {labels['rsa4096']} rsaheader .*")
    exported = toji(w, "keys", "export", ring.print("ed25519")[24:]).out
    has(exported, "-----BEGIN PGP PUBLIC KEY BLOCK-----")
    (w.dir / "exported.asc").write_text(exported)
    run("rpm", "--dbpath", w.dir / "rpmdb2", "--import", w.dir / "exported.asc")
    has(run("rpm", "--dbpath", w.dir / "rpmdb2", "-K", signed_copy(w, binary, labels["ed25519"])), "digests signatures OK")


@story(slow=True)
def by_rpm_six(w):
    """RPM 6 signs and checks what the older one does not know: ECDSA, and packages of its own format with several signatures."""
    if not (ROOT / ".x/rpm6/whole").exists():
        print("keys.by_rpm_six: RPM 6 could not be had, see ./x setup test")
        return
    kinds = ["ed25519", "nistp256", "nistp384"]
    ring, rpmdb = Keyring(w, *kinds), w.dir / "rpmdb6"
    for kind in kinds:
        toji(w, "keys", "add", ring.public(kind))
        rpm_six("rpmkeys", "--dbpath", rpmdb, "--import", ring.public(kind))
    _, older = built_here(w, w.name("older"))
    newer = built_by_six(w, w.name("newer"))
    for package, made in ((older, "4"), (newer, "6")):
        eq(rpm_six("rpm", "-qp", "--nosignature", "--qf", "%{RPMFORMAT}", package).out, made, "the format")
        w.koji("import", "--create-build", package)
        nvra = package.name.removesuffix(".rpm")
        for kind in kinds:
            print_, copy = ring.print(kind), copy_of(w, package, f"six-{kind}")
            rpm_six("rpmsign", "--define", f"_openpgp_sign_id {print_}", "--define", "_openpgp_sign gpg", "--define", "__gpg /usr/bin/gpg",
                    "--define", f"_gpg_path {ring.home}", "--addsign", copy, env={"GNUPGHOME": str(ring.home)})
            has(rpm_six("rpmkeys", "--dbpath", rpmdb, "-Kv", copy), print_)
            if made == "4":
                has(w.koji("import-sig", copy), "Importing signature", "Writing signed copy")
            else:
                # The stock client asks the older library who has signed, and is told nobody.
                has(w.koji("import-sig", copy), "Skipping unsigned package")
                w.hub.call("addRPMSig", nvra, base64.b64encode(signature_header(copy)).decode())
                w.hub.call("writeSignedRPM", nvra, print_[32:])
            stored = signed_copy(w, package, print_[32:])
            eq(stored.read_bytes(), copy.read_bytes(), f"the signed copy of {kind}, format {made}")
            has(rpm_six("rpmkeys", "--dbpath", rpmdb, "-K", stored), "digests signatures OK")
            for name in (print_, print_[24:]):
                eq([s["sigkey"] for s in w.hub.call("queryRPMSigs", nvra, name)], [print_[32:]], f"the signatures of {name}")
        # What Toji puts into a header itself, from gpg's bare signature.
        bare = copy_of(w, package, "six-bare")
        if made == "4":
            ring.sign_header(w, "nistp384", bare)
            has(rpm_six("rpmkeys", "--dbpath", rpmdb, "-Kv", bare), ring.print("nistp384"))
        said = toji(w, "signatures", "verify", nvra).out.splitlines()
        eq(([line.split()[1] for line in said]), ["good"] * len(kinds), f"the states of {nvra}: {said}")


def signature_header(rpm):
    """What addRPMSig takes: behind the lead, as long as its counts of entries and bytes say."""
    content = rpm.read_bytes()[96:]
    entries, length = struct.unpack(">II", content[8:16])
    return content[:16 + 16 * entries + length]


def rpm_six(program, *argv, **more):
    """Runs a program of RPM 6."""
    return run(ROOT / ".x/rpm6/run", program, *argv, **more)


def built_by_six(w, name):
    """A package in the format of RPM 6, built by it."""
    top, spec = w.dir / f"six-{name}", w.dir / f"{name}.spec"
    spec.write_text(f"Name: {name}\nVersion: 1.0\nRelease: 1\nSummary: {name}\nLicense: MIT\nBuildArch: noarch\n%description\n{name}\n"
                    f"%install\nmkdir -p %{{buildroot}}/usr/share/{name}\necho {name} > %{{buildroot}}/usr/share/{name}/file\n%files\n/usr/share/{name}\n")
    rpm_six("rpmbuild", "--define", f"_topdir {top}", "--define", "_rpmformat 6", "-bb", spec)
    return next((top / "RPMS").rglob("*.rpm"))


@story()
def files_signed(w):
    """IMA signatures of files stay with the signature header: imported, pruned, written again."""
    ring = Keyring(w, "rsa2048")
    label = ring.print("rsa2048")[32:]
    _, binary = built_here(w, w.name("ima"))
    w.koji("import", "--create-build", binary)
    nvra = binary.name.removesuffix(".rpm")
    key = w.dir / "ima.pem"
    run("openssl", "genrsa", "-out", key, "2048")
    names = run("rpm", "-qp", "--qf", "[%{FILENAMES}\\n]", binary).out.split()
    signatures = []
    for number, name in enumerate(names):
        content = w.dir / f"file{number}"
        content.write_text(name)
        run("evmctl", "ima_sign", "--sigfile", "-a", "sha256", "--key", key, content)
        signatures.append(Path(f"{content}.sig"))
    with_ima = copy_of(w, binary, "ima")
    run(rpmgen(w), "ima", with_ima, with_ima, *signatures)
    ring.rpmsign("rsa2048", with_ima)
    query = ("rpm", "-qp", "--nosignature", "--qf", "[%{FILESIGNATURES}\\n]")
    wanted = [path.read_bytes().hex() for path in signatures]
    eq(run(*query, with_ima).out.split(), wanted, "what rpm sees of the signatures")
    has(w.koji("import-sig", with_ima), f"Importing signature [key {label}]")
    stored = signed_copy(w, binary, label)
    eq(stored.read_bytes(), with_ima.read_bytes(), "the signed copy")
    pkg = nvra.rsplit("-", 2)[0]
    w.koji("prune-signed-copies", "--days", "0", "--package", pkg)
    that(not stored.exists(), "the copy is still there")
    w.koji("write-signed-rpm", ring.print("rsa2048"), nvra)
    eq(stored.read_bytes(), with_ima.read_bytes(), "the copy that was written again")
    eq(run(*query, stored).out.split(), wanted, "the signatures of the copy's files")
    rpmdb = w.dir / "rpmdb"
    run("rpm", "--dbpath", rpmdb, "--import", ring.public("rsa2048"))
    has(run("rpm", "--dbpath", rpmdb, "-K", stored), "digests signatures OK")
    eq(hashlib.sha256(stored.read_bytes()).hexdigest(), w.hub.call("getRPMChecksums", w.hub.call("getRPM", nvra)["id"], ["sha256"])[label]["sha256"],
       "the checksum")


def waiting_signer(w, ring, secret, login):
    """A signer that asks by the clock every ten minutes at most takes work at once: the hub tells."""
    packages = [built_here(w, w.name(name))[1] for name in ("first", "second")]
    for package in packages:
        w.koji("import", "--create-build", package)
    log = w.dir / "signer.log"
    command = [w.server.toji, "signer", "--key", secret, "--interval", "600", *login]
    with open(log, "wb") as out:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        # The first it may find when it begins to listen, of the second it is told.
        for package in packages:
            toji(w, "signatures", "request", package.name.removesuffix(".noarch.rpm"), "--key", ring.print("rsa2048"))
            begin = time.monotonic()
            while f"{package.name.removesuffix('.rpm')} done" not in (jobs := toji(w, "signatures", "jobs", "--state", "done").out):
                that(time.monotonic() - begin < 20, f"it is not signed:\n{jobs}\n{log.read_text()}")
                time.sleep(0.05)
            print(f"    signed {time.monotonic() - begin:.2f} s after it was asked for", flush=True)
    finally:
        process.terminate()
        eq(process.wait(20), 0, "the exit code of the signer")


@story()
def signer(w):
    """Signers outside sign a build: one with a key of its own, one by gpg; the hub has no key, and takes good signatures only."""
    ring = Keyring(w, "rsa2048", "ed25519")
    source, binary = built_here(w, w.name("outside"))
    w.koji("import", source, binary)
    nvr = binary.name.removesuffix(".noarch.rpm")
    rpmdb = w.dir / "rpmdb"
    for kind in ("rsa2048", "ed25519"):
        toji(w, "keys", "add", ring.public(kind))
        run("rpm", "--dbpath", rpmdb, "--import", ring.public(kind))
    bot = w.user("signer")
    w.koji("grant-permission", "--new", "signer", bot)
    password = w.dir / "bot-password"
    password.write_text("the password of every user that a story makes")
    login = ("--server", w.ready["hub"], "--user", bot, "--password-file", password, "--once")
    # who may sign may not ask, and the other way round is another permission too
    refused = run(w.server.toji, "signatures", "request", nvr, "--key", ring.print("ed25519"), *login[:-1], code=1)
    has(refused.err + refused.out, "Only admin/sign can do this")
    secret = w.dir / "secret.key"
    ring.gpg("--output", secret, "--export-secret-keys", "rsa2048")
    jobs = toji(w, "signatures", "request", nvr, "--key", ring.print("rsa2048")).out.split()
    eq(len(jobs), 2, "the jobs")
    run(w.server.toji, "signer", "--key", secret, *login)
    toji(w, "signatures", "request", nvr, "--key", ring.print("ed25519"), "--label", "release-2026")
    gpg = f"gpg --batch --homedir {ring.home} --pinentry-mode loopback --passphrase '' --local-user ed25519 --detach-sign"
    run(w.server.toji, "signer", "--command", gpg, "--fingerprint", ring.print("ed25519"), *login)
    for rpm in (binary, source):
        arch = "src" if rpm == source else "noarch"
        for kind, label in (("rsa2048", ring.print("rsa2048")[32:]), ("ed25519", "release-2026")):
            stored = signed_copy(w, binary, label).parent.with_name(arch) / rpm.name
            has(run("rpm", "--dbpath", rpmdb, "-K", stored), "digests signatures OK")
            # what rpmsign makes of the same packet is the same file, to the byte
            ours = run("rpm", "-qp", "--nosignature", "--qf", "%{DSAHEADER:pgpsig}%{RSAHEADER:pgpsig}", stored).out
            has(ours, ring.print(kind)[24:])
    same = copy_of(w, binary, "same")
    ring.rpmsign("ed25519", same)
    stored = signed_copy(w, binary, "release-2026")
    eq(stored.stat().st_size, same.stat().st_size, "the size of a copy that rpmsign has signed")
    has(toji(w, "signatures", "jobs", "--state", "done"), f"{nvr}.noarch done {ring.print('ed25519')} release-2026 {bot} -")
    waiting_signer(w, ring, secret, login[:-1])
    # a signer whose key is another one than it says
    _, other = built_here(w, w.name("refused"))
    w.koji("import", "--create-build", other)
    toji(w, "signatures", "request", other.name.removesuffix(".noarch.rpm"), "--key", ring.print("ed25519"))
    wrong = gpg.replace("--local-user ed25519", "--local-user rsa2048")
    run(w.server.toji, "signer", "--command", wrong, "--fingerprint", ring.print("ed25519"), *login)
    has(toji(w, "signatures", "jobs", "--state", "failed"), "does not verify: signed by another key")
    lacks(str(w.hub.call("queryRPMSigs", other.name.removesuffix(".rpm"))), ring.print("ed25519")[32:])
