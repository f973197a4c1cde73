"""KIWI as a package, made of what PyPI has, and the parts of a root in which it makes images."""

from pathlib import Path

from .command import run

PLACE = Path(__file__).resolve().parent.parent.parent / ".x/kiwi"
# As x has installed it.
VERSION = (PLACE / "wanted").read_text().split("==")[1].strip() if PLACE.exists() else ""
# Its own package brings the rest of what it calls.
GROUP = "base-files base-passwd bash coreutils dash diffutils file findutils gawk grep gzip hostname libc-bin make sed tar util-linux xz-utils zstd kiwi".split()

SPEC = """Name: kiwi
Version: {version}
Release: 1
Summary: Makes images of operating systems
License: GPL-3.0-or-later
AutoReqProv: no
Requires: dnf mount python3 rpm rsync tar xz-utils
%global debug_package %{{nil}}
%global __os_install_post %{{nil}}
%global _binary_payload w1T0.zstdio
%description
KIWI and the modules that it needs, as they are on PyPI.

%install
mkdir -p %{{buildroot}}/usr/lib/python3/dist-packages %{{buildroot}}/usr/bin %{{buildroot}}/usr/lib/rpm/macros.d
cp -r {modules}/* %{{buildroot}}/usr/lib/python3/dist-packages/
cd %{{buildroot}}/usr/lib/python3/dist-packages
rm -rf pip* setuptools* pkg_resources _distutils_hack *.pth __pycache__
cat > %{{buildroot}}/usr/bin/kiwi-ng <<'END'
#!/usr/bin/python3
from kiwi.kiwi import main
main()
END
chmod 755 %{{buildroot}}/usr/bin/kiwi-ng
# Where the rpm of this distribution has its database otherwise is the home directory.
echo '%%_dbpath /var/lib/rpm' > %{{buildroot}}/usr/lib/rpm/macros.d/macros.kiwi

%files
/usr/bin/kiwi-ng
/usr/lib/python3/dist-packages/*
/usr/lib/rpm/macros.d/macros.kiwi
"""


def packages(directory):
    """Makes the source package and the binary one; returns both paths."""
    (modules,) = (PLACE / "lib").glob("python3*/site-packages")
    directory = Path(directory) / "kiwi"
    directory.mkdir(parents=True)
    spec = directory / "kiwi.spec"
    spec.write_text(SPEC.format(version=VERSION, modules=modules))
    run("rpmbuild", "-ba", "--nodeps", "--define", f"_topdir {directory}/top", "--define", f"_srcrpmdir {directory}", "--define", f"_rpmdir {directory}",
        "--define", "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", "--define", f"_dbpath {directory}/db", spec, timeout=300)
    return sorted(directory.glob("*.rpm"), key=lambda path: not path.name.endswith(".src.rpm"))
