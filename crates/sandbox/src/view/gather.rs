//! Lines of the script that gather the sources, and the words with which bubblewrap finds them there.

use std::path::Path;

use super::{Bind, GATHERED, Run, View, by_root};
use crate::identity::Identity;

/// Mounts what can be written to; the root comes first.
pub(super) fn stacks(
    view: &View,
    identity: Identity,
    line: &mut impl FnMut(&[&str]),
    root: &mut Vec<String>,
) {
    let in_namespace = !by_root(identity);
    if !view.stacks.iter().any(|stack| stack.inside == Path::new("/")) {
        root.extend(["--tmpfs".to_string(), "/".into()]);
    }
    for (number, stack) in view.stacks.iter().enumerate() {
        let (target, over) = (format!("s{number}"), format!("s{number}.over"));
        line(&["mkdir", &target, &over]);
        line(&["run", "mount", "--bind", &stack.over.to_string_lossy(), &over]);
        if stack.lower.is_empty() {
            line(&["run", "mount", "--bind", &format!("{over}/upper"), &target]);
        } else {
            let mut names = Vec::new();
            for (part, source) in stack.lower.iter().enumerate() {
                let name = format!("s{number}.{part}");
                line(&["mkdir", &name]);
                line(&["run", "mount", "--bind", &source.to_string_lossy(), &name]);
                names.push(name);
            }
            // Without rights over the whole machine overlayfs keeps its notes in attributes of users.
            let notes = if in_namespace { ",userxattr" } else { "" };
            let lower = names.join(":");
            let option =
                format!("lowerdir={lower},upperdir={over}/upper,workdir={over}/work{notes}");
            line(&["run", "mount", "-t", "overlay", "-o", &option, "overlay", &target]);
        }
        let inside = stack.inside.to_string_lossy().into_owned();
        root.extend(["--bind".into(), format!("{GATHERED}/{target}"), inside]);
    }
}

pub(super) fn unions(view: &View, line: &mut impl FnMut(&[&str]), root: &mut Vec<String>) {
    for (number, union) in view.unions.iter().enumerate() {
        let target = format!("u{number}");
        line(&["mkdir", &target]);
        let sources: Vec<_> = union.sources.iter().map(|source| source.to_string_lossy()).collect();
        if let [only] = &sources[..] {
            line(&["run", "mount", "--rbind", only, &target]);
        } else {
            let names: Vec<_> =
                (0..sources.len()).map(|part| format!("u{number}.{part}")).collect();
            for (source, name) in sources.iter().zip(&names) {
                line(&["mkdir", name]);
                line(&["run", "mount", "--bind", source, name]);
            }
            let option = format!("lowerdir={}", names.join(":"));
            line(&["run", "mount", "-t", "overlay", "-o", &option, "overlay", &target]);
        }
        let inside = union.inside.to_string_lossy().into_owned();
        root.extend(["--ro-bind".into(), format!("{GATHERED}/{target}"), inside]);
    }
}

pub(super) fn binds(
    view: &View,
    run: Run<'_>,
    line: &mut impl FnMut(&[&str]),
    root: &mut Vec<String>,
) {
    // A directory with something mounted below it cannot be bound alone to another place.
    let wanted = |bind: &&Bind| !run.binds || !bind.inside.starts_with("/dev");
    for (number, bind) in view.binds.iter().filter(wanted).enumerate() {
        let target = format!("b{number}");
        if bind.is_dir {
            line(&["mkdir", &target]);
        } else {
            line(&["run", "touch", &target]);
        }
        line(&["run", "mount", "--bind", &bind.source.to_string_lossy(), &target]);
        let option = if bind.writable { "--bind" } else { "--ro-bind" };
        let inside = bind.inside.to_string_lossy().into_owned();
        root.extend([option.into(), format!("{GATHERED}/{target}"), inside]);
    }
}

pub(super) fn mounts(view: &View, line: &mut impl FnMut(&[&str]), root: &mut Vec<String>) {
    for (number, mount) in view.mounts.iter().enumerate() {
        let target = format!("m{number}");
        line(&["mkdir", &target]);
        let read_only = mount.options.iter().any(|option| option == "ro");
        if mount.kind == "none" {
            line(&["run", "mount", "--bind", "--", &mount.source, &target]);
        } else {
            let options = mount.options.join(",");
            let words = ["run", "mount", "-t", &mount.kind, "-o", &options, "--"];
            line(&[&words[..], &[&mount.source, &target]].concat());
        }
        let option = if read_only { "--ro-bind" } else { "--bind" };
        let inside = mount.inside.to_string_lossy().into_owned();
        root.extend([option.into(), format!("{GATHERED}/{target}"), inside]);
    }
}
