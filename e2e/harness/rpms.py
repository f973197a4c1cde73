"""Source packages for the stories, made by rpmbuild from a few words."""

import shutil
from pathlib import Path

from .command import run

SPEC = """Name: {name}
Version: {version}
Release: {release}
{epoch}Summary: {summary}
License: MIT
{arch}{header}{tags}
%description
{summary}.

%prep
%setup -q -c -T
%build
{build}

%install
mkdir -p %{{buildroot}}/usr/share/{name}
echo {name} {version} > %{{buildroot}}/usr/share/{name}/hello
{install}

%files
/usr/share/{name}
{files}
{more}
%changelog
* Sun Nov 22 2026 A Packager <packager@example.com> - {version}-{release}
- Make it
"""


def spec(name, version="1.0", release="1", arch="noarch", build="", install="", files="", more="",
         requires=(), build_requires=(), epoch=None, summary=None, header=""):
    """The text of a spec file for a package that installs one small file."""
    tags = [f"Requires: {r}" for r in requires] + [f"BuildRequires: {b}" for b in build_requires]
    return SPEC.format(
        name=name, version=version, release=release, build=build, install=install, files=files,
        more=more, header=header, arch="BuildArch: noarch\n" if arch == "noarch" else "", tags="".join(t + "\n" for t in tags), epoch=f"Epoch: {epoch}\n" if epoch is not None else "",
        summary=summary or f"The package {name} of a story")


def srpm(directory, name, version="1.0", release="1", **words):
    """Makes a source package and returns its path."""
    # A macro in the release must not become one of the path.
    directory = Path(directory) / f"srpm-{name}-{version}-{release}".replace("%", "")
    directory.mkdir(parents=True, exist_ok=True)
    text = directory / f"{name}.spec"
    text.write_text(spec(name, version, release, **words))
    return from_spec(text, directory)


def from_spec(text, directory, sources=None):
    """Makes the source package of a spec file; sources lie in `sources` or beside it."""
    run("rpmbuild", "-bs", "--nodeps", "--define", f"_topdir {directory}/top", "--define", f"_srcrpmdir {directory}",
        "--define", f"_sourcedir {sources or directory}", text)
    shutil.rmtree(Path(directory) / "top", ignore_errors=True)
    return next(Path(directory).glob("*.src.rpm"))


def query(path, form):
    """What rpm says about a package file."""
    return run("rpm", "-qp", "--nosignature", "--qf", form, path).out


def binary_rpm(directory, name, version="1.0", release="1", **words):
    """Makes the source and the noarch package of a spec; returns both paths."""
    directory = Path(directory) / f"rpm-{name}-{version}-{release}"
    directory.mkdir(parents=True, exist_ok=True)
    text = directory / f"{name}.spec"
    text.write_text(spec(name, version, release, **words))
    run("rpmbuild", "-ba", "--nodeps", "--define", f"_topdir {directory}/top", "--define", f"_srcrpmdir {directory}",
        "--define", f"_rpmdir {directory}", "--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "--define", f"_dbpath {directory}/db", text)
    shutil.rmtree(directory / "top", ignore_errors=True)
    return sorted(directory.glob("*.rpm"), key=lambda path: not path.name.endswith(".src.rpm"))
