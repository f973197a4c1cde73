"""A stand-in for mock, which no registry has: it checks its arguments and configuration, and runs the machine's own rpm and rpmbuild.

What it has of mock: options, the configuration (a program in Python), the layout of root and results, the names of the logs, the statuses,
children in sessions of their own, a home directory that does not outlive a build. Its roots show the machine's programs; the packages of
the repository are only noted in the root's database. Beside the program it leaves `mock.calls`, a line of JSON for each call."""

import gzip
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as xml
from pathlib import Path

KNOWN = {
    "root", "basedir", "target_arch", "chroothome", "chroot_setup_cmd", "rpmbuild_networking", "use_host_resolv", "rpmbuild_timeout",
    "dnf_warning", "use_bootstrap_image", "yum.conf", "package_manager", "bootstrap_image", "forcearch", "module_setup_commands", "releasever",
    "internal_dev_setup", "use_bootstrap", "plugin_conf", "macros", "environment", "files"}
NEEDED = {"root", "basedir", "target_arch", "chroothome", "chroot_setup_cmd", "rpmbuild_timeout", "yum.conf"}
ACTIONS = {"--init": 0, "--rebuild": 1, "--buildsrpm": 0, "--install": None, "--chroot": None, "--orphanskill": 0, "--clean": 0}
FLAGS = {"--no-clean", "--unpriv", "--new-chroot", "--old-chroot", "--bootstrap-image-ready"}
VALUES = {"-r", "--target", "--cwd", "--spec", "--sources"}


class Ends(Exception):
    """The status with which the program ends, and why."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def arguments(words):
    """The options, the action, and what it is done to."""
    options, action, rest = {}, None, []
    words = list(words)
    while words:
        word = words.pop(0)
        if word == "--":
            rest += words
            break
        if word in ACTIONS:
            if action:
                raise Ends(5, f"two actions: {action} and {word}")
            action = word
        elif word in FLAGS:
            options[word] = True
        elif word in VALUES:
            options[word] = words.pop(0)
        elif word.startswith("-"):
            raise Ends(5, f"no such option: {word}")
        else:
            rest.append(word)
    if action is None or "-r" not in options:
        raise Ends(5, "no action or no configuration")
    count = ACTIONS[action]
    if (count is None and not rest) or (count is not None and len(rest) != count):
        raise Ends(5, f"{action} is not for {rest}")
    return options, action, rest


def configuration(file):
    """What the configuration sets."""
    opts = {"macros": {}, "environment": {}, "files": {}, "plugin_conf": {"bind_mount_opts": {"dirs": [], "files": []}}}
    exec(compile(Path(file).read_text(), file, "exec"), {"config_opts": opts})
    if set(opts) - KNOWN or NEEDED - set(opts):
        raise Ends(3, f"the configuration sets {sorted(set(opts) - KNOWN)} and lacks {sorted(NEEDED - set(opts))}")
    if opts["root"] != Path(file).stem:
        raise Ends(3, f"{file} is of the root {opts['root']}")
    return opts


class Root:
    """One root, with its results and logs."""

    def __init__(self, opts):
        self.opts = opts
        self.top = Path(opts["basedir"]) / opts["root"]
        self.root, self.result = self.top / "root", self.top / "result"
        self.database = self.root / "usr/lib/sysimage/rpm"
        self.repository = None

    def log(self, name, text):
        """Adds to a log in the results."""
        with (self.result / name).open("a") as file:
            file.write(text.rstrip("\n") + "\n")

    def init(self):
        """The directories, and the packages of the group in the database."""
        for place in (self.result, self.database, self.root / "builddir", self.root / "tmp", self.root / "var/log"):
            place.mkdir(parents=True, exist_ok=True)
        self.home()
        self.log("root.log", "DEBUG: init")
        self.log("state.log", "Start: chroot init")
        (self.root / "var/log/dnf.log").write_text("INFO --- logging initialized ---\n")
        words = self.opts["chroot_setup_cmd"].split()
        if words[:1] != ["install"]:
            raise Ends(3, f"chroot_setup_cmd is {words}")
        packages, groups = self.offered()
        for word in words[1:]:
            names = groups.get(word[1:], []) if word.startswith("@") else [word]
            self.install([name for name in names if name in packages])
        self.log("state.log", "Finish: chroot init")

    def offered(self):
        """The packages of the repository by name, and the packages of its groups."""
        if self.repository is None:
            lines = self.opts["yum.conf"].splitlines()
            base = next(line.split("=", 1)[1] for line in lines if line.startswith("baseurl="))
            tree = xml.fromstring(read(f"{base}/repodata/repomd.xml"))
            places = {data.get("type"): f"{base}/{data.find('{*}location').get('href')}" for data in tree.iterfind("{*}data")}
            packages = {}
            for package in xml.fromstring(read(places["primary"])).iterfind("{*}package"):
                packages[package.find("{*}name").text] = f"{base}/{package.find('{*}location').get('href')}"
            groups = {}
            for group in xml.fromstring(read(places["group"])).iterfind("group") if "group" in places else ():
                groups[group.find("id").text] = [one.text for one in group.iterfind("packagelist/packagereq")]
            self.repository = packages, groups
        return self.repository

    def install(self, names):
        """Notes packages in the database; what the repository lacks ends the program."""
        packages, _ = self.offered()
        for name in names:
            if name in self.installed():
                continue
            if name not in packages:
                self.log("root.log", f"DEBUG util.py: No matching package to install: '{name}'")
                raise Ends(30, f"Command failed: dnf install {name}")
            file = self.root / "tmp/package.rpm"
            file.write_bytes(read(packages[name]))
            self.log("root.log", f"DEBUG util.py: Installed: {name}")
            subprocess.run(["rpm", "--dbpath", self.database, "-i", "--justdb", "--nodeps", "--noscripts", "--nosignature", "--ignorearch", file], check=True)

    def installed(self):
        """The names in the database."""
        return subprocess.run(["rpm", "--dbpath", self.database, "-qa", "--qf", "%{name}\\n"], check=True, capture_output=True, text=True).stdout.split()

    def inside(self, words, cwd="/builddir", log=None):
        """Runs a command with the root's own directories, in a session of its own; the status."""
        extra = [one for one in self.root.iterdir() if one.name not in ("usr", "var", "tmp")]
        binds = [word for one in extra for word in ("--bind", one, f"/{one.name}")]
        links = [word for name in ("bin", "sbin", "lib", "lib64") for word in ("--symlink", f"usr/{name}", f"/{name}")]
        command = ["bwrap", "--ro-bind", "/usr", "/usr", "--ro-bind", "/usr/bin/bash", "/usr/bin/sh", *links, "--ro-bind", "/etc", "/etc", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp",
                   "--dir", "/var/lib/rpm", *binds, "--dev", "/dev", "--proc", "/proc", "--unshare-net", "--clearenv", "--chdir", cwd]
        for name, value in {"HOME": "/builddir", "PATH": "/usr/bin:/usr/sbin", "LANG": "C.UTF-8", **self.opts["environment"]}.items():
            command += ["--setenv", name, str(value)]
        out = (self.result / log).open("a") if log else None
        return subprocess.run([str(word) for word in [*command, *words]], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT if out else None,
                              start_new_session=True, check=False).returncode

    def home(self):
        """A new home directory with the macros."""
        home = self.root / "builddir"
        shutil.rmtree(home, ignore_errors=True)
        for name in ("BUILD", "RPMS", "SOURCES", "SPECS", "SRPMS", "originals"):
            (home / "build" / name).mkdir(parents=True)
        (home / ".rpmmacros").write_text("".join(f"{name} {value}\n" for name, value in self.opts["macros"].items()))
        return home / "build"

    def rpmbuild(self, *words):
        """Runs rpmbuild, with its words in build.log."""
        status = self.inside(["rpmbuild", *words], log="build.log")
        if status:
            self.log("build.log", "RPM build errors:")
            raise Ends(1, f"Command failed: rpmbuild {' '.join(words)}")

    def take(self):
        """Puts what was made with the results."""
        for file in (self.root / "builddir/build").glob("*RPMS/**/*.rpm"):
            shutil.copy(file, self.result)
        form = "%{nevra} %{buildtime} %{size} %{pkgid} installed\\n"
        listed = subprocess.run(["rpm", "--dbpath", self.database, "-qa", "--qf", form], check=True, capture_output=True, text=True).stdout
        (self.result / "installed_pkgs.log").write_text(listed)

    def rebuild(self, source, target):
        """Builds the packages of a source package."""
        self.log("state.log", f"Start: build phase for {Path(source).name}")
        build = self.home()
        shutil.copy(source, build / "originals/in.src.rpm")
        if self.inside(["rpm", "-i", "--nodeps", "--nosignature", "/builddir/build/originals/in.src.rpm"], log="root.log"):
            raise Ends(1, "the source package is broken")
        requires = subprocess.run(["rpm", "-qp", "--nosignature", "--requires", source], check=True, capture_output=True, text=True).stdout.splitlines()
        self.install([line.split()[0] for line in requires if not line.startswith("rpmlib(")])
        spec = f"/builddir/build/SPECS/{next((build / 'SPECS').iterdir()).name}"
        self.rpmbuild("-bs", "--target", target, "--nodeps", spec)
        self.rpmbuild("-bb", "--target", target, "--nodeps", spec)
        self.take()
        self.log("state.log", f"Finish: build phase for {Path(source).name}")

    def buildsrpm(self, spec, sources):
        """Makes the source package of a spec file."""
        build = self.home()
        shutil.copytree(sources, build / "SOURCES", dirs_exist_ok=True)
        shutil.copy(spec, build / "SPECS")
        self.rpmbuild("-bs", "--nodeps", f"/builddir/build/SPECS/{Path(spec).name}")
        self.take()


def read(url):
    """A file of the repository."""
    with urllib.request.urlopen(url) as answer:
        data = answer.read()
    return gzip.decompress(data) if url.endswith(".gz") else data


def act(options, action, rest, opts):
    """Does what is asked for."""
    root = Root(opts)
    if action == "--init":
        return root.init()
    if action == "--orphanskill":
        return None
    if action == "--clean":
        return shutil.rmtree(root.root, ignore_errors=True)
    if not root.root.is_dir():
        raise Ends(20, "the root was not made")
    if action == "--install":
        return root.install(rest)
    if action == "--chroot":
        words = ["/bin/sh", "-c", rest[0]] if len(rest) == 1 else rest
        status = root.inside(words, options.get("--cwd", "/"))
        if status:
            raise Ends(status, f"Command failed: {words}")
        return None
    if "--no-clean" not in options:
        raise Ends(5, f"{action} would clean the root")
    if action == "--rebuild":
        return root.rebuild(rest[0], options["--target"])
    return root.buildsrpm(options["--spec"], options["--sources"])


def main():
    """Notes the call, and does it."""
    try:
        options, action, rest = arguments(sys.argv[1:])
        with Path(sys.argv[0]).with_name("mock.calls").open("a") as calls:
            calls.write(json.dumps({"action": action, "args": sys.argv[1:], "file": Path(options["-r"]).name, "uid": os.getuid(), "env": sorted(os.environ)}) + "\n")
        print(f"INFO: mock of the stories {action}", flush=True)
        act(options, action, rest, configuration(options["-r"]))
    except Ends as end:
        print(f"ERROR: {end}", flush=True)
        sys.exit(end.status)


if __name__ == "__main__":
    main()
