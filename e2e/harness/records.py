"""Every value that createrepo_c's Python binding reads from two repositories, compared package by package.

Run by the system's Python, which has the binding: records.py FIRST SECOND [IGNORED…]"""

import json
import sys

import createrepo_c as cr

VALUES = """pkgId name arch version epoch release summary description url time_file time_build rpm_license rpm_vendor rpm_group
    rpm_buildhost rpm_sourcerpm rpm_header_start rpm_header_end rpm_packager size_package size_installed size_archive
    location_href location_base checksum_type requires provides conflicts obsoletes suggests enhances recommends supplements
    files changelogs""".split()


def packages(path):
    """All packages of a repository: those of primary.xml, with what the other two files add."""
    repomd = cr.Repomd(f"{path}/repodata/repomd.xml")
    places = {r.type: f"{path}/{r.location_href}" for r in repomd.records}
    found, warnings = {}, []

    def warn(kind, text):
        warnings.append(f"{kind}: {text}")
        return True

    def add(package):
        found.setdefault((package.location_base, package.location_href), []).append(package)

    cr.xml_parse_primary(places["primary"], None, add, warn, False)
    by_id = {}
    for same in found.values():
        for package in same:
            by_id.setdefault(package.pkgId, []).append(package)
    values = {id(p): {v: getattr(p, v) for v in VALUES} for same in found.values() for p in same}

    def merge(kind, attribute):
        def done(package):
            for p in by_id[package.pkgId]:
                values[id(p)][kind] = getattr(package, attribute)
        return done

    cr.xml_parse_filelists(places["filelists"], None, merge("all files", "files"), warn)
    cr.xml_parse_other(places["other"], None, merge("changelogs", "changelogs"), warn)
    return {key: [values[id(p)] for p in same] for key, same in found.items()}, warnings


def same(x, y):
    """Whether two values are equal. mergerepo_c escapes `&` in attributes twice: the parser gives it `&#38;`."""
    return x == y or repr(x).replace("&#38;#38;", "&#38;") == repr(y).replace("&#38;#38;", "&#38;")


def main(first, second, *ignored):
    """Prints the number of packages and the differences as JSON."""
    (a, a_warned), (b, b_warned) = packages(first), packages(second)
    lines = [f"{key}: only in {'the first' if key in a else 'the second'}" for key in sorted(a.keys() ^ b.keys(), key=str)]
    for key in a.keys() & b.keys():
        if len(a[key]) != len(b[key]):
            lines.append(f"{key}: {len(a[key])} and {len(b[key])} times")
        for x, y in zip(a[key], b[key]):
            lines += [f"{key}: {name}: {x[name]!r} and {y[name]!r}" for name in x if name not in ignored and not same(x[name], y[name])]
    json.dump({"packages": sum(map(len, a.values())), "lines": lines, "warned": [a_warned, b_warned]}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
