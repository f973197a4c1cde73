"""Maven, Windows and image builds with made-up results: what matters is that the hub takes each of their calls."""

import os

import koji

import packages

POM = ("<project><parent><groupId>{group_id}</groupId><version>{version}</version></parent>"
       "<artifactId>{artifact_id}</artifactId></project>")


class Maker(packages.Worker):
    """Uploads small files and tells what they are."""

    def put(self, name, content):
        """Writes a file and uploads it to the task's directory."""
        path = os.path.join(self.workdir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content)
        self.uploadFile(path, os.path.dirname(name) or None)

    def child(self, method, root, *args):
        """Runs the task that makes the files; returns its result."""
        task = self.subtask(method, [root, *args], label=method, arch="noarch")
        return {"task_id": task, "buildroot_id": root, **self.wait(task)[task]}


class Maven(Maker):
    """A Maven build; as a scratch build its files go to the owner."""

    Methods = ["maven"]

    def handler(self, url, target, opts=None):
        opts = opts or {}
        tag = self.session.getBuildTarget(target, strict=True)["build_tag"]
        root = self.buildroot(self.getRepo(tag)["id"], "x86_64")
        gav = {"group_id": "org.example", "artifact_id": opts["artifact"], "version": "1.0"}
        if opts.get("scratch"):
            self.session.host.moveMavenBuildToScratch(self.id, self.child("mavenFiles", root, gav), None)
            return None
        info = koji.maven_info_to_nvr(gav)
        build = self.session.host.initMavenBuild(self.id, info, gav)
        self.session.host.createMavenBuild(koji.buildLabel(build), gav)
        self.session.host.updateMavenBuildRootList(root, self.id, [], ignore=[])
        self.session.host.completeMavenBuild(self.id, build["id"], self.child("mavenFiles", root, gav), None)
        self.put("extra-1.0.jar", "another jar")
        self.session.host.importArchive(f"{koji.pathinfo.work()}/{self.getUploadDir()}/extra-1.0.jar", build, "maven", {
            "group_id": "org.example", "artifact_id": "extra", "version": "1.0"})
        archives = self.session.listArchives(buildID=build["id"])
        self.session.host.updateBuildrootArchives(root, self.id, archives)
        self.session.host.setBuildRootState(root, "EXPIRED", task_id=self.id)
        return koji.buildLabel(build)


class MavenFiles(Maker):
    """What a Maven build leaves."""

    Methods = ["mavenFiles"]

    def handler(self, root, gav):
        place = f"org/example/{gav['artifact_id']}/1.0"
        name = f"{gav['artifact_id']}-1.0"
        self.put(f"{place}/{name}.pom", POM.format(**gav))
        self.put(f"{place}/{name}.jar", "a jar")
        self.put("build.log", "the log\n")
        return {"files": {place: [f"{name}.pom", f"{name}.jar"]}, "logs": ["build.log"]}


class Wrapper(Maker):
    """Packages around a Maven build that exists."""

    Methods = ["wrapperRPM"]

    def handler(self, spec, target, build, task, opts=None):
        repo = self.getRepo(target["build_tag"])
        root = self.buildroot(repo["id"], "x86_64")
        self.put(f"{build['name']}.spec", opts["spec"])
        top = self.rpmbuild("wrapper.log", "-ba", os.path.join(self.workdir, f"{build['name']}.spec"))
        rpms, _ = self.deliver(os.path.join(top, "RPMS"))
        srpms, _ = self.deliver(os.path.join(top, "SRPMS"))
        names = [os.path.basename(path) for path in rpms]
        self.session.host.importWrapperRPMs(self.id, build["id"], {
            "task_id": self.id, "buildroot_id": root, "srpm": os.path.basename(srpms[0]), "rpms": names,
            "logs": ["wrapper.log"]})
        return names


class Windows(Maker):
    """A Windows build, or a scratch one."""

    Methods = ["winbuild"]

    def handler(self, vm, source, target, opts=None):
        opts = opts or {}
        tag = self.session.getBuildTarget(target, strict=True)["build_tag"]
        root = self.buildroot(self.getRepo(tag)["id"], "x86_64")
        if opts.get("scratch"):
            self.session.host.moveWinBuildToScratch(self.id, self.child("winFiles", root), {})
            return None
        info = {"name": source, "version": "1.0", "release": "1", "epoch": 0}
        build = self.session.host.initWinBuild(self.id, info, {"platform": "w10"})
        self.session.host.completeWinBuild(self.id, build["id"], self.child("winFiles", root), {})
        return koji.buildLabel(build)


class WindowsFiles(Maker):
    """What a Windows build leaves."""

    Methods = ["winFiles"]

    def handler(self, root):
        self.put("bin/a.dll", "a library")
        self.put("win.log", "the log\n")
        return {"output": {"bin/a.dll": {"platforms": ["i386"], "flags": ["fre"]}}, "logs": ["win.log"]}


class Image(Maker):
    """An image build, or a scratch one; images of a second kind are imported into the finished build."""

    Methods = ["image"]

    def handler(self, name, version, arches, target, tree, opts=None):
        opts = opts or {}
        tag = self.session.getBuildTarget(target, strict=True)["build_tag"]
        root = self.buildroot(self.getRepo(tag)["id"], "x86_64")
        if opts.get("scratch"):
            self.session.host.moveImageBuildToScratch(self.id, {"x86_64": self.child("imageFiles", root, name, "qcow2")})
            return None
        build = self.session.host.initImageBuild(self.id, {"name": name, "version": version, "release": None, "epoch": None})
        made = self.child("imageFiles", root, name, "qcow2")
        self.session.host.completeImageBuild(self.id, build["id"], {"x86_64": made})
        return koji.buildLabel(build)


class MoreImages(Maker):
    """Images for a build that another task enters."""

    Methods = ["livemedia"]

    def handler(self, name, target):
        tag = self.session.getBuildTarget(target, strict=True)["build_tag"]
        root = self.buildroot(self.getRepo(tag)["id"], "x86_64")
        build = self.session.host.initImageBuild(self.id, {"name": name, "version": "2", "release": "1", "epoch": None})
        self.session.host.importImage(self.id, build, {"x86_64": self.child("imageFiles", root, name, "iso")})
        self.session.host.failBuild(self.id, build["id"])
        return koji.buildLabel(build)


class ImageFiles(Maker):
    """What an image build leaves."""

    Methods = ["imageFiles"]

    def handler(self, root, name, kind):
        self.put(f"{name}.{kind}", "an image")
        self.put("image.log", "the log\n")
        return {"arch": "x86_64", "files": [f"{name}.{kind}"], "logs": ["image.log"], "rpmlist": []}

