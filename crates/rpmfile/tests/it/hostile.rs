//! Damaged and forged packages: an error, never a panic, never memory without end.

use std::fs;

use proptest::prelude::*;
use toji_rpmfile::{Error, Limits, Package, digest, exercise};
use toji_rpmgen::craft::{self, Value};

use crate::support::Packages;

fn base() -> Vec<(u32, Value)> {
    vec![
        (1000, Value::str("base")),
        (1001, Value::str("1")),
        (1002, Value::str("1")),
        (1022, Value::str("noarch")),
        (1044, Value::str("base-1-1.src.rpm")),
        (1047, Value::strs(["base", "virtual"])),
        (1112, Value::Int32(vec![8, 0])),
        (1113, Value::strs(["1-1", ""])),
    ]
}

fn parse(bytes: &[u8]) -> Result<Package, Error> {
    Package::parse(bytes, &Limits::default())
}

fn with_main(main: Vec<u8>) -> Vec<u8> {
    let signature = craft::header(&[(1000, Value::Int32(vec![1]))], Some(62));
    craft::package("base-1-1", false, &signature, &main, b"")
}

#[test]
fn every_cut_of_a_real_package_is_an_error() {
    let packages = Packages::of("dependencies");
    let bytes = fs::read(packages.get("dependencies-2.5-7.el9.x86_64")).unwrap();
    let end = parse(&bytes).unwrap().header_range().end as usize;
    for len in (0..end).step_by(7).chain([end - 1]) {
        assert!(parse(&bytes[..len]).is_err(), "{len} of {end}");
    }
    assert!(parse(&bytes[..end]).is_ok());
    let cut = &bytes[..bytes.len() - 1];
    assert!(matches!(digest::verify(cut, &Limits::default()), Err(Error::Digest { .. })));
}

#[test]
fn every_changed_byte_of_header_and_payload_is_noticed() {
    let packages = Packages::of("bare");
    let bytes = fs::read(packages.get("bare-0-0.x86_64")).unwrap();
    let start = parse(&bytes).unwrap().header_range().start as usize;
    for at in (start..bytes.len()).step_by(3) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        assert!(digest::verify(changed.as_slice(), &Limits::default()).is_err(), "byte {at}");
    }
}

#[test]
fn counts_and_sizes_have_limits() {
    let good = with_main(craft::header(&base(), Some(63)));
    let main = parse(&good).unwrap().header_range().start as usize;
    for (offset, value) in [(8, u32::MAX), (12, u32::MAX), (8, 0), (12, 0), (8, 0x1_0000)] {
        let mut bytes = good.clone();
        bytes[main + offset..main + offset + 4].copy_from_slice(&value.to_be_bytes());
        assert!(matches!(parse(&bytes), Err(Error::Limit { .. })), "{offset} {value}");
    }
    // a promise of 256 MB that is not kept costs next to nothing
    let mut bytes = good.clone();
    bytes[main + 12..main + 16].copy_from_slice(&0x0fff_ffff_u32.to_be_bytes());
    assert!(matches!(parse(&bytes), Err(Error::Truncated("header"))));
}

#[test]
fn forged_indexes_are_refused() {
    let good = craft::header(&base(), Some(63));
    // an entry is tag, type, offset, count; the region is the first, NAME the second
    let entry = |n: usize, word: usize| 16 + n * 16 + word * 4;
    let cases: [(usize, u32, &str); 9] = [
        (entry(1, 1), 10, "unknown type"),
        (entry(1, 1), 0, "null type"),
        (entry(1, 2), 0xffff, "offset out of range"),
        (entry(1, 2), 0x8000_0000, "negative offset"),
        (entry(1, 3), 2, "more than one plain string"),
        (entry(1, 3), 0, "no values"),
        (entry(2, 2), 0, "overlap"),
        (entry(2, 0), 1000, "twice"),
        (entry(0, 2), 0, "region trailer elsewhere"),
    ];
    for (at, value, what) in cases {
        let mut main = good.clone();
        main[at..at + 4].copy_from_slice(&value.to_be_bytes());
        assert!(parse(&with_main(main)).is_err(), "{what}");
    }
    // regions that nothing closes, or that are not alone
    for tags in [&[63][..], &[62], &[62, 63]] {
        let mut forged = base();
        forged.extend(tags.iter().map(|tag| (*tag, Value::Bin(vec![0; 16]))));
        assert!(parse(&with_main(craft::header(&forged, None))).is_err(), "{tags:?}");
    }
}

#[test]
fn entries_outside_of_the_region_are_refused() {
    let mut main = craft::header(&base(), Some(63));
    let entries = u32::from_be_bytes(main[8..12].try_into().unwrap());
    let data = u32::from_be_bytes(main[12..16].try_into().unwrap());
    let end_of_index = 16 + entries as usize * 16;
    let mut extra = Vec::new();
    for word in [1023_u32, 6, data, 1] {
        extra.extend(word.to_be_bytes());
    }
    main.splice(end_of_index..end_of_index, extra);
    main.extend(b"evil\0");
    main[8..12].copy_from_slice(&(entries + 1).to_be_bytes());
    main[12..16].copy_from_slice(&(data + 5).to_be_bytes());
    let error = parse(&with_main(main)).unwrap_err();
    assert_eq!(error.to_string(), "bad header region: smaller than the header");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_packages_do_not_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = craft::rpm4("base-1-1", &base(), b"payload").unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        exercise(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        exercise(&bytes);
    }

    #[test]
    fn noise_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        exercise(&bytes);
        let mut header = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        header.extend(((bytes.len() as u32).saturating_sub(32)).to_be_bytes());
        header.extend(&bytes);
        exercise(&header);
        exercise(&with_main(header));
    }

    #[test]
    fn a_wrong_word_in_the_index_does_not_panic(entry in 0_usize..9, word in 0_usize..4, value in any::<u32>()) {
        let mut main = craft::header(&base(), Some(63));
        let at = 16 + entry * 16 + word * 4;
        main[at..at + 4].copy_from_slice(&value.to_be_bytes());
        exercise(&with_main(main));
    }
}
