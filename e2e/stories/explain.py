"""Builds that fail, each in its way: what their results say, and the table of them in docs/guide/failures.md."""

import base64
import json
import re
from pathlib import Path

from harness.builders import TojiBuilder, add_host
from harness.command import run
from harness.rpms import from_spec, spec
from harness.server import Server
from harness.story import eq, has, story, that

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/guide/failures.md"

# Options of the builder, so that limits are reached soon.
LIMITS = {"silence_timeout": 30, "log_size_limit": 8, "memory_limit": 600, "disk_limit": 200, "buildroot": "host"}


class Case:
    """A source package, and what must be said about its build: kind, step, a part of the sentence and a part of the decisive line."""

    cases = []

    def __init__(self, title, kind, step, says, line, git=False, sources=None, log="build.log", rest="", **words):
        self.title, self.kind, self.step, self.says, self.line, self.git = title, kind, step, says, line, git
        self.sources, self.log, self.rest, self.words = sources or {}, log, rest, words
        self.name = re.sub(r"[^a-z]+", "-", title.lower()).strip("-")
        self.cases.append(self)

    def text(self):
        """The spec file."""
        numbered = enumerate((name for name in self.sources if not name.endswith(".patch")), 1)
        header = "".join(f"Source{number}: {name}\n" for number, name in numbered)
        header += "".join(f"Patch{number}: {name}\n" for number, name in enumerate(self.sources, 1) if name.endswith(".patch"))
        words = dict(self.words)
        words["header"] = header + words.get("header", "")
        text = spec(self.name, **words)
        return self.rest(text) if self.rest else text

    def row(self):
        """Its line in the document."""
        cell = [part.replace("|", "\\|") for part in (self.title, self.step or "", self.says, f"`{self.line}`")]
        return f"| {' | '.join(cell)} |"


C = {"arch": "x86_64"}
PREP = "%setup -q -c -T"


def prep(script):
    """Replaces what %prep does."""
    return lambda text: text.replace(PREP, f"{PREP}\n{script}")


def source(name, text, command):
    """A file that %build writes, and what is done with it then."""
    return f"cat > {name} <<'END'\n{text}\nEND\n{command}"


Case("Compiler", "compiler", "%build", "main.c does not compile, line 3", "main.c:3:", **C,
     build=source("main.c", "int main(void)\n{\n    return 1 +;\n}", "gcc -c main.c"))
Case("Linker, a function", "linker", "%build", "undefined reference to", "undefined reference to `frobnicate'", **C,
     build=source("main.c", "int frobnicate(void);\nint main(void) { return frobnicate(); }", "gcc -o prog main.c"))
Case("Linker, a library", "linker", "%build", "the linker finds no library nosuchlib", "cannot find -lnosuchlib", **C,
     build=source("main.c", "int main(void) { return 0; }", "gcc -o prog main.c -lnosuchlib"))
Case("Header", "dependency", "%build", "main.c includes nosuch/header.h, which is in no package of the buildroot", "nosuch/header.h: No such file", **C,
     build=source("main.c", "#include <nosuch/header.h>\nint main(void) { return 0; }", "gcc -c main.c"))
Case("BuildRequires", "dependency", "buildroot", "no package of the tag provides nosuch-devel", "No matching package to install: 'nosuch-devel'",
     log="root.log", build_requires=["nosuch-devel"])
Case("BuildRequires of a version", "dependency", "buildroot", "no package of the tag provides broken-tool >= 7", "'broken-tool >= 7'",
     log="root.log", build_requires=["broken-tool >= 7"])
Case("Requirement of a requirement", "dependency", "buildroot", "nothing provides libnowhere.so.5, which broken-tool", "nothing provides libnowhere.so.5 needed by broken-tool-",
     log="root.log", build_requires=["broken-tool"])
Case("Tests, automake", "tests", "%check", "the test parser failed", "FAIL: parser", rest=lambda text: text.replace(
    "%install", "%check\necho 'PASS: lexer'\necho 'FAIL: parser'\necho '# TOTAL: 2'\nexit 1\n%install"))
Case("Tests, Python", "tests", "%check", "the test test_sum (", "FAIL: test_sum (", rest=lambda text: text.replace("%install", "%check\n" + source(
    "test_it.py", "import unittest\nclass T(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(1 + 1, 3)",
    "/usr/bin/python3 -m unittest") + "\n%install"))
Case("Tests, TAP", "tests", "%check", "the test the answer failed", "not ok 2 - the answer", rest=lambda text: text.replace(
    "%install", "%check\necho 1..2\necho 'ok 1 - the question'\necho 'not ok 2 - the answer'\nexit 1\n%install"))
Case("Crash", "crash", "%check", "a program crashed", "Segmentation fault", **C, rest=lambda text: text.replace("%install", "%check\n" + source(
    "main.c", "int main(void) { volatile int *p = 0; return *p; }", "gcc -o prog main.c\nbash -c './prog; exit $?'") + "\n%install"))
Case("File that was not installed", "files", "%files", "%files names /usr/bin/nosuch, which was not installed", "/usr/bin/nosuch", files="/usr/bin/nosuch")
Case("File that is in no list", "unpackaged", "%files", "files were installed that no %files section names", "/usr/bin/extra",
     install="install -D -m 755 /dev/null %{buildroot}/usr/bin/extra")
Case("Patch", "patch", "%prep", "a patch does not apply", "Hunk #1 FAILED at 1", sources={
    "notes.txt": "one\ntwo\nthree\n", "fix.patch": "--- a/notes.txt\n+++ b/notes.txt\n@@ -1,3 +1,3 @@\n uno\n-dos\n+zwei\n tres\n"},
    rest=prep("cp %{SOURCE1} .\n%patch2 -p1"))
Case("Disk, the build's share", "disk", "%build", "it filled more of the disk than the builder allows", "it fills the disk",
     build="echo it fills the disk\ndd if=/dev/zero of=big bs=1M count=2000 status=none\nsleep 60")
Case("Disk, no space left", "disk", "%build", "there was no space left", "No space left on device", build="dd if=/dev/zero of=/dev/full bs=1k count=1")
Case("Time-out", "time", "%build", "it ran longer than the builder allows", "still busy", build="while true; do echo still busy; sleep 1; done")
Case("Silence", "silence", "%build", "it wrote nothing for longer than the builder allows", "waiting for an answer", build="echo waiting for an answer\nsleep 600")
Case("Log", "log_size", "%build", "it wrote a larger log than the builder allows", "again and again", build="yes again and again")
Case("Memory, the build's share", "memory", "%build", "it used more memory than the builder allows", "it eats memory",
     build="echo it eats memory\n/usr/bin/python3 -c 'import time\nx = [bytearray(1 << 20) for _ in range(1500)]\ntime.sleep(60)'")
Case("Memory, killed", "memory", "%build", "memory was used up", "Killed signal terminated program cc1", **C,
     build="echo 'gcc: fatal error: Killed signal terminated program cc1' >&2\nexit 1")
Case("Macro that does not exist", "macro", "%build", "a macro that the spec file uses does not exist", "nosuch_build", build="%nosuch_build")
Case("Macro that never ends", "macro", "source package", "recursion", "levels of recursion", git=True,
     rest=lambda text: "%define one %two\n%define two %one\n" + text.replace("Summary: ", "Summary: %one "))
Case("Spec file, a tag", "spec", "source package", "line 4 of the spec file is wrong: Unknown tag: Colour: red", "Unknown tag: Colour: red", git=True,
     rest=lambda text: text.replace("Summary: ", "Colour: red\nSummary: "))
Case("Spec file, a condition", "spec", "source package", "the spec file", "%if", git=True, rest=lambda text: text.replace("%build\n", "%build\n%if 1\n"))
Case("Checksum", "checksum", "%prep", "a source is not the file that its checksum was made of", "computed checksum did NOT match",
     sources={"data.txt": "not what it was\n", "sums": "9d9595c5d94fb65b824f56e9999527dba9542481580d69feb89056aabaa0aa87  data.txt\n"},
     rest=prep("cp %{SOURCE1} .\nsha256sum -c %{SOURCE2}"))
Case("Network", "network", "%build", "the build wanted the network", "Could not resolve host: ", build="curl -sS https://download.example.com/data.tar.gz -o data.tar.gz")
Case("Source that is missing", "source", "source package", "data.tar.gz is named in the spec file and is not there", "SOURCES/data.tar.gz", git=True,
     rest=lambda text: text.replace("License: MIT\n", "License: MIT\nSource0: data.tar.gz\n"))
Case("Directory of the archive", "source", "%prep", "does not exist after unpacking", "somewhere-else-1.0", rest=prep("cd somewhere-else-1.0"))
Case("configure", "configure", "%build", "configure gave up: libfrob is required", "configure: error: libfrob is required", sources={
    "configure.ac": "AC_INIT([prog], [1.0])\nAC_MSG_CHECKING([for libfrob])\nAC_MSG_RESULT([no])\nAC_MSG_ERROR([libfrob is required])\nAC_OUTPUT\n"},
    build="cp %{SOURCE1} .\nautoconf\n./configure")
Case("autoreconf", "configure", "%build", "the configure script cannot be made", "AX_NOT_A_MACRO", sources={
    "configure.ac": "AC_INIT([prog], [1.0])\nm4_pattern_forbid([^AX_])\nAX_NOT_A_MACRO([x])\nAC_OUTPUT\n"}, build="cp %{SOURCE1} .\nautoreconf -fi")
Case("automake", "configure", "%build", "the configure script cannot be made", "no proper invocation of AM_INIT_AUTOMAKE", sources={
    "configure.ac": "AC_INIT([prog], [1.0])\nAC_OUTPUT\n", "Makefile.am": "bin_PROGRAMS = prog\n"},
    build="cp %{SOURCE1} %{SOURCE2} .\naclocal\nautomake --add-missing")
Case("CMake, a package", "configure", "%build", "CMake finds no package Frobnicate", 'provided by "Frobnicate"', sources={
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(prog NONE)\nfind_package(Frobnicate REQUIRED)\n"}, build="cmake %{_sourcedir}")
Case("CMake, a library", "configure", "%build", "CMake does not find Frob", "Could NOT find Frob", sources={
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.10)\nproject(prog NONE)\nlist(APPEND CMAKE_MODULE_PATH ${CMAKE_SOURCE_DIR})\nfind_package(Frob REQUIRED)\n",
    "FindFrob.cmake": "include(FindPackageHandleStandardArgs)\nfind_package_handle_standard_args(Frob DEFAULT_MSG FROB_LIBRARY)\n"}, build="cmake %{_sourcedir}")
Case("pkg-config", "configure", "%build", "pkg-config does not find a package", "Package frobnicate was not found", build="pkg-config --cflags frobnicate")
Case("Python module", "module", "%build", "the Python module nosuchmodule is not in the buildroot", "No module named 'nosuchmodule'", build="/usr/bin/python3 -c 'import nosuchmodule'")
Case("Perl module", "module", "%build", "the Perl module No/Such.pm is not in the buildroot", "Can't locate No/Such.pm", build="perl -MNo::Such -e 1")
Case("Program", "command", "%build", "a program is not in the buildroot", "frobnicate", build="frobnicate --all")
Case("make, no rule", "script", "%build", "make knows no way to make data.c", "No rule to make target 'data.c'", build="printf 'all: data.c\\n' > Makefile\nmake")
Case("Script", "script", "%install", "a command of the script failed", "cannot stat 'nosuch.1'", install="cp nosuch.1 %{buildroot}/usr/share/")
Case("Compiled files in noarch", "quality", "%files", "compiled files are in a package that says BuildArch: noarch", "Arch dependent binaries in noarch package",
     build=source("main.c", "int main(void) { return 0; }", "gcc -o prog main.c"), install="install -D prog %{buildroot}/usr/share/%{name}/prog")
Case("Run path", "quality", "%install", "is not allowed", "/builddir/lib", **C, build=source(
    "main.c", "int main(void) { return 0; }", "gcc -o prog main.c -Wl,-rpath,/builddir/lib"), install="install -D prog %{buildroot}/usr/bin/prog\n/usr/lib/rpm/check-rpaths",
    files="/usr/bin/prog")
Case("Debug information", "quality", "%files", "no debugging information was found", "debugsourcefiles.list", **C,
     rest=lambda text: "%global _debugsource_packages 1\n" + text, install="install -D -m 644 /dev/null %{buildroot}/usr/share/%{name}/x")
Case("Arch", "arch", None, "No matching arches were found", "No matching arches were found", log=None, arch="x86_64", header="ExclusiveArch: s390x\n")
Case("Commit that does not exist", "scm", "checkout", "the sources could not be fetched", "couldn't find remote ref nosuchbranch", git="nosuchbranch", log="checkout.log")


def make_git(directory, case):
    """Makes a repository with the case's spec file; returns its URL with a commit."""
    work = directory / case.name
    work.mkdir(parents=True)
    (work / f"{case.name}.spec").write_text(case.text())
    git = ["git", "-C", work, "-c", "user.name=A Packager", "-c", "user.email=packager@example.com"]
    run("git", "init", "-q", "-b", "main", work)
    run(*git, "add", ".")
    run(*git, "commit", "-q", "-m", "Add the package")
    return f"git+file://{work}#{case.git if isinstance(case.git, str) else 'main'}"


def make_srpm(directory, case):
    """Makes the case's source package."""
    place = directory / f"srpm-{case.name}"
    place.mkdir(parents=True)
    for name, text in case.sources.items():
        (place / name).write_text(text)
    (place / f"{case.name}.spec").write_text(case.text())
    return from_spec(place / f"{case.name}.spec", place)


def explained(w, toji, task, *options):
    """What `toji explain` says about a task, as data."""
    return json.loads(run(toji, "explain", str(task), "--server", w.ready["hub"], "--json", *options).out)


def check(w, toji, case, task):
    """The result of a failed build names the step, the log and the decisive line."""
    told = explained(w, toji, task)
    where = f"{case.title}: {json.dumps(told, indent=1)}"
    eq((told["kind"], told["step"], told["log"]), (case.kind, case.step, case.log), where)
    that(case.says in told["headline"], f"{case.says!r} is not in the sentence of {where}")
    if case.log is None:
        return
    decisive = [line["text"] for line in told["lines"] if line["decisive"]]
    that(any(case.line in line for line in decisive), f"{case.line!r} is in no decisive line of {where}")
    child = told["task"]
    fault = w.hub.call("getTaskResult", task, raise_fault=False)["faultString"]
    first, sentence, *lines = fault.splitlines()
    that(f"; see {case.log} for " in first, f"the first line of the fault is {first!r}")
    eq(sentence, told["headline"], "the second line of the fault")
    if case.line in decisive[0]:
        has(lines[0], case.line)
    files = w.hub.call("listTaskOutput", child)
    that({"explanation.log", "explanation.json", case.log} <= set(files), f"the files are {files}")
    text = w.hub.call("downloadTaskOutput", child, case.log)
    text = (text if isinstance(text, bytes) else base64.b64decode(text)).decode(errors="replace").split("\n")
    for line in told["lines"]:
        has(re.sub(r"[\t\x00-\x1f]", " ", text[line["number"] - 1]), line["text"][:60].replace("\t", " ").rstrip())
    again = explained(w, toji, task, "--read-logs")
    eq((again["kind"], again["headline"]), (told["kind"], told["headline"]), f"what the logs alone say of {case.title}")


def check_document():
    """The table in the documentation is that of the cases."""
    text = DOCUMENT.read_text()
    rows = text.split("| what fails |")[1].splitlines()[2:]
    eq(rows, [case.row() for case in Case.cases], f"the table in {DOCUMENT.name}")


@story(own=True, slow=True)
def failures(own):
    """Each kind of failure is explained in its task's result, by `toji explain`, and in the documentation."""
    check_document()
    server = Server(own.toji, own.dir / "data", extra=["--no-builder"]).start()
    builder = None
    try:
        w = own.world(server)
        add_host(w, "breaker", capacity=12)
        builder = TojiBuilder(w, "breaker", own.toji, own=LIMITS, maxjobs=5, rpmbuild_timeout=75, allowed_scms=":*:no:")
        target = w.target("fail", ["broken-tool"])
        w.build(target, w.srpm("broken-tool", requires=["libnowhere.so.5"]))
        w.koji("wait-repo", f"{target}-build", "--build", "broken-tool-1.0-1")
        tasks = {}
        for case in Case.cases:
            made = make_git(w.dir / "git", case) if case.git else make_srpm(w.dir, case)
            tasks[case] = w.task_of(w.koji("build", "--nowait", "--noprogress", "--scratch", target, made))
        wrong = []
        for case, task in tasks.items():
            try:
                eq(w.hub.wait(task, 600, None)["state"], 5, f"the state of the build {case.title}")
                check(w, own.toji, case, task)
            except AssertionError as error:
                wrong.append(str(error))
        that(not wrong, f"{len(wrong)} of {len(tasks)} failures\n" + "\n\n".join(wrong))
        stock(w, tasks)
    finally:
        if builder:
            builder.kill()
        server.stop()


def stock(w, tasks):
    """The stock client shows the same, without knowing of it, and fetches the explanation with the logs."""
    compiler = next(task for case, task in tasks.items() if case.title == "Compiler")
    said = w.anonymous("watch-task", str(compiler), code=1)
    has(said, "FAILED: BuildError: error building package (arch x86_64), ", "; see build.log for more information\n%build failed: main.c does not compile", "explanation.log")
    w.anonymous("download-logs", "-r", str(compiler))
    texts = [path.read_text() for path in (w.dir / "kojilogs").rglob("explanation.log")]
    that(len(texts) == 1 and "main.c:3:" in texts[0] and "consequences of the first" in texts[0], f"the explanation is {texts}")
