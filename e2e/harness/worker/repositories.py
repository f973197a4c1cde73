"""Repositories made by createrepo_c on the builder, as other builders than Toji's make them."""

import json
import os
import subprocess

import koji
from koji.tasks import BaseTaskHandler


class NewRepo(BaseTaskHandler):
    """The repository of a tag."""

    Methods = ["newRepo"]
    _taskWeight = 0.1

    def handler(self, tag, event=None, src=None, debuginfo=None, separate_src=None, opts=None):
        info = self.session.getTag(tag, strict=True, event=event)
        repo, _ = self.session.host.repoInit(info["id"], task_id=self.id, event=event, opts=opts or {})
        arches = sorted({koji.canonArch(a) for a in (info["arches"] or "").split()})
        tasks = {arch: self.subtask("createrepo", [repo, arch, None], label=arch, arch="noarch") for arch in arches}
        results = self.wait(list(tasks.values()), all=True, failany=True)
        self.session.host.repoDone(repo, {arch: results[task] for arch, task in tasks.items()}, expire=False)
        return repo


class CreateRepo(BaseTaskHandler):
    """One arch of it: the packages are read where the hub has them, the metadata are uploaded."""

    Methods = ["createrepo"]
    _taskWeight = 1.5

    def handler(self, repo_id, arch, oldrepo):
        info = self.session.repoInfo(repo_id, strict=True)
        place = os.path.join(koji.pathinfo.repo(repo_id, info["tag_name"]), arch)
        command = ["createrepo_c", "-q", "-o", self.workdir, "--no-database"]
        if os.path.getsize(os.path.join(place, "pkglist")):
            command += ["--pkglist", os.path.join(place, "pkglist")]
        else:
            place = os.path.join(self.workdir, "nothing")
            os.mkdir(place)
        subprocess.run([*command, place], check=True)
        data = os.path.join(self.workdir, "repodata")
        for name in os.listdir(data):
            self.uploadFile(os.path.join(data, name))
        return [self.getUploadDir(), os.listdir(data)]


class DistRepo(BaseTaskHandler):
    """A repository for distribution."""

    Methods = ["distRepo"]
    _taskWeight = 0.1

    def handler(self, tag, repo_id, keys, task_opts):
        arches = sorted({koji.canonArch(a) for a in task_opts["arch"]})
        tasks = {arch: self.subtask("createdistrepo", [tag, repo_id, arch, keys, task_opts], label=arch, arch="noarch")
                 for arch in arches}
        self.wait(list(tasks.values()), all=True, failany=True)
        for arch, task in tasks.items():
            self.session.host.distRepoMove(repo_id, koji.pathinfo.taskrelpath(task), arch)
        self.session.host.repoDone(repo_id, {})


class CreateDistRepo(BaseTaskHandler):
    """One arch of it: signed copies are written, metadata and lists uploaded."""

    Methods = ["createdistrepo"]
    _taskWeight = 1.5

    def handler(self, tag, repo_id, arch, keys, opts):
        rpms, builds = self.session.listTaggedRPMS(tag, latest=opts.get("latest"), inherit=opts.get("inherit"),
                                                   rpmsigs=True, arch=[arch, "noarch"])
        places = {b["id"]: koji.pathinfo.build(b) for b in builds}
        chosen, top = {}, os.path.join(self.workdir, "repo")
        for rpm in rpms:
            if rpm["sigkey"] not in keys:
                continue
            if rpm["sigkey"]:
                self.session.host.writeSignedRPM(rpm["id"], rpm["sigkey"])
            name = os.path.basename(koji.pathinfo.rpm(rpm))
            relative = koji.pathinfo.signed(rpm, rpm["sigkey"]) if rpm["sigkey"] else koji.pathinfo.rpm(rpm)
            target = os.path.join(top, "Packages", name[0].lower(), name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.symlink(os.path.join(places[rpm["build_id"]], relative), target)
            chosen[name] = rpm
        os.makedirs(top, exist_ok=True)
        subprocess.run(["createrepo_c", "-q", "--no-database", top], check=True)
        files = [os.path.join("repodata", name) for name in os.listdir(os.path.join(top, "repodata"))]
        for name in files:
            self.uploadFile(os.path.join(top, name), os.path.dirname(name))
        for name, content in (("kojipkgs", chosen), ("repo_manifest", [*files, "kojipkgs"])):
            with open(os.path.join(self.workdir, name), "w") as file:
                json.dump(content, file)
            self.uploadFile(os.path.join(self.workdir, name))
