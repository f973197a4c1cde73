//! The XML of one package in each of the three metadata files, as createrepo_c 0.17 writes it.

mod deps;

use toji_rpmfile::{Change, Header, Package, tag};

use crate::xml::Xml;
use crate::{Result, Sum};
use deps::Dependencies;

/// What a package's header does not say: where its file is and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// Path of the file, relative to the repository or to `base`.
    pub href: String,
    /// Another place that `href` is relative to, a URL.
    pub base: Option<String>,
    /// Size in bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Checksum of the whole file in hexadecimal, SHA-256 unless the options say otherwise;
    /// identifies the package in all three files.
    pub sha256: String,
}

/// How much of a header is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many of the newest changelog entries; `None` for all.
    pub changelogs: Option<usize>,
    /// What kind of checksum identifies the package.
    pub sum: Sum,
}

impl Default for Options {
    fn default() -> Self {
        Self { changelogs: Some(10), sum: Sum::Sha256 }
    }
}

/// One `<package>` element for each metadata file, each with a final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragments {
    /// For `primary.xml`.
    pub primary: String,
    /// For `filelists.xml`.
    pub filelists: String,
    /// For `other.xml`.
    pub other: String,
}

/// Writes the fragments of a package.
pub fn fragment(package: &Package, file: &PackageFile, options: &Options) -> Result<Fragments> {
    let header = package.header();
    header.name()?;
    header.check_lists()?;
    header.check_names()?;
    let files = file_list(header)?;
    Ok(Fragments {
        primary: primary(package, file, &files, options.sum),
        filelists: filelists(header, file, &files),
        other: other(header, file, options),
    })
}

/// A primary fragment with another place of the package file.
pub fn relocate(primary: &str, href: &str, base: Option<&str>) -> String {
    let mut location = Xml::default();
    write_location(&mut location, href, base);
    let location = location.finish();
    match crate::briefs::span(primary, "location") {
        Some(old) => [&primary[..old.start], location.trim_end(), &primary[old.end..]].concat(),
        None => primary.to_owned(),
    }
}

/// A path with the kind that repository metadata tells apart.
struct Listed {
    path: Vec<u8>,
    kind: &'static str,
}

fn file_list(header: &Header) -> Result<Vec<Listed>> {
    let files = header.files()?;
    let kind = |file: &toji_rpmfile::File<'_>| match () {
        () if file.is_dir() => "dir",
        () if file.is_ghost() => "ghost",
        () => "",
    };
    Ok(files.iter().map(|f| Listed { path: f.path(), kind: kind(f) }).collect())
}

/// True for a path that is listed in `primary.xml` too.
fn is_primary(path: &[u8]) -> bool {
    path.starts_with(b"/etc/")
        || path == b"/usr/lib/sendmail"
        || path.windows(4).any(|part| part == b"bin/")
}

fn primary(package: &Package, file: &PackageFile, files: &[Listed], sum: Sum) -> String {
    let header = package.header();
    let mut xml = Xml::default();
    xml.open("package", &[("type", b"rpm")]);
    write_head(&mut xml, package, file, sum);
    write_location(&mut xml, &file.href, file.base.as_deref());
    xml.open("format", &[]);
    write_format(&mut xml, package);
    let paths = files.iter().map(|f| f.path.as_slice()).filter(|p| is_primary(p));
    Dependencies::new(header, paths).write(&mut xml);
    write_files(&mut xml, files.iter().filter(|f| is_primary(&f.path)));
    xml.close("format");
    xml.close("package");
    xml.finish()
}

fn write_head(xml: &mut Xml, package: &Package, file: &PackageFile, sum: Sum) {
    let header = package.header();
    let text = |number| header.str(number).unwrap_or_default();
    xml.text("name", &[], text(tag::NAME));
    xml.text("arch", &[], arch(header));
    write_version(xml, header);
    let checksum = [("type", sum.name().as_bytes()), ("pkgid", b"YES")];
    xml.text("checksum", &checksum, file.sha256.as_bytes());
    xml.text("summary", &[], text(tag::SUMMARY));
    xml.text("description", &[], text(tag::DESCRIPTION));
    xml.text("packager", &[], text(tag::PACKAGER));
    xml.text("url", &[], text(tag::URL));
    let built = header.build_time().unwrap_or(0).to_string();
    let mtime = file.mtime.to_string();
    xml.empty("time", &[("file", mtime.as_bytes()), ("build", built.as_bytes())]);
    let size = file.size.to_string();
    let installed = header.installed_size().unwrap_or(0).to_string();
    let archive = package.archive_size().unwrap_or(0).to_string();
    let sizes = [
        ("package", size.as_bytes()),
        ("installed", installed.as_bytes()),
        ("archive", archive.as_bytes()),
    ];
    xml.empty("size", &sizes);
}

fn write_location(xml: &mut Xml, href: &str, base: Option<&str>) {
    match base.filter(|base| !base.is_empty()) {
        Some(base) => {
            let url =
                if base.starts_with('/') { format!("file://{base}") } else { base.to_owned() };
            let place = [("xml:base", url.as_bytes()), ("href", href.as_bytes())];
            xml.empty("location", &place);
        }
        None => xml.empty("location", &[("href", href.as_bytes())]),
    }
}

fn write_format(xml: &mut Xml, package: &Package) {
    let fields = [
        ("rpm:license", tag::LICENSE),
        ("rpm:vendor", tag::VENDOR),
        ("rpm:group", tag::GROUP),
        ("rpm:buildhost", tag::BUILDHOST),
        ("rpm:sourcerpm", tag::SOURCERPM),
    ];
    for (name, number) in fields {
        xml.text(name, &[], package.header().str(number).unwrap_or_default());
    }
    let range = package.header_range();
    let (start, end) = (range.start.to_string(), range.end.to_string());
    xml.empty("rpm:header-range", &[("start", start.as_bytes()), ("end", end.as_bytes())]);
}

fn filelists(header: &Header, file: &PackageFile, files: &[Listed]) -> String {
    let mut xml = Xml::default();
    open_named(&mut xml, header, file);
    write_files(&mut xml, files.iter());
    xml.close("package");
    xml.finish()
}

fn other(header: &Header, file: &PackageFile, options: &Options) -> String {
    let mut xml = Xml::default();
    open_named(&mut xml, header, file);
    let limit = options.changelogs.unwrap_or(usize::MAX);
    let changes: Vec<Change<'_>> = header.changelog().take(limit).collect();
    let times = distinct_times(&changes);
    for (change, time) in changes.iter().zip(times).rev() {
        let time = time.to_string();
        let author = trim_author(change.author);
        xml.text("changelog", &[("author", author), ("date", time.as_bytes())], change.text);
    }
    xml.close("package");
    xml.finish()
}

fn open_named(xml: &mut Xml, header: &Header, file: &PackageFile) {
    let name = header.str(tag::NAME).unwrap_or_default();
    let id = file.sha256.as_bytes();
    xml.open("package", &[("pkgid", id), ("name", name), ("arch", arch(header))]);
    write_version(xml, header);
}

fn arch(header: &Header) -> &[u8] {
    if header.is_source() { b"src" } else { header.str(tag::ARCH).unwrap_or_default() }
}

fn write_version(xml: &mut Xml, header: &Header) {
    let text = |number| header.str(number).unwrap_or_default();
    let epoch = header.epoch().unwrap_or(0).to_string();
    let parts =
        [("epoch", epoch.as_bytes()), ("ver", text(tag::VERSION)), ("rel", text(tag::RELEASE))];
    xml.empty("version", &parts);
}

fn write_files<'a>(xml: &mut Xml, files: impl Iterator<Item = &'a Listed>) {
    for file in files {
        match file.kind {
            "" => xml.text("file", &[], &file.path),
            kind => xml.text("file", &[("type", kind.as_bytes())], &file.path),
        }
    }
}

/// Entries of the same moment get later ones, a second apart, so that readers keep their order.
fn distinct_times(changes: &[Change<'_>]) -> Vec<i64> {
    let mut times: Vec<i64> = Vec::with_capacity(changes.len());
    let mut last = 0;
    for change in changes {
        if change.time == last {
            for (newer, taken) in times.iter_mut().rev().zip(last..) {
                if *newer != taken {
                    break;
                }
                *newer += 1;
            }
        } else {
            last = change.time;
        }
        times.push(change.time);
    }
    times
}

fn trim_author(author: &[u8]) -> &[u8] {
    let end = author.iter().rposition(|b| *b != b' ').map_or(1, |last| last + 1);
    author.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_times_are_spread_to_later_ones() {
        let change = |time| Change { time, author: b"a", text: b"b" };
        let changes = [change(9), change(5), change(5), change(5), change(1)];
        assert_eq!(distinct_times(&changes), [9, 7, 6, 5, 1]);
    }

    #[test]
    fn authors_lose_their_last_spaces() {
        assert_eq!(trim_author(b"a b  "), b"a b");
        assert_eq!(trim_author(b"  "), b" ");
        assert_eq!(trim_author(b""), b"");
    }

    #[test]
    fn a_fragment_can_move() {
        let primary = "<package>\n  <location href=\"a\"/>\n  <format>\n";
        assert_eq!(
            relocate(primary, "b&c", Some("/x")),
            "<package>\n  <location xml:base=\"file:///x\" href=\"b&amp;c\"/>\n  <format>\n"
        );
    }

    #[test]
    fn primary_paths() {
        for path in ["/etc/passwd", "/usr/lib/sendmail", "/opt/x/sbin/y"] {
            assert!(is_primary(path.as_bytes()), "{path}");
        }
        assert!(!is_primary(b"/usr/lib/sendmail2"));
        assert!(!is_primary(b"/usr/bin"));
    }
}
