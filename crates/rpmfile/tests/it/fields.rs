//! Every field of every package as RPM's own Python binding, which Koji uses, gives it.

use std::process::Command;

use serde_json::{Value, json};
use toji_rpmfile::{Field, Package};

use crate::support::{Packages, read, run};

/// Prints, for each package, the names of the stored fields and the values of all fields.
const SCRIPT: &str = r#"
import json, os, rpm, sys
def plain(v):
    if isinstance(v, bytes):
        return {"bin": v.hex()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, str):
        return v.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return v
ts = rpm.TransactionSet()
ts.setVSFlags(rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS)
names = sorted(n[7:] for n in dir(rpm) if n.startswith("RPMTAG_"))
for path in sys.argv[1:]:
    with open(path, "rb") as f:
        hdr = ts.hdrFromFdno(f.fileno())
    out = {}
    for name in names:
        number = getattr(rpm, "RPMTAG_" + name)
        if isinstance(number, int) and number >= 100:
            out[name] = plain(hdr[number])
    print(json.dumps({"keys": [rpm.tagnames[k] for k in hdr.keys()], "fields": out}))
"#;

/// Extensions that need the file system, a database or a terminal, or that nobody asks for.
const NOT_OFFERED: &[&str] = &[
    "DBINSTANCE",
    "FILENLINKS",
    "FILEPROVIDE",
    "FILEREQUIRE",
    "FILETRIGGERCONDS",
    "FILETRIGGERTYPE",
    "INSTFILENAMES",
    "TRANSFILETRIGGERCONDS",
    "TRANSFILETRIGGERTYPE",
    "TRIGGERCONDS",
    "TRIGGERTYPE",
];

#[test]
fn all_fields_as_rpm_gives_them() {
    let packages = Packages::build();
    let paths = packages.all();
    // the interpreter of the system is the one that has the binding
    let script = run(Command::new("/usr/bin/python3").args(["-c", SCRIPT]).args(&paths));
    let mut compared = 0;
    for (path, line) in paths.iter().zip(script.lines()) {
        let theirs: Value = serde_json::from_str(line).unwrap();
        let package = read(path);
        let name = path.file_name().unwrap().to_string_lossy();
        compare_names(&name, &package, &theirs["keys"]);
        for (field, expected) in theirs["fields"].as_object().unwrap() {
            if NOT_OFFERED.contains(&field.as_str()) {
                continue;
            }
            let found = to_json(&stored(&package, field));
            assert_eq!(&found, expected, "{name}: {field}");
            compared += 1;
        }
    }
    assert!(compared > 5000, "{compared} fields");
}

/// Without what Koji adds: sizes in their 64-bit form.
fn stored(package: &Package, field: &str) -> Field {
    let value = package.field(field, false).unwrap_or_else(|error| panic!("{field}: {error}"));
    let long = ["SIZE", "ARCHIVESIZE", "FILESIZES", "SIGSIZE"];
    if long.contains(&field) && !package.field_names().contains(&field) {
        return if field == "FILESIZES" { Field::List(Vec::new()) } else { Field::None };
    }
    value
}

fn compare_names(name: &str, package: &Package, theirs: &Value) {
    let mut theirs: Vec<&str> =
        theirs.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut ours = package.field_names();
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs, "{name}");
}

fn to_json(field: &Field) -> Value {
    match field {
        Field::None => Value::Null,
        Field::Int(number) => json!(number),
        Field::Str(text) => json!(text),
        Field::Bin(bytes) => {
            let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            json!({ "bin": hex })
        }
        Field::List(list) => list.iter().map(to_json).collect(),
    }
}

#[test]
fn names_and_arches_as_koji_wants_them() {
    let packages = Packages::of("sources");
    let source = read(&packages.get("sources-1-1."));
    assert_eq!(source.field("arch", true).unwrap(), Field::Str("nosrc".into()));
    assert_eq!(source.field("ARCH", false).unwrap(), Field::Str("x86_64".into()));
    assert_eq!(source.field("nosource", false).unwrap(), Field::List(vec![Field::Int(1)]));
    assert_eq!(source.field("nopatch", false).unwrap(), Field::List(Vec::new()));
    let packages = Packages::of("versions");
    let binary = read(&packages.get("versions-devel-1.0"));
    assert_eq!(binary.field("epoch", true).unwrap(), Field::Int(3));
    assert_eq!(binary.field("sourcepackage", true).unwrap(), Field::None);
    let error = binary.field("nosuch", false).unwrap_err();
    assert_eq!(error.to_string(), "No such rpm header field: NOSUCH");
}
