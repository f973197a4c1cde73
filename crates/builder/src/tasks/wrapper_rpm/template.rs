//! Filling a spec file's template, by the machine's Python and Cheetah in a sandbox of its own.

use std::path::{Path, PathBuf};

use toji_sandbox::{Buildroot, Command, Reason, remove_tree, results};
use toji_value::Value;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::tasks::build_srpm_from_scm::copy_tree;

/// The end of a template's name.
const END: &str = ".spec.tmpl";
const PROGRAM: &str = include_str!("render.py");
/// What the program ends with where Cheetah is missing.
const NO_CHEETAH: i32 = 3;
const PYTHON: &str = "/usr/bin/python3";
/// The home directory inside.
const HOME: &str = "/builddir";

/// The template of a tree: of several the one that lies highest, by name.
pub(super) fn find(tree: &Path) -> Option<PathBuf> {
    let all = results::list(tree).ok()?;
    let named = |path: &PathBuf| path.to_string_lossy().ends_with(END);
    let mut found: Vec<PathBuf> = all.into_iter().filter(named).collect();
    found.sort_by_key(|path| (path.components().count(), path.clone()));
    found.into_iter().next().map(|path| tree.join(path))
}

/// Fills a template with values and writes the spec file beside it; returns its path.
///
/// The template is a program: it sees the machine read-only and the files beside it, has no network, and ends with its sandbox.
///
/// # Errors
/// A build error where Python or Cheetah is missing, or when the template fails.
pub(super) async fn fill(task: &Context, template: &Path, values: &Value) -> Result<PathBuf> {
    let dir = task.make_dir("template")?;
    let root = Buildroot::builder(dir.clone()).network(false).build().await?;
    let done = run(task, &root, template, values).await;
    let removed = root.remove();
    let spec = done?;
    removed?;
    remove_tree(&dir).map_err(Failure::local("clear the sandbox of the template"))?;
    Ok(spec)
}

async fn run(task: &Context, root: &Buildroot, template: &Path, values: &Value) -> Result<PathBuf> {
    let failed = || Failure::local::<std::io::Error>("prepare the template");
    let (home, name) = (root.home(), file_name(template));
    let beside = home.join("spec");
    std::fs::create_dir_all(&beside).map_err(failed())?;
    copy_tree(template.parent().unwrap_or(template), &beside).map_err(failed())?;
    std::fs::write(home.join("render.py"), PROGRAM).map_err(failed())?;
    std::fs::write(home.join("values.json"), values.to_json().to_string()).map_err(failed())?;
    root.hand_over(&home)?;
    let mut log = task.log("template.log")?;
    log.line(format!("fill {name} with {}", values.to_json()));
    let inside = |name: &str| format!("{HOME}/{name}");
    let argv = [
        PYTHON.to_owned(),
        "-I".to_owned(),
        inside("render.py"),
        inside("values.json"),
        inside(&format!("spec/{name}")),
        inside("result.spec"),
    ];
    let command = Command::new(argv).cwd(inside("spec")).limits(task.config().limits.clone());
    let outcome = root.run(&command, &mut log, &task.cancel).await?;
    match outcome.reason {
        Reason::Exited(0) => {}
        Reason::Exited(NO_CHEETAH) => {
            return Err(Failure::build(
                "wrapperRPM needs Cheetah for Python 3, which is not installed on this builder",
            ));
        }
        Reason::Exited(127) => {
            let text = format!("wrapperRPM needs {PYTHON}, which is not on this builder");
            return Err(Failure::build(text));
        }
        reason => {
            let text = format!("error filling {name}, it {reason}; see template.log for details");
            return Err(Failure::build(text));
        }
    }
    let spec = template.with_extension("");
    match std::fs::remove_file(&spec) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed()(error)),
        _ => {}
    }
    results::copy(&home, Path::new("result.spec"), &spec)
        .map_err(Failure::local("copy the spec file"))?;
    Ok(spec)
}

/// The last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_template_is_taken() {
        let dir = tempfile::tempdir().expect("directory");
        let tree = dir.path();
        std::fs::create_dir_all(tree.join("a")).expect("directory");
        for name in ["a/a.spec.tmpl", "x.spec", "tmpl"] {
            std::fs::write(tree.join(name), "").expect("file");
        }
        assert_eq!(find(tree), Some(tree.join("a/a.spec.tmpl")));
        std::fs::write(tree.join("z.spec.tmpl"), "").expect("file");
        assert_eq!(find(tree), Some(tree.join("z.spec.tmpl")));
        assert_eq!(find(&tree.join("none")), None);
    }
}
