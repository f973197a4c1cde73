//! Typed views of packages, compared with what the spec files say and what `rpm` prints.

use std::fs::{self, File};
use std::process::Command;

use toji_rpmfile::{
    DepKind, Header, Limits, Package, ScriptletKind, digest, file_flags, sense, tag,
};
use toji_rpmgen::craft::{self, Value};

use crate::support::{Packages, read, run};

#[test]
fn every_package_reads_the_same_in_pieces_and_verifies() {
    let packages = Packages::build();
    for path in packages.all() {
        let package = digest::verify(File::open(&path).unwrap(), &Limits::default())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(digest::check_header(&package).unwrap());
        assert_eq!(
            package.header().file_name().unwrap(),
            path.file_name().unwrap().to_string_lossy()
        );
        let bytes = fs::read(&path).unwrap();
        let range = package.header_range();
        assert_eq!(&bytes[range.start as usize..range.end as usize], package.header().as_bytes());
        let range = package.signature_range();
        assert_eq!(&bytes[range.start as usize..range.end as usize], package.signature_bytes());
        let format = "%{NEVRA} %{SIZE} %{BUILDTIME} %{SIGMD5}\n";
        let theirs = run(Command::new("rpm").args(["-qp", "--qf", format]).arg(&path));
        let header = package.header();
        let epoch = header.epoch().map(|e| format!("{e}:")).unwrap_or_default();
        let md5: String = package.sigmd5().unwrap().iter().map(|b| format!("{b:02x}")).collect();
        let ours = format!(
            "{}-{epoch}{}-{}.{} {} {} {md5}\n",
            header.name().unwrap(),
            header.version().unwrap(),
            header.release().unwrap(),
            header.build_arch().unwrap(),
            header.installed_size().unwrap(),
            header.build_time().unwrap(),
        );
        assert_eq!(ours, theirs);
    }
}

#[test]
fn dependencies_have_their_senses() {
    let packages = Packages::of("dependencies");
    let package = read(&packages.get("dependencies-2.5-7.el9.x86_64"));
    let header = package.header();
    let path = packages.get("dependencies-2.5-7.el9.x86_64");
    for (kind, option) in [
        (DepKind::Provides, "--provides"),
        (DepKind::Requires, "--requires"),
        (DepKind::Conflicts, "--conflicts"),
        (DepKind::Obsoletes, "--obsoletes"),
        (DepKind::Recommends, "--recommends"),
        (DepKind::Suggests, "--suggests"),
        (DepKind::Supplements, "--supplements"),
        (DepKind::Enhances, "--enhances"),
    ] {
        let theirs = run(Command::new("rpm").args(["-qp", option]).arg(&path));
        let ours: Vec<String> = header.deps(kind).map(|dep| dep.text()).collect();
        let mut ours = ours;
        let mut theirs: Vec<String> = theirs.lines().map(str::to_owned).collect();
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{option}");
        assert!(!ours.is_empty());
    }
    let pre: Vec<_> =
        header.deps(DepKind::Requires).filter(|d| d.is_pre()).map(|d| d.name).collect();
    assert!(pre.contains(&&b"shadow-utils"[..]) && !pre.contains(&&b"late"[..]));
    assert_eq!(sense::word(sense::GREATER | sense::EQUAL), Some("GE"));
}

#[test]
fn files_have_all_their_properties() {
    let packages = Packages::of("files");
    let package = read(&packages.get("files-1-1.x86_64"));
    let files = package.header().files().unwrap();
    let find = |path: &str| *files.iter().find(|f| f.path() == path.as_bytes()).expect(path);
    let conf = find("/etc/files/two.conf");
    assert_eq!(conf.flags, file_flags::CONFIG | file_flags::NOREPLACE);
    assert_eq!((conf.size, conf.mode), (5, 0o100_644));
    assert_eq!(conf.digest.len(), 64);
    let owned = find("/etc/files/three.conf");
    assert_eq!((owned.user, owned.group, owned.mode), (&b"nobody"[..], &b"nogroup"[..], 0o100_600));
    assert!(find("/var/cache/files").is_dir() && find("/var/cache/files").is_ghost());
    assert_eq!(find("/usr/share/files/dangling").linkto, b"/nonexistent/target");
    assert!(find("/usr/share/files/dangling").is_symlink());
    assert_eq!(find("/usr/bin/files").mode, 0o104_755);
    assert_eq!(find("/usr/share/files/zeros").size, 100_000);
    let source = read(&packages.get("files-1-1.src"));
    let files = source.header().files().unwrap();
    assert_eq!(files[0].path(), b"files.spec");
    assert!(source.header().is_source() && files[0].flags & file_flags::SPECFILE != 0);
}

#[test]
fn scriptlets_and_changelogs() {
    let packages = Packages::of("scriptlets");
    let package = read(&packages.get("scriptlets-1-1.noarch"));
    let scripts: Vec<_> = package.header().scriptlets().collect();
    assert_eq!(scripts.len(), 7);
    assert!(package.header().has_triggers());
    let post = scripts.iter().find(|s| s.kind == ScriptletKind::Post).unwrap();
    assert_eq!(post.program, [b"/bin/sh"]);
    assert!(post.body.starts_with(b"echo post"));
    let ldconfig = read(&packages.get("scriptlets-ldconfig"));
    let script = ldconfig.header().scriptlets().next().unwrap();
    assert_eq!((script.program, script.body), (vec![&b"/sbin/ldconfig"[..]], &b""[..]));
    let packages = Packages::of("changes");
    let changes = read(&packages.get("changes-9-1.noarch"));
    let changes: Vec<_> = changes.header().changelog().collect();
    assert_eq!(changes.len(), 12);
    assert_eq!(changes[0].author, "Ólafur Þór <olafur@example.org> - 9-1".as_bytes());
    assert!(changes[0].time > changes[11].time);
}

#[test]
fn a_package_of_rpm_3_has_no_region() {
    let tags = [
        (1000, Value::str("old")),
        (1001, Value::str("1")),
        (1002, Value::str("1")),
        (1022, Value::str("i386")),
        (1027, Value::strs(["/usr/bin/old", "/etc/old.conf"])),
        (1030, Value::Int16(vec![0o100_755, 0o100_644])),
        (1037, Value::Int32(vec![0, 1])),
        (1044, Value::str("old-1-1.src.rpm")),
        (1047, Value::strs(["old"])),
    ];
    let main = craft::header(&tags, None);
    let signature = craft::header(&[(1000, Value::Int32(vec![1]))], None);
    let bytes = craft::package("old-1-1", false, &signature, &main, b"");
    let package = Package::parse(&bytes, &Limits::default()).unwrap();
    let files = package.header().files().unwrap();
    assert_eq!(files[0].path(), b"/usr/bin/old");
    assert_eq!((files[1].mode, files[1].flags), (0o100_644, 1));
    assert!(!package.header().is_source());
    assert_eq!(package.header().deps(DepKind::Provides).count(), 1);
    assert!(!digest::check_header(&package).unwrap());
}

#[test]
fn a_package_of_rpm_6_reads_and_verifies() {
    let tags = [
        (1000, Value::str("new")),
        (1001, Value::str("1")),
        (1002, Value::str("1")),
        (1022, Value::str("x86_64")),
        (1044, Value::str("new-1-1.src.rpm")),
        (tag::RPMFORMAT, Value::Int32(vec![6])),
        (1116, Value::Int32(vec![0])),
        (1117, Value::strs(["f"])),
        (1118, Value::strs(["/usr/"])),
        (1030, Value::Int16(vec![0o100_644])),
        (1037, Value::Int32(vec![0])),
        (tag::LONGFILESIZES, Value::Int64(vec![5 << 32])),
        (tag::LONGSIZE, Value::Int64(vec![5 << 32])),
    ];
    let main = craft::header(&tags, Some(63));
    let signature =
        [(tag::OPENPGP, Value::strs(["iAoEEBEIAAAAAAAA"])), (999, Value::Bin(vec![0; 32]))];
    let mut bytes =
        craft::package("new-1-1", false, &craft::header(&signature, Some(62)), &main, b"");
    bytes[4] = 4;
    let package = Package::parse(&bytes, &Limits::default()).unwrap();
    assert_eq!(package.lead().major, 4);
    assert_eq!(package.header().files().unwrap()[0].size, 5 << 32);
    assert_eq!(package.header().installed_size(), Some(5 << 32));
    assert!(package.koji_sigkey().is_err());
}

#[test]
fn tags_of_the_signature_header_are_not_the_packages() {
    let main = [
        (1000, Value::str("honest")),
        (1001, Value::str("1")),
        (1002, Value::str("1")),
        (1022, Value::str("noarch")),
        (1044, Value::str("honest-1-1.src.rpm")),
    ];
    let evil = [(1023, Value::str("rm -rf /")), (1049, Value::strs(["evil"]))];
    let bytes = craft::package(
        "honest-1-1",
        false,
        &craft::header(&evil, Some(62)),
        &craft::header(&main, Some(63)),
        b"",
    );
    let package = Package::parse(&bytes, &Limits::default()).unwrap();
    assert_eq!(package.header().scriptlets().count(), 0);
    assert_eq!(package.header().deps(DepKind::Requires).count(), 0);
    assert_eq!(package.field("prein", false).unwrap(), toji_rpmfile::Field::None);
    let _: &Header = package.signature();
}
