//! Spec files that together use every feature a package header has.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::Rpmbuild;

/// A spec file and what it needs.
struct Variant {
    name: &'static str,
    spec: String,
}

/// Builds every variant, binary and source packages, into `out`; `work` is for the build.
pub fn build(work: &Path, out: &Path) -> Result<()> {
    build_some(work, out, |_| true)
}

/// Builds the variants whose name is `wanted`.
pub fn build_some(work: &Path, out: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let rpmbuild = Rpmbuild::new(work, out)?;
    for (name, content) in [("one.txt", "one\n"), ("two.txt", "two\n"), ("fix.patch", "")] {
        fs::write(rpmbuild.sources().join(name), content)?;
    }
    for variant in all().into_iter().filter(|variant| wanted(variant.name)) {
        rpmbuild.build(variant.name, variant.spec.as_bytes(), &["-ba"])?;
    }
    if wanted("latin1") { latin1(&rpmbuild) } else { Ok(()) }
}

fn all() -> Vec<Variant> {
    let fixed = [
        ("versions", include_str!("variants/versions.spec")),
        ("dependencies", include_str!("variants/dependencies.spec")),
        ("scriptlets", include_str!("variants/scriptlets.spec")),
        ("files", include_str!("variants/files.spec")),
        ("changes", include_str!("variants/changes.spec")),
        ("sources", include_str!("variants/sources.spec")),
        ("bare", include_str!("variants/bare.spec")),
    ];
    let mut variants: Vec<Variant> =
        fixed.into_iter().map(|(name, spec)| Variant { name, spec: spec.to_owned() }).collect();
    variants.push(Variant { name: "many-files", spec: many_files() });
    let payloads =
        [("gzip", "w9.gzdio"), ("xz", "w1.xzdio"), ("zstd", "w3.zstdio"), ("none", "w.ufdio")];
    for (name, payload) in payloads {
        variants.push(Variant { name, spec: payload_spec(name, payload) });
    }
    variants
}

fn many_files() -> String {
    "Name: many-files
Version: 1
Release: 1
Summary: More files than fit on a page
License: MIT
BuildArch: noarch
%description
Many files in many directories.
%install
for d in $(seq 1 200); do
  mkdir -p %{buildroot}/usr/share/many/d$d
  for f in $(seq 1 25); do : > %{buildroot}/usr/share/many/d$d/file-$f.dat; done
done
%files
/usr/share/many
"
    .to_owned()
}

fn payload_spec(name: &str, payload: &str) -> String {
    let algorithm = if name == "gzip" { 1 } else { 10 };
    format!(
        "%define _binary_payload {payload}
%define _binary_filedigest_algorithm {algorithm}
Name: payload-{name}
Version: 1.0
Release: 1
Summary: Payload compressed by {name}
License: MIT
%description
One file.
%install
mkdir -p %{{buildroot}}/usr/bin
echo {name} > %{{buildroot}}/usr/bin/payload-{name}
%files
/usr/bin/payload-{name}
"
    )
}

/// Old packages are not in UTF-8.
fn latin1(rpmbuild: &Rpmbuild) -> Result<()> {
    let mut spec = String::from("%define _invalid_encoding_terminates_build 0\n");
    let body = "Name: latin1
Version: 1
Release: 1
Summary: J\u{fc}rgen's Stra\u{df}e
Packager: J\u{fc}rgen <juergen@example.org>
License: MIT
BuildArch: noarch
%description
Gr\u{fc}\u{df}e aus K\u{f6}ln
%files
%changelog
* Mon Jan 06 2020 J\u{fc}rgen <juergen@example.org> - 1-1
- Gr\u{fc}\u{df}e
";
    write!(spec, "{body}")?;
    let bytes: Vec<u8> = spec.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    rpmbuild.build("latin1", &bytes, &["-bb"])
}
