//! RPM architectures: canonical names, compatibility, lists.

use crate::name::NameError;

/// Arch → the arch it can also run; the chain ends at `noarch`.
const COMPAT: &[(&str, &str)] = &[
    ("athlon", "i686"),
    ("geode", "i686"),
    ("i686", "i586"),
    ("i586", "i486"),
    ("i486", "i386"),
    ("i386", "noarch"),
    ("x86_64", "athlon"),
    ("amd64", "x86_64"),
    ("ia32e", "x86_64"),
    ("ppc64le", "noarch"),
    ("ppc64p7", "ppc64"),
    ("ppc64pseries", "ppc64"),
    ("ppc64iseries", "ppc64"),
    ("ppc64", "ppc"),
    ("ppc", "noarch"),
    ("s390x", "s390"),
    ("s390", "noarch"),
    ("sparc64v", "sparcv9v"),
    ("sparc64", "sparcv9"),
    ("sparcv9v", "sparcv9"),
    ("sparcv9", "sparcv8"),
    ("sparcv8", "sparc"),
    ("sparc", "noarch"),
    ("alphaev7", "alphaev68"),
    ("alphaev68", "alphaev67"),
    ("alphaev67", "alphaev6"),
    ("alphaev6", "alphapca56"),
    ("alphapca56", "alphaev56"),
    ("alphaev56", "alphaev5"),
    ("alphaev5", "alphaev45"),
    ("alphaev45", "alphaev4"),
    ("alphaev4", "alpha"),
    ("alpha", "noarch"),
    ("armv7l", "armv6l"),
    ("armv6l", "armv5tejl"),
    ("armv5tejl", "armv5tel"),
    ("armv5tel", "noarch"),
    ("armv7hnl", "armv7hl"),
    ("armv7hl", "armv6hl"),
    ("armv6hl", "noarch"),
    ("arm64", "noarch"),
    ("sh4a", "sh4"),
    ("sh4", "noarch"),
    ("sh3", "noarch"),
    ("ia64", "noarch"),
];

/// The canonical arch of tags and buildroots, such as `i386` for `i686` (the rule of `koji.canonArch`).
pub fn canonical(arch: &str) -> &str {
    let bytes = arch.as_bytes();
    let i86 = bytes.len() == 4 && bytes[0] == b'i' && arch.ends_with("86");
    match arch {
        "athlon" => "i386",
        "ia32e" => "x86_64",
        "ppc64le" => "ppc64le",
        _ if i86 => "i386",
        _ if arch.starts_with("ppc64") => "ppc64",
        _ if arch.starts_with("sparc64") => "sparc64",
        _ if arch.starts_with("sparc") => "sparc",
        _ if arch.starts_with("alpha") => "alpha",
        _ if arch.strip_prefix("arm").is_some_and(|a| a.contains('h')) => "armhfp",
        _ if arch.starts_with("arm") => "arm",
        _ => arch,
    }
}

/// The arches whose packages install on `arch`, best first, `noarch` last.
pub fn compatible(arch: &str) -> Vec<&str> {
    let mut list = vec![arch];
    let mut current = arch;
    while let Some(next) = next_compatible(current) {
        list.push(next);
        current = next;
    }
    if arch == "sparc64v" {
        list.insert(1, "sparc64");
    }
    if list.len() == 1 {
        list.push("noarch");
    }
    list
}

/// The arches of the packages in a repository for a canonical arch, `noarch` last; for `src` only
/// itself.
pub fn members(arch: &str) -> Vec<&str> {
    if arch == "src" {
        return vec!["src"];
    }
    let known = COMPAT.iter().map(|(name, _)| *name);
    let mut list: Vec<&str> = known.filter(|name| canonical(name) == arch).collect();
    if !list.contains(&arch) {
        list.push(arch);
    }
    if arch != "noarch" {
        list.push("noarch");
    }
    list
}

/// The arch that names the repositories for `arch`, such as `i386` for `i686`.
pub fn base(arch: &str) -> &str {
    if next_compatible(arch).is_none() {
        return arch;
    }
    match arch {
        _ if arch.starts_with("sparc64") => "sparc",
        "ppc64le" | "arm64" => arch,
        _ if arch.starts_with("armv6h") || arch.starts_with("armv7h") => "armhfp",
        _ if arch.starts_with("arm") => "arm",
        _ if is_multilib_root(arch) => arch,
        _ => base_of_chain(arch),
    }
}

/// Normalises a list of arches, separated by spaces or commas, as users type it.
pub fn parse_list(text: &str) -> Result<Vec<&str>, NameError> {
    split_list(text, |c| c.is_whitespace() || c == ',')
}

/// Splits a list of arches as it is stored: separated by spaces only.
pub fn parse_stored_list(text: &str) -> Result<Vec<&str>, NameError> {
    split_list(text, char::is_whitespace)
}

fn split_list(text: &str, separator: impl Fn(char) -> bool) -> Result<Vec<&str>, NameError> {
    let list: Vec<&str> = text.split(separator).filter(|a| !a.is_empty()).collect();
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'_' || c == b'-';
    if list.iter().all(|arch| arch.bytes().all(legal)) { Ok(list) } else { Err(NameError::Arch) }
}

fn next_compatible(arch: &str) -> Option<&'static str> {
    COMPAT.iter().find(|(a, _)| *a == arch).map(|(_, b)| *b)
}

fn is_multilib_root(arch: &str) -> bool {
    matches!(arch, "x86_64" | "sparc64v" | "sparc64" | "ppc64" | "s390x")
}

fn base_of_chain(arch: &str) -> &str {
    let mut current = arch;
    while let Some(next) = next_compatible(current) {
        if next == "noarch" {
            break;
        }
        current = next;
        if is_multilib_root(current) {
            break;
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_names() {
        for (arch, want) in [
            ("i686", "i386"),
            ("athlon", "i386"),
            ("ia32e", "x86_64"),
            ("amd64", "amd64"),
            ("ppc64le", "ppc64le"),
            ("ppc64p7", "ppc64"),
            ("sparc64v", "sparc64"),
            ("sparcv9", "sparc"),
            ("armv7hl", "armhfp"),
            ("armv5tel", "arm"),
            ("aarch64", "aarch64"),
            ("riscv64", "riscv64"),
            ("noarch", "noarch"),
        ] {
            assert_eq!(canonical(arch), want, "{arch}");
        }
    }

    #[test]
    fn compatibility_and_base() {
        assert_eq!(
            compatible("x86_64"),
            ["x86_64", "athlon", "i686", "i586", "i486", "i386", "noarch"]
        );
        assert_eq!(compatible("aarch64"), ["aarch64", "noarch"]);
        assert_eq!(compatible("noarch"), ["noarch", "noarch"]);
        for (arch, want) in [
            ("i686", "i386"),
            ("amd64", "x86_64"),
            ("ppc64p7", "ppc64"),
            ("armv7hnl", "armhfp"),
            ("aarch64", "aarch64"),
            ("s390x", "s390x"),
            ("s390", "s390"),
        ] {
            assert_eq!(base(arch), want, "{arch}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(parse_list("x86_64, i686"), Ok(vec!["x86_64", "i686"]));
        assert_eq!(parse_list("a/b"), Err(NameError::Arch));
        assert_eq!(parse_stored_list("a,b"), Err(NameError::Arch));
    }
}
