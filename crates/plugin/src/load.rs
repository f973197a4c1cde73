//! Finding a plugin by its name, and loading it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::{Error, Limits, Loaded, Plugin, Settings, ini, process, script};

/// What was found for a name.
#[derive(Debug)]
enum Found {
    Script(PathBuf),
    Program(PathBuf),
}

/// Settings of a plugin: the file `NAME.conf` in `folder`; empty without a file.
///
/// # Errors
/// When the file cannot be read or understood.
pub fn settings(folder: &Path, name: &str) -> Result<Settings, Error> {
    let file = folder.join(format!("{name}.conf"));
    match std::fs::read_to_string(&file) {
        Ok(text) => ini::parse(&text).map_err(|error| Error::Manifest {
            name: name.to_owned(),
            text: format!("{}: {error}", file.display()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Settings::new()),
        Err(source) => Err(Error::Io { name: name.to_owned(), source }),
    }
}

/// Loads a plugin: the script `NAME.rhai`, or the program `NAME`, in the first folder that has one.
///
/// # Errors
/// When there is none, or it cannot be loaded.
pub async fn load(
    path: &[PathBuf],
    name: &str,
    settings: Settings,
    limits: Limits,
) -> Result<Plugin, Error> {
    let (kind, manifest) = match search(path, name)? {
        Found::Script(file) => {
            let source = std::fs::read_to_string(&file)
                .map_err(|source| Error::Io { name: name.to_owned(), source })?;
            let (script, manifest) = script::Script::load(name, &source, settings, limits)?;
            (Loaded::Script(script), manifest)
        }
        Found::Program(file) => {
            let program = process::Program::new(name, file, settings, limits);
            let manifest = program.manifest().await?;
            (Loaded::Process(program), manifest)
        }
    };
    Ok(Plugin { name: name.to_owned(), manifest, kind })
}

/// The names of all plugins in a folder, in their order.
///
/// # Errors
/// When the folder cannot be read.
pub fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.path();
        let script = file.extension().is_some_and(|end| end == "rhai") && file.is_file();
        // A program has no ending: another one means that it is something else.
        if script || (file.extension().is_none() && is_program(&file)) {
            names.extend(file.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn search(path: &[PathBuf], name: &str) -> Result<Found, Error> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
    for folder in path.iter().filter(|_| plain) {
        let script = folder.join(format!("{name}.rhai"));
        if script.is_file() {
            return Ok(Found::Script(script));
        }
        let program = folder.join(name);
        if is_program(&program) {
            return Ok(Found::Program(program));
        }
        let python = folder.join(format!("{name}.py"));
        if python.is_file() {
            return Err(Error::Python { name: name.to_owned(), file: python });
        }
    }
    let path: Vec<String> = path.iter().map(|p| p.display().to_string()).collect();
    Err(Error::NotFound { name: name.to_owned(), path: path.join(":") })
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
