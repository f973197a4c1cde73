//! Metadata from strangers: an error, never a panic, never memory without end.

use std::io::{BufReader, Read};

use proptest::prelude::*;
use toji_repodata::reader::{Filelists, Other, Primary, ReadLimits};
use toji_repodata::{Brief, Compression, Elements, Error, Part, Repomd, decoder, pack};

const LIMITS: ReadLimits = ReadLimits { total: 1 << 20, token: 1 << 12, entries: 100 };

const HEAD: &str = r#"<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">"#;

fn primary(text: &str) -> Result<usize, Error> {
    let packages: Result<Vec<_>, _> = Primary::new(text.as_bytes(), LIMITS).collect();
    packages.map(|list| list.len())
}

fn all_readers(bytes: &[u8]) {
    let _ = Primary::new(bytes, LIMITS).count();
    let _ = Filelists::new(bytes, LIMITS).count();
    let _ = Other::new(bytes, LIMITS).count();
    let _ = Repomd::parse(bytes, 1 << 16);
    for part in Part::ALL {
        if let Ok(mut elements) = Elements::new(part, bytes) {
            while let Ok(Some(element)) = elements.next_element() {
                let _ = (Brief::of(element), Brief::id_of(element));
            }
        }
    }
    let _ = Brief::of(bytes);
}

#[test]
fn what_is_wrong_is_refused() {
    let package = "<package type=\"rpm\"><name>a</name></package>";
    assert_eq!(primary(&format!("{HEAD}{package}</metadata>")).unwrap(), 1);
    let cases = [
        (format!("{HEAD}</metadata>"), "too few packages"),
        (format!("{HEAD}{package}{package}</metadata>"), "too many packages"),
        (format!("{HEAD}{package}"), "cut after a package"),
        (format!("{HEAD}<package>"), "cut in a package"),
        (format!("{HEAD}<package><name></package></metadata>"), "crossed tags"),
        (format!("{HEAD}<other/></metadata>"), "unknown element"),
        (format!("{HEAD}<package><name>&nope;</name></package></metadata>"), "unknown entity"),
        (format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{HEAD}{package}</metadata>"), "a DTD"),
        ("<filelists packages=\"0\"></filelists>".into(), "another kind"),
        ("<metadata packages=\"-1\"></metadata>".into(), "a negative count"),
        (format!("{HEAD}<package><size package=\"x\"/></package></metadata>"), "no number"),
        (format!("{HEAD}<package><rpm:entry/></package></metadata>"), "an entry in no list"),
        (String::new(), "nothing"),
    ];
    for (text, what) in cases {
        assert!(primary(&text).is_err(), "{what}");
    }
}

#[test]
fn limits_hold() {
    let long = "x".repeat(5000);
    let cases = [
        format!("{HEAD}<package><name>{long}</name></package></metadata>"),
        format!("{HEAD}<package><name>{}</name></package></metadata>", "&amp;x".repeat(5000)),
        format!("{HEAD}<package><name a=\"{long}\"/></package></metadata>"),
        format!("{HEAD}<package>{}</package></metadata>", "<file>/etc/x</file>".repeat(101)),
        format!("{HEAD}<package>{}</package></metadata>", "<x>".repeat(400_000)),
    ];
    for text in cases {
        assert!(primary(&text).is_err(), "{}", &text[..120]);
    }
}

#[test]
fn a_small_file_that_grows_is_stopped() {
    let head = format!("{HEAD}<package><name>");
    let bomb = [head.as_bytes(), &vec![b' '; 40 << 20]].concat();
    for (name, compression) in [("a.gz", Compression::Gzip(9)), ("a.zst", Compression::Zstd(3))] {
        let packed = pack(&bomb, compression).unwrap();
        let source = BufReader::new(decoder(name, packed.as_slice()).unwrap());
        let error = Primary::new(source, LIMITS).next().unwrap().unwrap_err();
        assert!(error.to_string().contains("longer than allowed"), "{error}");
    }
}

#[test]
fn compressions_are_told_by_name() {
    assert!(matches!(decoder("a.xml.lz4", &b""[..]), Err(Error::Compression(_))));
    let mut text = String::new();
    decoder("a.xml", &b"<a/>"[..]).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "<a/>");
    let mut out = Vec::new();
    assert!(decoder("a.gz", &b"junk"[..]).unwrap().read_to_end(&mut out).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn noise_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        all_readers(&bytes);
        all_readers(&[HEAD.as_bytes(), b"<package>", &bytes].concat());
    }

    #[test]
    fn mutated_metadata_does_not_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let package = r#"<package type="rpm"><name>a&amp;</name><version epoch="0" ver="1" rel="1"/>
            <format><rpm:requires><rpm:entry name="b" flags="GE" ver="1"/></rpm:requires>
            <file type="dir">/etc</file></format></package>"#;
        let mut bytes = format!("{HEAD}{package}</metadata>").into_bytes();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        all_readers(&bytes);
    }
}
