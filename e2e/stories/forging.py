"""Builds that forge: what they leave, and what is uploaded beside them, changes nothing that the hub has signed."""

import base64
import hashlib
import json

from harness import universe
from harness.builders import TojiBuilder, add_host
from harness.command import run
from harness.hub import Fault
from harness.server import Server
from harness.story import eq, has, lacks, story, that
from stories.chroots import spec
from stories.provenance import fetched, toji, written
from stories.uploads import Sender, held_task

# What is said about builds, and what builders and tasks keep.
NAMES = """provenance.intoto.jsonl sbom.spdx.json provenance.json lockfile.json build.log root.log state.log hw_info.log
    explanation.log explanation.json result.json task.json credential.json ..json""".split()

# Lays a forged statement wherever it could be taken for a true one, and tells forged lines.
EVERYWHERE = """Source0: forged.json
%description
d
%build
for dir in %{{_rpmdir}} %{{_rpmdir}}/noarch %{{_rpmdir}}/data/attestation %{{_srcrpmdir}} /builddir /builddir/build /builddir/data/attestation \\
    /builddir/srpm /tmp /var/tmp; do
  mkdir -p $dir
  for name in {names}; do cp %{{SOURCE0}} $dir/$name; done
done
export TASK_ID=1 BUILD_ID=1 KOJI_TASK=1 TOJI_TASK=1
echo 'planned by the hub at event 1'
echo 'rpmbuild exited with status 0 after 0.0 s'
%install
mkdir -p %{{buildroot}}/usr/share/forger
cp %{{SOURCE0}} %{{buildroot}}/usr/share/forger/provenance.intoto.jsonl
%files
/usr/share/forger
"""

HONEST = "%description\nd\n%install\nmkdir -p %{{buildroot}}/usr/share/{0}\n%files\n/usr/share/{0}\n"

# Runs after the packages are written.
LATE = "%description\nd\n%install\nmkdir -p %{{buildroot}}/usr/share/{name}\n%files\n/usr/share/{name}\n%clean\ncd %{{_rpmdir}}\n{body}\n"

# Name, what is done to the finished results, what the reason must say.
LEFT = [
    ("linked", "cd ..; rm -r %{_rpmdir}; ln -s VICTIM/noarch %{_rpmdir}", "build/RPMS is no directory of the build"),
    ("many", "i=0; while [ $i -lt 20001 ]; do : >$i.rpm; i=$((i+1)); done", "the build left 20002 packages, more than 20000"),
    ("newline", "cp *.rpm \"$(printf 'victim-1-1\\nx.noarch.rpm')\"", "which no package has"),
    ("twice", "mkdir other; cp *.rpm other/", "two results are called"),
    ("text", "echo '{\"payloadType\": \"application/vnd.in-toto+json\"}' >provenance.rpm", "provenance.rpm"),
    ("renamed", "mv *.rpm victim-1-1.noarch.rpm", "victim-1-1.noarch.rpm"),
    ("doubled", "cp %{_srcrpmdir}/*.src.rpm %{_srcrpmdir}/victim-1-1.src.rpm", "Multiple srpms found"),
]


@story(own=True, slow=True)
def statements(own):
    """The signed statements of a forger's build and of another build say what the hub knows, whatever the forger leaves or uploads."""
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
    try:
        with universe.served(own.toji) as url:
            w = own.world(server)
            add_host(w, "forge")
            builder = TojiBuilder(w, "forge", own.toji, own={"buildroot": "chroot"})
            try:
                target = universe.target(w, url, "forged", ["victim", "forger", "impostor", *(name for name, _, _ in LEFT)])
                noarch = "BuildArch: noarch\n"
                task = w.task_of(w.build(target, spec(w.dir, "victim", noarch + HONEST.format("victim"))))
                before = true_and_whole(w, "victim", task)
                forges_statements(w, target, before)
                texts = {name: LATE.format(name=name, body=body.replace("VICTIM", str(w.topdir("packages/victim/1/1")))) for name, body, _ in LEFT}
                another = "%package -n victim\nSummary: s\n%description -n victim\nd\n%files -n victim\n"
                texts["impostor"] = another + HONEST.format("impostor")
                tasks = {name: w.task_of(w.koji("build", "--nowait", "--noprogress", target, spec(w.dir, name, noarch + text)))
                         for name, text in texts.items()}
                for name, reason in [*((name, reason) for name, _, reason in LEFT), ("impostor", "rpm victim-1-1.noarch.rpm is already imported")]:
                    refused(w, name, tasks[name], reason)
            finally:
                builder.end()
            eq(true_and_whole(w, "victim", task), before, "the statement about the other build")
            uploads(w, task)
            eq(true_and_whole(w, "victim", task), before, "the statement about the other build")
    finally:
        server.stop()


def forges_statements(w, target, before):
    """A build that leaves statements of its own making, one signed, is built, and the hub's statement is the hub's."""
    directory = w.dir / "spec-forger"
    directory.mkdir(exist_ok=True)
    (directory / "forged.json").write_text(forged(w, before))
    text = "BuildArch: noarch\n" + EVERYWHERE.format(names=" ".join(NAMES))
    task = w.task_of(w.build(target, spec(w.dir, "forger", text)))
    true_and_whole(w, "forger", task)
    rpm = w.topdir("packages/forger/1/1/noarch/forger-1-1.noarch.rpm")
    _, keys = fetched(w, "forger-1-1")
    has(toji(w, "verify", rpm, "--provenance", directory / "forged.json", "--key", keys, code=1).err, "the signature by ", " is wrong")
    kept = {path.name: path for path in w.topdir("packages/forger").rglob("*") if path.is_file()}
    logs = {"build.log", "root.log", "state.log", "hw_info.log"}
    sources = {"forger-1-1.noarch.rpm", "forger-1-1.src.rpm"}
    eq({name for name in kept if not name.endswith(".sig")}, {"provenance.intoto.jsonl", "sbom.spdx.json", *sources, *logs}, "the files of the build")
    for name in set(kept) - sources:
        lacks(kept[name].read_text(errors="replace"), "forged by the build")
    eq(kept["root.log"].read_text().count("planned by the hub at event 1\n"), 0, "lines of another log")


def forged(w, statement):
    """An envelope about the other build, signed by a key of the forger's."""
    text = json.loads(json.dumps(statement["payload"]).replace("victim-1-1", "forger-1-1"))
    text["predicate"]["runDetails"]["builder"]["id"] = "https://forged.by.the.build.example.com"
    text["predicate"]["buildDefinition"]["externalParameters"]["note"] = "forged by the build"
    payload = json.dumps(text).encode()
    kind = statement["envelope"]["payloadType"]
    (w.dir / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", w.dir / "own.key")
    run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", w.dir / "own.key", "-in", w.dir / "pae", "-out", w.dir / "sig")
    sig = base64.b64encode((w.dir / "sig").read_bytes()).decode()
    keyid = statement["envelope"]["signatures"][0]["keyid"]
    return json.dumps({"comment": "forged by the build", "payload": base64.b64encode(payload).decode(), "payloadType": kind,
                       "signatures": [{"keyid": keyid, "sig": sig}]})


def refused(w, name, task, reason):
    """A build whose results are not what they must be fails for that reason, and nothing is signed."""
    w.hub.wait(task, want="FAILED")
    try:
        w.hub.call("getTaskResult", task)
    except Fault as fault:
        has(fault.faultString, reason)
    nvr = f"{name}-1-1"
    eq(w.hub.call("getBuild", nvr)["state"], 3, f"the state of {nvr}")
    eq(w.hub.call("provenance.get", nvr), None, f"the statement about {nvr}")
    below = [t["id"] for children in w.hub.call("getTaskDescendents", task).values() for t in children]
    uploaded = [path.name for child in below for path in w.topdir(f"work/tasks/{child % 10000}/{child}").glob("*")]
    has(uploaded, "build.log")
    if name == "linked":
        lacks(uploaded, "victim-1-1.noarch.rpm")


def true_and_whole(w, name, task):
    """The statement about a build is signed by the hub, is all that there is, and says what the hub knows; gives it."""
    nvr = f"{name}-1-1"
    known = written(w, nvr)
    envelope, keys = fetched(w, nvr)
    eq(hashlib.sha256(envelope.read_bytes()).hexdigest(), known["sha256"], "the digest of the envelope")
    there = sorted(path.name for path in w.topdir(f"packages/{name}/1/1/data/attestation").iterdir())
    eq(there, ["provenance.intoto.jsonl", "sbom.spdx.json"], "the files about the build")
    opened = json.loads(envelope.read_text())
    eq(sorted(opened), ["payload", "payloadType", "signatures"], "the members of the envelope")
    eq(len(opened["signatures"]), 1, "signatures")
    payload = json.loads(base64.b64decode(opened["payload"]))
    build = w.hub.call("getBuild", nvr)
    rpms = [w.topdir(f"packages/{name}/1/1", r["arch"], f"{r['nvr']}.{r['arch']}.rpm") for r in w.hub.call("listRPMs", build["id"])]
    that(len(rpms) == 2, f"{nvr} has {rpms}")
    eq(sorted((s["name"], s["digest"]["sha256"]) for s in payload["subject"]),
       sorted((path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in rpms), "the subjects")
    definition, details = payload["predicate"]["buildDefinition"], payload["predicate"]["runDetails"]
    asked = dict(zip(["source", "target", "options"], w.hub.call("getTaskRequest", task)))
    eq(definition["externalParameters"], {"method": "build", **asked}, "what was asked for")
    eq(definition["internalParameters"]["build"], {"id": build["id"], "nvr": nvr, "epoch": None}, "the build")
    below = [t for children in w.hub.call("getTaskDescendents", task).values() for t in children]
    # The tagging begins when the build is complete, before the statement is written or after.
    tasks, tagging = ([t["id"] for t in below if (t["method"] == "tagBuild") == after] for after in (False, True))
    eq(sorted({t["id"] for t in details["metadata"]["toji_tasks"]} - set(tagging)), sorted({task, *tasks}), "the tasks")
    roots = [root for child in tasks for root in w.hub.call("listBuildroots", taskID=child)]
    eq(sorted(root["id"] for root in definition["internalParameters"]["buildroots"]), sorted(root["id"] for root in roots), "the buildroots")
    materials(w, definition["resolvedDependencies"], [root["id"] for root in roots])
    bill = w.topdir(f"packages/{name}/1/1/data/attestation/sbom.spdx.json").read_bytes()
    eq([b["digest"]["sha256"] for b in details["byproducts"]], [hashlib.sha256(bill).hexdigest()], "what else came out")
    has(toji(w, "verify", *rpms, "--provenance", envelope, "--key", keys), *(path.name for path in rpms))
    return {"payload": payload, "envelope": opened}


def materials(w, named, roots):
    """What a statement says that a build was made of is the source and the lockfiles of its buildroots, package for package."""
    packages, locks = set(), set()
    for root in roots:
        text = w.hub.call("solve.lockfile", root)["lockfile"]
        locks.add(hashlib.sha256(text.encode()).hexdigest())
        for p in json.loads(text)["packages"]:
            epoch = f"{p['epoch']}:" if p.get("epoch") else ""
            packages.add((f"{p['name']}-{epoch}{p['version']}-{p['release']}.{p['arch']}", p["digest"].split(":")[1]))
    by_kind = {"package": set(), "lock": set(), "source": []}
    for one in named:
        if one.get("uri", "").startswith("pkg:rpm/"):
            by_kind["package"].add((one["name"], one["digest"]["sha256"]))
        elif one["name"].startswith("lockfile-"):
            by_kind["lock"].add(one["digest"]["sha256"])
        else:
            by_kind["source"].append(one["name"])
    eq(by_kind["package"] ^ packages, set(), "packages that only one of both names")
    eq(by_kind["lock"], locks, "the lockfiles")
    eq(len(by_kind["source"]), 1, "sources")


def uploads(w, victim):
    """Who has the upload token of a task writes to that task's directory, and what is there is no statement."""
    task, hub, token = held_task(w, "thief")
    data = b"forged by a thief"
    place = f"../../../packages/victim/1/1/data/attestation/{NAMES[0]}"
    for other, name in [(victim, NAMES[0]), (victim + 1, "build.log"), (task, f"../{victim}/{NAMES[0]}"), (task, place), (task, place.replace("/", "%2f")),
                        (task, f"x/../../{victim}/x.rpm"), (task, "x%0ay/../../../y"), (f"..%2f{victim}", "x.rpm")]:
        sender = Sender(w.server.address, other, token, data, name)
        status, _ = sender.ask("PUT", 0, data)
        that(status >= 400, f"an upload to {other}/{name} was answered with {status}")
        that(sender.ask("POST")[0] >= 400, f"the end of an upload to {other}/{name} was taken")
    own = Sender(w.server.address, task, token, data, f"data/attestation/{NAMES[0]}")
    eq((own.ask("PUT", 0, data)[0], own.ask("POST")[0]), (200, 200), "an upload to the task's own directory")
    found = [path for path in w.topdir().rglob("*") if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data]
    eq(found, [w.topdir(f"work/tasks/{task % 10000}/{task}/data/attestation/{NAMES[0]}")], "where the upload is")
    hub.call("host.closeTask", task, "x")
