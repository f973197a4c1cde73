//! The groups of tags of an odd package.

use super::Tags;
use crate::craft::Value;
use crate::synthetic::Sequence;

/// Texts that writers of XML and readers of bytes get wrong; no control characters, for which createrepo_c leaves
/// packages out.
const TEXTS: [&[u8]; 12] = [
    b"plain",
    b"",
    b"<b>&amp;</b> \"quoted\" 'single' ]]> <![CDATA[x]]>",
    b"  spaces at both ends  ",
    b"tab\there\nnew line\r\nwindows\rmac",
    "Jørgen Ångström – 日本語 🎉".as_bytes(),
    b"J\xf8rgen in Latin-1",
    b"mixed \xc3\xa9 and \xe9",
    b"delete \x7f and higher \xc2\x81 end",
    b"\xef\xbb\xbfbom",
    b"cut off \xe2\x82",
    b"\xc2\x85\xc2\xa0 next line, no break",
];

fn text(seq: &mut Sequence) -> Vec<u8> {
    TEXTS[seq.next(TEXTS.len())].to_vec()
}

/// Who made it, when, and what it is.
pub(super) fn about(
    tags: &mut Tags,
    seq: &mut Sequence,
    (name, version, release): (&str, &str, &str),
    source: bool,
) {
    let translated = seq.next(5) == 0;
    let i18n = |first: Vec<u8>| match translated {
        true => Value::I18n(vec![first, b"auf Deutsch".to_vec()]),
        false => Value::I18n(vec![first]),
    };
    if translated {
        tags[0].1 = Value::strs(["C", "de"]);
    }
    tags.push((1004, i18n(text(seq))));
    tags.push((1005, i18n(text(seq))));
    tags.push((1006, Value::Int32(vec![seq.pick(&[0, 1, 1_700_000_000, u32::MAX])])));
    if seq.next(4) == 0 {
        tags.push((1003, Value::Int32(vec![seq.pick(&[0, 1, 7, 4_000_000_000])])));
    }
    for tag in [1007, 1011, 1014, 1015, 1020] {
        if seq.next(6) > 0 {
            tags.push((tag, Value::Str(text(seq))));
        }
    }
    tags.push((1016, Value::I18n(vec![text(seq)])));
    match seq.next(3) {
        0 => tags.push((5009, Value::Int64(vec![5_000_000_000]))),
        _ => tags.push((1009, Value::Int32(vec![seq.pick(&[0, 1, u32::MAX])]))),
    }
    if source {
        tags.push((1106, Value::Int32(vec![1])));
        if seq.next(3) == 0 {
            tags.push((1051, Value::Int32(vec![0])));
        }
    } else {
        tags.push((1044, Value::Str(format!("{name}-{version}-{release}.src.rpm").into())));
    }
}

/// Names, flags, versions of each kind of dependency, and of those of old distributions.
const KINDS: [[u32; 3]; 10] = [
    [1047, 1112, 1113],
    [1049, 1048, 1050],
    [1054, 1053, 1055],
    [1090, 1114, 1115],
    [5046, 5048, 5047],
    [5049, 5051, 5050],
    [5052, 5054, 5053],
    [5055, 5057, 5056],
    [1156, 1158, 1157],
    [1159, 1161, 1160],
];

const NAMES: [&str; 18] = [
    "plain",
    "/usr/bin/sh",
    "/etc/odd-0",
    "libc.so.6",
    "libc.so.6()(64bit)",
    "libc.so.6(GLIBC_2.4)(64bit)",
    "libc.so.6(GLIBC_2.34)(64bit)",
    "rpmlib(PayloadIsZstd)",
    "config(odd)",
    "(a and b)",
    "((x or y >= 2) if z else (w unless v))",
    "(foo with bar < 3)",
    "perl(Odd::Näme)",
    "pkgconfig(odd) ",
    "with space",
    "<odd>&\"",
    "font(:lang=de)",
    "plain",
];

const VERSIONS: [&str; 10] =
    ["", "1", "1-2", "3:1-2", "0:1", "1:2~rc1-0.1", ":5", "1-2-3", "9^x", "a:1"];
const SENSES: [u32; 16] = [
    0,
    2,
    4,
    8,
    10,
    12,
    8 | 1 << 6,
    8 | 1 << 9,
    1 << 10,
    1 << 11,
    1 << 12,
    10 | 1 << 24,
    1 << 19,
    12 | 1 << 27,
    1 << 14,
    1 << 5,
];

/// All kinds of dependencies, some twice.
pub(super) fn dependencies(tags: &mut Tags, seq: &mut Sequence, name: &str) {
    for [names, flags, versions] in KINDS {
        let own = names == 1047;
        let count = if own { 1 + seq.next(6) } else { seq.next(8) };
        if count == 0 {
            continue;
        }
        let mut list: Vec<(String, u32, &str)> = Vec::new();
        if own {
            list.push((name.to_owned(), 8, "1-1"));
        }
        while list.len() < count {
            let sense = seq.pick(&SENSES);
            let version = if sense & 0xe == 0 { "" } else { seq.pick(&VERSIONS) };
            let one = (seq.pick(&NAMES).to_owned(), sense, version);
            if seq.next(4) == 0 {
                list.push(one.clone());
            }
            list.push(one);
        }
        tags.push((names, Value::strs(list.iter().map(|d| d.0.as_str()))));
        tags.push((flags, Value::Int32(list.iter().map(|d| d.1).collect())));
        tags.push((versions, Value::strs(list.iter().map(|d| d.2))));
    }
}

const DIRS: [&str; 8] = [
    "/usr/bin/",
    "/etc/",
    "/usr/lib/",
    "/usr/share/dir with space/",
    "/usr/share/<&>\"/",
    "/usr/share/ünïcode/",
    "/opt/sbin/x/",
    "/",
];

/// Files of every type and flag, with capabilities and colours.
pub(super) fn files(tags: &mut Tags, seq: &mut Sequence, count: usize, source: bool) {
    if count == 0 {
        return;
    }
    let dirs: &[&str] = if source { &[""] } else { &DIRS[..DIRS.len().min(count)] };
    let bases: Vec<Vec<u8>> = (0..count)
        .map(|n| match (n * 7 + count) % 9 {
            0 => b"sendmail".to_vec(),
            1 => format!("a file <&> {n}").into_bytes(),
            2 => format!("tilde~{n}").into_bytes(),
            3 => [b"latin-\xe9".as_slice(), n.to_string().as_bytes()].concat(),
            _ => format!("odd-{n}").into_bytes(),
        })
        .collect();
    let modes = [
        0o100_644, 0o100_755, 0o104_755, 0o040_755, 0o120_777, 0o020_644, 0o060_640, 0o010_600,
        0o140_777,
    ];
    let flags = [0, 1, 2, 1 << 3 | 1, 1 << 4 | 1, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 12];
    tags.push((1117, Value::Strs(bases)));
    tags.push((1116, Value::Int32((0..count).map(|n| (n * dirs.len() / count) as u32).collect())));
    tags.push((1118, Value::strs(dirs.iter().copied())));
    let mode: Vec<u16> = (0..count).map(|_| seq.pick(&modes)).collect();
    tags.push((1030, Value::Int16(mode)));
    tags.push((1037, Value::Int32((0..count).map(|_| seq.pick(&flags)).collect())));
    match seq.next(4) {
        0 => tags.push((5008, Value::Int64(vec![1 << 33; count]))),
        _ => tags.push((1028, Value::Int32(vec![seq.next(9000) as u32; count]))),
    }
    tags.push((1033, Value::Int16(vec![0; count])));
    tags.push((1034, Value::Int32(vec![1_700_000_000; count])));
    tags.push((1035, Value::strs(vec!["0".repeat(64); count])));
    tags.push((1036, Value::strs(vec![""; count])));
    tags.push((1039, Value::strs(vec!["root"; count])));
    tags.push((1040, Value::strs(vec!["odd"; count])));
    tags.push((1045, Value::Int32(vec![u32::MAX; count])));
    tags.push((1095, Value::Int32(vec![1; count])));
    tags.push((1096, Value::Int32((1..=count as u32).collect())));
    tags.push((1097, Value::strs(vec![""; count])));
    tags.push((5011, Value::Int32(vec![8])));
    if seq.next(3) == 0 {
        tags.push((5010, Value::strs(vec!["cap_net_raw=ep"; count])));
        tags.push((1140, Value::Int32(vec![2; count])));
    }
}

/// Scripts of all kinds, some without text, and triggers.
pub(super) fn scripts(tags: &mut Tags, seq: &mut Sequence) {
    let kinds = [
        (1023, 1085),
        (1024, 1086),
        (1025, 1087),
        (1026, 1088),
        (1079, 1091),
        (1151, 1153),
        (1152, 1154),
        (5103, 5105),
        (5104, 5106),
    ];
    for (script, program) in kinds {
        match seq.next(4) {
            0 => {
                tags.push((script, Value::Str(text(seq))));
                tags.push((program, Value::strs(["/bin/sh"])));
            }
            1 => tags.push((program, Value::strs(["<lua>"]))),
            _ => {}
        }
    }
    if seq.next(3) == 0 {
        tags.push((1065, Value::strs(["true"])));
        tags.push((1066, Value::strs(["bash", "glibc"])));
        tags.push((1067, Value::strs(["", "2"])));
        tags.push((1068, Value::Int32(vec![1 << 16, 12 | 1 << 17])));
        tags.push((1069, Value::Int32(vec![0, 0])));
        tags.push((1092, Value::strs(["/bin/sh"])));
    }
    if seq.next(3) == 0 {
        tags.push((5066, Value::strs(["true"])));
        tags.push((5067, Value::strs(["/bin/sh"])));
        tags.push((5069, Value::strs(["/usr/lib"])));
        tags.push((5070, Value::Int32(vec![0])));
        tags.push((5071, Value::strs([""])));
        tags.push((5072, Value::Int32(vec![1 << 16])));
        tags.push((5084, Value::Int32(vec![1_000_000])));
    }
}

/// Changelogs of any length, with equal times and names in any encoding.
pub(super) fn changes(tags: &mut Tags, seq: &mut Sequence, long: bool) {
    let count = if long { 3000 } else { seq.next(25) };
    if count == 0 {
        return;
    }
    let mut time = 1_700_000_000_u32;
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(time);
        time -= seq.pick(&[0, 0, 1, 86_400, 700_000]);
    }
    let names = [
        "Jørgen <j@example.org> - 1:2-3".as_bytes(),
        b"J\xf8rgen <j@example.org>",
        b"trailing   ",
        b"   ",
        b"x",
        b"quoted \"name\" <a@b> & co\n",
        b"",
    ];
    tags.push((1080, Value::Int32(times)));
    tags.push((
        1081,
        Value::Strs((0..count).map(|_| names[seq.next(names.len())].to_vec()).collect()),
    ));
    tags.push((
        1082,
        Value::Strs((0..count).map(|_| [b"- ", text(seq).as_slice()].concat()).collect()),
    ));
}
