//! The spec file that packs an unpacked Debian package again.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;

use super::{Control, changelog};

/// Fields of dependencies and what they are in a spec file.
const DEPENDENCIES: &[(&str, &str)] = &[
    ("Pre-Depends", "Requires(pre)"),
    ("Depends", "Requires"),
    ("Recommends", "Recommends"),
    ("Suggests", "Suggests"),
    ("Enhances", "Enhances"),
    ("Provides", "Provides"),
    ("Conflicts", "Conflicts"),
    ("Breaks", "Conflicts"),
    ("Replaces", "Obsoletes"),
];
const SCRIPTS: &[(&str, &str)] =
    &[("preinst", "%pre"), ("postinst", "%post"), ("prerm", "%preun"), ("postrm", "%postun")];
/// Directories that belong to nobody in particular.
const COMMON: &[&str] =
    &["/", "/usr", "/usr/bin", "/usr/lib", "/usr/share", "/usr/share/doc", "/etc"];

pub(super) fn write(control: &Control, files: &Path, control_dir: &Path) -> Result<String> {
    let mut spec = String::new();
    write_preamble(&mut spec, control, |_| true)?;
    let description = control.field("Description");
    let description = description.split_once('\n').map_or("", |(_, rest)| rest);
    writeln!(spec, "\n%description")?;
    for line in description.lines() {
        let line = line.trim();
        writeln!(spec, "{}", if line == "." { String::new() } else { escape(line) })?;
    }
    writeln!(spec, "\n%install\nmkdir -p %{{buildroot}}")?;
    writeln!(spec, "cp -a {}/. %{{buildroot}}/", files.display())?;
    write_scripts(&mut spec, control_dir)?;
    write_files(&mut spec, files, control_dir)?;
    writeln!(spec, "\n%changelog\n{}", changelog::read(files, &control.field("Package")))?;
    Ok(spec)
}

/// The head of a spec file without scripts, with the dependencies that matter to those who install.
pub(crate) fn preamble(control: &Control) -> Result<String> {
    let mut spec = String::new();
    // What Debian calls a replacement is about files, not about packages.
    let kept = |field: &str| !["Replaces", "Breaks", "Enhances"].contains(&field);
    write_preamble(&mut spec, control, kept)?;
    Ok(spec)
}

fn write_preamble(spec: &mut String, control: &Control, kept: impl Fn(&str) -> bool) -> Result<()> {
    let (epoch, version, release) = control.evr();
    let text = |name: &str| escape(&control.field(name));
    let summary = text("Description");
    writeln!(spec, "Name: {}", text("Package"))?;
    if let Some(epoch) = epoch {
        writeln!(spec, "Epoch: {epoch}")?;
    }
    writeln!(spec, "Version: {version}\nRelease: {release}")?;
    writeln!(spec, "Summary: {}", summary.lines().next().unwrap_or_default())?;
    writeln!(spec, "License: Unknown\nVendor: Debian\nPackager: {}", text("Maintainer"))?;
    writeln!(spec, "Group: {}", text("Section"))?;
    if !control.field("Homepage").is_empty() {
        writeln!(spec, "URL: {}", text("Homepage"))?;
    }
    writeln!(spec, "AutoReqProv: no")?;
    if control.field("Architecture") == "all" {
        writeln!(spec, "BuildArch: noarch")?;
    }
    for (field, tag) in DEPENDENCIES.iter().filter(|(field, _)| kept(field)) {
        for line in control.dependencies(field, tag) {
            writeln!(spec, "{}", escape(&line))?;
        }
    }
    Ok(())
}

fn write_scripts(spec: &mut String, control_dir: &Path) -> Result<()> {
    for (file, section) in SCRIPTS {
        let Ok(bytes) = fs::read(control_dir.join(file)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let interpreter = match text.lines().next() {
            Some(line) if line.contains("perl") => "/usr/bin/perl",
            Some(line) if line.contains("bash") => "/bin/bash",
            _ => "/bin/sh",
        };
        writeln!(spec, "\n{section} -p {interpreter}\n{}", escape(&text))?;
    }
    Ok(())
}

fn write_files(spec: &mut String, root: &Path, control_dir: &Path) -> Result<()> {
    let conffiles = fs::read_to_string(control_dir.join("conffiles")).unwrap_or_default();
    writeln!(spec, "\n%files")?;
    for path in crate::files::list(root)? {
        let name = format!("/{}", path.to_string_lossy());
        if COMMON.contains(&name.as_str()) {
            continue;
        }
        let data = fs::symlink_metadata(root.join(&path))?;
        let mode = data.permissions().mode() & 0o7777;
        let mut line = String::new();
        if data.is_dir() {
            line.push_str("%dir ");
        } else if conffiles.lines().any(|l| l.trim() == name) {
            line.push_str("%config(noreplace) ");
        } else if name.starts_with("/usr/share/doc/") && name.ends_with("/copyright") {
            line.push_str("%license ");
        }
        if !data.is_symlink() {
            write!(line, "%attr({mode:o},root,root) ")?;
        }
        writeln!(spec, "{line}\"{}\"", glob_escape(&name))?;
    }
    Ok(())
}

fn escape(text: &str) -> String {
    text.replace('%', "%%")
}

pub(crate) fn glob_escape(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        match c {
            '[' | ']' | '*' | '?' | '{' | '}' | '\\' => out.extend(['\\', c]),
            '%' => out.push_str("%%"),
            c => out.push(c),
        }
    }
    out
}
