"""Provenance and bills of materials: signed by the hub, checked by toji without a hub and by programs of others."""

import base64
import hashlib
import json
import os
import stat
import time
from pathlib import Path

from harness.command import run
from harness.rpms import query
from harness.story import eq, has, story, that
from stories.signatures import key as gpg_key
from stories.signatures import signed

CHECKERS = Path(__file__).resolve().parents[2] / ".x/checkers/bin/python"

# Reads an envelope and keys, gives the payload that securesystemslib has verified.
CHECK = """
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
envelope, keys = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
keys = [SSlibKey.from_crypto(load_pem_public_key(k["pem"].encode()), keyid=k["keyid"]) for k in keys]
found = Envelope.from_dict(envelope)
found.verify(keys, 1)
sys.stdout.write(found.payload.decode())
"""

# Reads a document with the SPDX project's own library, and gives what it finds wrong.
VALIDATE = """
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
document = parse_file(sys.argv[1])
for message in validate_full_spdx_document(document):
    print(message.validation_message)
print(len(document.packages), "packages")
"""


def written(w, nvr, timeout=60):
    """The statement about a build, which is written soon after the build is complete."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        found = w.hub.call("provenance.get", nvr)
        if found and not found["due"]:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no statement about {nvr} after {timeout} s")


def toji(w, *argv, code=0):
    """Runs toji, offline where it needs no server."""
    return run(w.server.toji, *argv, code=code, cwd=w.dir)


def fetched(w, nvr):
    """Envelope and keys, as the commands fetch them."""
    server = ("--server", w.ready["hub"])
    toji(w, "provenance", nvr, *server, "--output", "p.json")
    toji(w, "provenance", "--keys", *server, "--output", "keys.pem")
    return w.dir / "p.json", w.dir / "keys.pem"


@story(slow=True)
def signed_by_the_hub(w):
    """A build's provenance names its files, source and packages; toji and securesystemslib verify it; forgeries fail."""
    pkg, needed = w.name("proven"), w.name("needed")
    target = w.target("t", [pkg, needed])
    w.build(target, w.srpm(needed))
    w.anonymous("wait-repo", f"{target}-build", "--build", f"{needed}-1.0-1", "--timeout", "2")
    source = w.srpm(pkg, build_requires=[needed])
    task = w.task_of(w.build(target, source))
    nvr = f"{pkg}-1.0-1"
    found = written(w, nvr)
    envelope, keys = fetched(w, nvr)
    eq(hashlib.sha256(envelope.read_bytes()).hexdigest(), found["sha256"], "the digest of the envelope")
    eq(w.topdir(found["path"]).read_text(), envelope.read_text(), "the file of the build")
    url = run("curl", "-fsS", f"{w.ready['files']}/{found['path']}").out
    eq(url, envelope.read_text(), "what its URL gives")
    eq(run("curl", "-fsS", f"{w.ready['url']}/api/provenance/keys").out, keys.read_text(), "the keys' URL")

    (w.dir / "keys.json").write_text(json.dumps(w.hub.call("provenance.keys")))
    statement = json.loads(run(CHECKERS, "-c", CHECK, envelope, w.dir / "keys.json").out)
    rpms = {p.name: p for p in w.topdir("packages", pkg).rglob("*.rpm")}
    eq({s["name"]: s["digest"]["sha256"] for s in statement["subject"]},
       {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in rpms.items()}, "the subjects")
    definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    eq(definition["externalParameters"]["target"], target, "the target")
    has(definition["externalParameters"]["source"], source.name)
    packages = {d.get("name"): d for d in definition["resolvedDependencies"]}
    digest = hashlib.sha256(next(w.topdir("packages", needed).rglob("*.noarch.rpm")).read_bytes()).hexdigest()
    eq(packages[f"{needed}-1.0-1.noarch"]["digest"], {"sha256": digest}, "the digest of a package of the buildroot")
    has(details["metadata"]["invocationId"], f"taskinfo?taskID={task}")
    eq({t["method"] for t in details["metadata"]["toji_tasks"]} >= {"build", "rebuildSRPM", "buildArch"}, True, "the tasks")
    verify(w, rpms, envelope, keys, statement)


def verify(w, rpms, envelope, keys, statement):
    """What toji verify takes, and what it refuses."""
    check = ("--provenance", envelope, "--key", keys)
    said = toji(w, "verify", *rpms.values(), *check)
    has(said, "verified, as it was built\n", "buildroots with", "target", next(iter(rpms)))
    # A package that was signed by a release engineer is another file of the same content.
    home, _ = gpg_key(w)
    binary = next(p for name, p in rpms.items() if name.endswith(".noarch.rpm"))
    copy = signed(w, home, binary)
    that(copy.read_bytes() != binary.read_bytes(), "rpmsign changed nothing")
    has(toji(w, "verify", copy, *check), "verified, as it was built, signed since then\n")

    changed = w.dir / "changed.rpm"
    # in the payload, and in the header; what is before it is for signatures
    for place in (-1, binary.read_bytes().rindex(b"noarch")):
        content = bytearray(binary.read_bytes())
        content[place] ^= 1
        changed.write_bytes(content)
        has(toji(w, "verify", changed, *check, code=1).err, "the provenance is not of this file")
    (w.dir / "other.rpm").write_bytes(next(w.topdir("packages").rglob(f"{w.name('needed')}-1.0-1.noarch.rpm")).read_bytes())
    has(toji(w, "verify", w.dir / "other.rpm", *check, code=1).err, "the provenance is not of this file")
    forgeries(w, binary, envelope, keys, statement)


def forgeries(w, binary, envelope, keys, statement):
    """Other keys, other payloads, other signatures: refused by both programs."""
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", w.dir / "own.key")
    run("openssl", "pkey", "-in", w.dir / "own.key", "-pubout", "-out", w.dir / "own.pem")
    has(toji(w, "verify", binary, "--provenance", envelope, "--key", w.dir / "own.pem", code=1).err, "no signature is by a known key")
    good = json.loads(envelope.read_text())
    statement["predicate"]["runDetails"]["builder"]["id"] = "https://trustworthy.example.com"
    payload = json.dumps(statement).encode()
    (w.dir / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (
        len(good["payloadType"]), good["payloadType"].encode(), len(payload), payload))
    run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", w.dir / "own.key", "-in", w.dir / "pae", "-out", w.dir / "sig")
    own = base64.b64encode((w.dir / "sig").read_bytes()).decode()
    keyid, sig = good["signatures"][0]["keyid"], good["signatures"][0]["sig"]
    forged = base64.b64encode(payload).decode()
    for words, text in [
        ("changed", {**good, "payload": forged}),
        ("signed by somebody else under the hub's name", {**good, "payload": forged, "signatures": [{"keyid": keyid, "sig": own}]}),
        ("cut", {**good, "signatures": [{"keyid": keyid, "sig": base64.b64encode(base64.b64decode(sig)[:-1]).decode()}]}),
        ("of another type", {**good, "payloadType": "text/plain"}),
        ("without signatures", {**good, "signatures": []}),
    ]:
        (w.dir / "forged.json").write_text(json.dumps(text))
        toji(w, "verify", binary, "--provenance", w.dir / "forged.json", "--key", keys, code=1)
        run(CHECKERS, "-c", CHECK, w.dir / "forged.json", w.dir / "keys.json", code=1)
        that(True, words)
    # Both programs take what somebody has signed with a key that the reader trusts, so the forgery above was a good one.
    (w.dir / "forged.json").write_text(json.dumps({**good, "payload": forged, "signatures": [{"keyid": "", "sig": own}]}))
    has(toji(w, "verify", binary, "--provenance", w.dir / "forged.json", "--key", w.dir / "own.pem"), "https://trustworthy.example.com")


@story(slow=True)
def bill_of_materials(w):
    """The bill of materials of a build is an SPDX document without faults, and what the provenance says it is."""
    pkg = w.name("billed")
    target = w.target("t", [pkg])
    w.build(target, w.srpm(pkg))
    nvr = f"{pkg}-1.0-1"
    written(w, nvr)
    toji(w, "sbom", nvr, "--server", w.ready["hub"], "--output", "sbom.spdx.json")
    path = w.dir / "sbom.spdx.json"
    said = run(CHECKERS, "-c", VALIDATE, path)
    bill = json.loads(path.read_text())
    eq(said.out, f"{len(bill['packages'])} packages\n", "what the validator says")
    rpm = next(p for p in bill["packages"] if p.get("packageFileName") == f"{nvr}.noarch.rpm")
    file = w.topdir("packages", pkg, "1.0", "1", "noarch", f"{nvr}.noarch.rpm")
    eq(rpm["checksums"], [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(file.read_bytes()).hexdigest()}], "its digest")
    eq(rpm["licenseDeclared"], query(file, "%{LICENSE}"), "its licence")
    envelope, _ = fetched(w, nvr)
    payload = json.loads(base64.b64decode(json.loads(envelope.read_text())["payload"]))
    (about,) = payload["predicate"]["runDetails"]["byproducts"]
    eq(about["digest"]["sha256"], hashlib.sha256(path.read_bytes()).hexdigest(), "the digest in the provenance")
    # SPDX documents are not executable and nobody but the hub may write them.
    eq(stat.S_IMODE(os.stat(w.topdir("packages", pkg, "1.0", "1", "data/attestation/sbom.spdx.json")).st_mode) & 0o022, 0, "mode")
    eq(stat.S_IMODE(os.stat(w.server.data / "provenance.key").st_mode), 0o600, "the key's mode")
