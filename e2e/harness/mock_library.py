"""Prints what Koji's library makes of the inputs in a file: configurations for mock, as a builder of Koji's asks for them.

Runs in the stock client's interpreter."""

import json
import sys

import koji

SAME = {
    "mock.package_manager": "package_manager",
    "mock.yum.module_hotfixes": "module_hotfixes",
    "mock.module_setup_commands": "module_setup_commands",
    "mock.releasever": "releasever",
}


def options(given):
    """The library's options for a buildroot."""
    extra, arch, told = given["extra"], given["arch"], given["told"]
    target = {"armhfp": "armv7hl"}.get(arch, arch)
    opts = {to: extra[key] for key, to in SAME.items() if key in extra}
    opts |= {
        "repoid": "latest", "tag_name": given["tag"], "buildroot_id": given["id"], "install_group": given["group"], "target_arch": target,
        "use_host_resolv": False, "vendor": "Koji", "packager": "Koji", "mockhost": "koji-linux-gnu", "rpmbuild_timeout": 86400,
        "mockdir": told.get("--mockdir", "/var/lib/mock"), "distribution": told.get("--distribution", "Koji Testing"),
        "maven_opts": None, "maven_envs": None, "bind_opts": None,
        "tag_macros": {"%" + key[len("rpm.macro."):]: str(value) for key, value in extra.items() if key.startswith("rpm.macro.")},
        "tag_envvars": {key[len("rpm.env."):]: str(value) for key, value in extra.items() if key.startswith("rpm.env.")},
        "bootstrap_image": given["images"] and extra.get("mock.bootstrap_image"),
    }
    if "--topdir" in told:
        opts["topdir"] = told["--topdir"]
    else:
        opts["topurls"] = [told["--topurl"]]
    if "--yum-proxy" in told:
        opts["yum_proxy"] = told["--yum-proxy"]
    if extra.get("mock.forcearch"):
        opts["forcearch"] = target
    if "mock.yum.best" in extra:
        opts["yum_best"] = int(extra["mock.yum.best"])
    if "mock.use_bootstrap" in extra:
        opts["use_bootstrap"] = bool(extra["mock.use_bootstrap"])
    sign = "mock.plugin_conf.sign_"
    if f"{sign}enable" in extra:
        opts["plugin_conf"] = {"sign_enable": extra[f"{sign}enable"], "sign_opts": {part: extra[f"{sign}opts.{part}"] for part in ("cmd", "opts")}}
    return opts


def main():
    """Reads a list of inputs, prints a list of texts."""
    with open(sys.argv[1], encoding="utf-8") as file:
        inputs = json.load(file)
    made = []
    for given in inputs:
        opts = options(given)
        tag, repo, number = given["tag"], opts["repoid"], given["id"]
        made.append(koji.genMockConfig(f"{tag}-{number}-{repo}", koji.canonArch(given["arch"]), managed=True, **opts))
    print(json.dumps(made))


if __name__ == "__main__":
    main()
