"""Package builds from source package to tagged build, with rpmbuild on the machine itself instead of a buildroot."""

import os
import subprocess

import koji
from koji.daemon import log_output
from koji.tasks import BaseTaskHandler

FIELDS = ("name", "version", "release", "epoch", "arch", "sigmd5", "size", "buildtime")


def header(path, *fields):
    """Fields of a package file, by name; the epoch is a number or None."""
    form = "\\n".join("%{" + ("EPOCHNUM" if f == "epoch" else f.upper()) + "}" for f in fields)
    command = ["rpm", "-qp", "--nosignature", "--qf", form + "\\n%|EPOCH?{1}:{0}|", path]
    *values, has_epoch = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")
    found = dict(zip(fields, values))
    for name in ("epoch", "size", "buildtime"):
        if name in found:
            found[name] = int(found[name])
    if "epoch" in found and has_epoch == "0":
        found["epoch"] = None
    return found


class Worker(BaseTaskHandler):
    """What the handlers of package builds share."""

    def rpmbuild(self, log, *argv):
        """Runs rpmbuild with its output growing on the hub."""
        top = os.path.join(self.workdir, "top")
        command = ["rpmbuild", "--define", f"_topdir {top}", "--define", "debug_package %{nil}", "--define",
                   "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--define",
                   f"_dbpath {self.workdir}/db", "--nodeps", *argv]
        path = os.path.join(self.workdir, log)
        status = log_output(self.session, command[0], command, path, self.getUploadDir(), logerror=1)
        if status:
            raise koji.BuildError(f"rpmbuild ended with status {status}; see {log} for more information")
        return top

    def buildroot(self, repo_id, arch):
        """Enters a buildroot and what is in it: every package of the repository's tag at its event."""
        root = self.session.host.newBuildRoot(repo_id, arch, task_id=self.id)
        repo = self.session.repoInfo(repo_id, strict=True)
        rpms, _ = self.session.listTaggedRPMS(repo["tag_id"], event=repo["create_event"], inherit=True, latest=True)
        rpms = [r for r in rpms if r["arch"] in (arch, "noarch")]
        entries = [{**{f: r[f] for f in FIELDS if f != "sigmd5"}, "payloadhash": r["payloadhash"]} for r in rpms]
        self.session.host.setBuildRootList(root, entries, task_id=self.id)
        self.session.host.setBuildRootState(root, "BUILDING", task_id=self.id)
        self.session.host.updateBuildRootList(root, entries[:1], task_id=self.id)
        return root

    def deliver(self, directory):
        """Uploads every package below a directory; returns the paths on the hub and the files here."""
        found = sorted(os.path.join(at, name) for at, _, names in os.walk(directory) for name in names)
        for path in found:
            self.uploadFile(path)
        return [f"{self.getUploadDir()}/{os.path.basename(path)}" for path in found], found


class Build(Worker):
    """The parent: source package, arches, import, tagging."""

    Methods = ["build"]
    _taskWeight = 0.2

    def handler(self, src, target, opts=None):
        opts = opts or {}
        info = self.session.getBuildTarget(target, strict=True)
        data = {"user_id": self.taskinfo["owner"], "source": src, "task_id": self.id, "build_tag": info["build_tag"],
                "skip_tag": False, "target": info["name"], "tag": info["dest_tag"], "scratch": bool(opts.get("scratch"))}
        self.session.host.assertPolicy("build_rpm", data, "allow")
        repo = self.getRepo(info["build_tag"], builds=opts.get("wait_builds"), wait=opts.get("wait_repo"))
        made = self.subtask("rebuildSRPM", [src, info["build_tag"], {"repo_id": repo["id"]}], label="srpm", arch="noarch")
        srpm = self.wait(made)[made]["srpm"]
        package = header(self.localPath(f"work/{srpm}"), "name", "version", "release", "epoch")
        if opts.get("scratch"):
            rpms, _, logs, srpm = self.arches(srpm, info, repo)
            self.session.host.moveBuildToScratch(self.id, srpm, rpms, logs=logs)
            return None
        if not self.session.checkTagPackage(info["dest_tag"], package["name"]):
            raise koji.BuildError(f"package {package['name']} is not listed for {info['dest_tag_name']}")
        build = self.session.host.initBuild({**package, "task_id": self.id})
        try:
            rpms, roots, logs, srpm = self.arches(srpm, info, repo)
            self.session.host.completeBuild(self.id, build, srpm, rpms, roots, logs=logs)
        except Exception:
            self.session.host.failBuild(self.id, build)
            raise
        tagging = self.subtask2({"label": "tag", "arch": "noarch"}, "tagBuild", info["dest_tag"], build,
                                ignore_success=True)
        self.wait(tagging)
        return None

    def arches(self, srpm, info, repo):
        """Builds on each arch of the build tag; returns packages, buildroots and logs for the import."""
        tag = self.session.getBuildConfig(info["build_tag"])
        arches = sorted(tag["arches"].split())
        if header(self.localPath(f"work/{srpm}"), "name", "arch")["arch"] == "noarch":
            arches = arches[:1]
        tasks = {}
        for number, arch in enumerate(arches):
            args = [srpm, info["build_tag"], arch, number == 0, {"repo_id": repo["id"]}]
            tasks[self.subtask("buildArch", args, label=arch, arch=koji.canonArch(arch))] = arch
        results = self.wait(list(tasks), all=True, failany=True)
        rpms, roots, logs, source = [], {}, {}, None
        for task, arch in tasks.items():
            result = results[task]
            rpms += result["rpms"]
            roots.update({path: result["brootid"] for path in result["rpms"] + result["srpms"]})
            logs[arch] = result["logs"]
            source = (result["srpms"] or [source])[0]
        return rpms, roots, logs, source


class RebuildSRPM(Worker):
    """Makes the source package anew from one that was uploaded."""

    Methods = ["rebuildSRPM", "buildSRPMFromSCM"]

    def handler(self, srpm, build_tag, opts=None):
        root = self.buildroot(opts["repo_id"], "x86_64")
        source = self.localPath(f"work/{srpm}")
        top = os.path.join(self.workdir, "top")
        os.makedirs(os.path.join(top, "SOURCES"))
        subprocess.run(["rpm", "-i", "--nodeps", "--nosignature", "--define", f"_topdir {top}", "--dbpath",
                        f"{self.workdir}/db", source], check=True)
        specs = [os.path.join(top, "SPECS", name) for name in os.listdir(os.path.join(top, "SPECS"))]
        self.rpmbuild("build.log", "-bs", *specs)
        paths, _ = self.deliver(os.path.join(top, "SRPMS"))
        self.session.host.setBuildRootState(root, "EXPIRED", task_id=self.id)
        return {"srpm": paths[0], "logs": [f"{self.getUploadDir()}/build.log"], "brootid": root, "source": None}


class BuildArch(Worker):
    """Builds for one arch."""

    Methods = ["buildArch"]
    _taskWeight = 1.5

    def checkHost(self, host):
        """Whether this host is for the arch of the task."""
        return koji.canonArch(self.params[2]) in [koji.canonArch(a) for a in host["arches"].split()]

    def handler(self, pkg, root, arch, keep_srpm, opts=None):
        brootid = self.buildroot(opts["repo_id"], koji.canonArch(arch))
        top = self.rpmbuild("build.log", "--rebuild" if not keep_srpm else "-ra", "--target", arch,
                            self.localPath(f"work/{pkg}"))
        rpms, _ = self.deliver(os.path.join(top, "RPMS"))
        srpms, _ = self.deliver(os.path.join(top, "SRPMS")) if keep_srpm else ([], None)
        self.session.host.setBuildRootState(brootid, "EXPIRED", task_id=self.id)
        return {"rpms": rpms, "srpms": srpms, "logs": [f"{self.getUploadDir()}/build.log"], "brootid": brootid}


class TagBuild(BaseTaskHandler):
    """Tags a build when the policy lets it, and has people told."""

    Methods = ["tagBuild"]
    Foreground = True

    def handler(self, tag_id, build_id, force=False, fromtag=None, ignore_success=False):
        task = self.session.getTaskInfo(self.id)
        try:
            self.session.host.tagBuild(self.id, tag_id, build_id, force=force, fromtag=fromtag)
            self.session.host.tagNotification(True, tag_id, fromtag, build_id, task["owner"], ignore_success)
        except Exception as error:
            self.session.host.tagNotification(False, tag_id, fromtag, build_id, task["owner"], False, str(error))
            raise


class Notification(BaseTaskHandler):
    """Reads what a letter would be about; no mail leaves a test."""

    Methods = ["buildNotification", "tagNotification"]
    _taskWeight = 0.1

    def handler(self, recipients, *about):
        return f"{len(recipients)} recipients"
