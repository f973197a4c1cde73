//! Names of the arguments of known task methods, for whoever looks into a task's request.

use toji_value::{Args, Map, Value};

/// Argument names by method, in positional order.
const NAMES: &[(&str, &[&str])] = &[
    ("appliance", &["name", "version", "arch", "target", "ksfile", "opts"]),
    ("build", &["src", "target", "opts"]),
    ("buildArch", &["pkg", "root", "arch", "keep_srpm", "opts"]),
    ("buildMaven", &["url", "build_tag", "opts"]),
    ("buildNotification", &["recipients", "build", "target", "weburl"]),
    ("buildSRPMFromSCM", &["url", "build_tag", "opts"]),
    ("chainbuild", &["srcs", "target", "opts"]),
    ("chainmaven", &["builds", "target", "opts"]),
    ("createAppliance", CREATE_KICKSTART),
    ("createImage", CREATE_IMAGE),
    ("createLiveCD", CREATE_KICKSTART),
    ("createLiveMedia", CREATE_KICKSTART),
    ("createdistrepo", &["tag", "repo_id", "arch", "keys", "opts"]),
    ("createDudIso", CREATE_DUD),
    ("createKiwiImage", CREATE_KIWI),
    ("createrepo", &["repo_id", "arch", "oldrepo"]),
    ("dudBuild", &["dud_name", "dud_version", "arches", "target", "pkg_list", "opts"]),
    ("distRepo", &["tag", "repo_id", "keys", "task_opts"]),
    ("image", &["name", "version", "arches", "target", "inst_tree", "opts"]),
    ("indirectionimage", &["opts"]),
    ("kiwiBuild", &["target", "arches", "desc_url", "desc_path", "opts"]),
    ("livecd", &["name", "version", "arch", "target", "ksfile", "opts"]),
    ("livemedia", &["name", "version", "arches", "target", "ksfile", "opts"]),
    ("maven", &["url", "target", "opts"]),
    ("newRepo", &["tag", "event", "src", "debuginfo", "separate_src", "opts"]),
    ("rebuildSRPM", &["srpm", "build_tag", "opts"]),
    ("restart", &["host"]),
    ("restartHosts", &["options"]),
    ("restartVerify", &["task_id", "host"]),
    ("runroot", &["root", "arch", "command", "keep", "packages", "mounts", "repo_id"]),
    ("saveFailedTree", &["buildrootID", "full"]),
    ("sleep", &["n"]),
    ("tagBuild", &["tag_id", "build_id", "force", "fromtag", "ignore_success"]),
    (
        "tagNotification",
        &[
            "recipients",
            "is_successful",
            "tag_info",
            "from_info",
            "build_info",
            "user_info",
            "ignore_success",
            "failure_msg",
        ],
    ),
    ("vmExec", &["name", "task_info", "opts"]),
    ("waitrepo", &["tag", "newer_than", "nvrs", "min_event"]),
    ("winbuild", &["name", "source_url", "target", "opts"]),
    ("wrapperRPM", &["spec_url", "build_target", "build", "task", "opts"]),
];

const CREATE_KICKSTART: &[&str] = &[
    "name",
    "version",
    "release",
    "arch",
    "target_info",
    "build_tag",
    "repo_info",
    "ksfile",
    "opts",
];

const CREATE_DUD: &[&str] = &[
    "dud_name",
    "dud_version",
    "dud_release",
    "arch",
    "target_info",
    "build_tag",
    "repo_info",
    "pkg_list",
    "opts",
];

const CREATE_KIWI: &[&str] = &[
    "name",
    "version",
    "release",
    "arch",
    "target_info",
    "build_tag",
    "repo_info",
    "desc_url",
    "desc_path",
    "opts",
];

const CREATE_IMAGE: &[&str] = &[
    "name",
    "version",
    "release",
    "arch",
    "target_info",
    "build_tag",
    "repo_info",
    "inst_tree",
    "opts",
];

/// The arguments of a request by name; nothing when the method is not known.
pub fn named(method: &str, request: &[Value]) -> Option<Map> {
    if let [Value::Struct(map)] = request
        && map.contains_key("__method__")
    {
        let mut map = map.clone();
        map.remove("__method__");
        return Some(map);
    }
    let (_, names) = NAMES.iter().find(|(name, _)| *name == method)?;
    let args = Args::decode(request.to_vec());
    let mut map: Map = names
        .iter()
        .zip(args.positional)
        .map(|(name, value)| (std::borrow::Cow::Borrowed(*name), value))
        .collect();
    map.extend(args.keywords);
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use toji_value::map;

    #[test]
    fn positions_and_keywords_get_names() {
        let keywords = map! { "opts" => map! { "scratch" => true }, "__starstar" => true };
        let request = ["a.src.rpm".into(), "f40".into(), Value::Struct(keywords)];
        let named = named("build", &request).unwrap();
        assert_eq!(named.str("target"), Some("f40"));
        assert!(named.value("opts").get("scratch").truthy());
        assert_eq!(super::named("unheard", &request), None);
    }
}
