//! A Debian changelog in the form of a spec file's.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Entries that are taken over.
const MOST: usize = 40;

struct Entry {
    /// Year, month, day: the order of a spec file's changelog.
    date: (u32, u32, u32),
    weekday: String,
    author: String,
    version: String,
    lines: Vec<String>,
}

/// The `%changelog` of a package whose files are below `root`; empty if it has none.
pub(super) fn read(root: &Path, package: &str) -> String {
    let dir = root.join("usr/share/doc").join(package);
    let names = ["changelog.Debian.gz", "changelog.gz"];
    let text = names.iter().find_map(|name| {
        let mut bytes = Vec::new();
        let file = File::open(dir.join(name)).ok()?;
        GzDecoder::new(file).take(4 << 20).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    });
    let mut entries = text.map(|text| parse(&text)).unwrap_or_default();
    // rpmbuild insists on descending dates and knows nothing before 1997
    entries.retain(|entry| entry.date.0 > 1997 && !entry.lines.is_empty());
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.date));
    entries.truncate(MOST);
    let mut out = String::new();
    for entry in entries {
        let (year, month, day) = entry.date;
        let month = MONTHS[month as usize];
        let (weekday, author) = (entry.weekday, escape(&entry.author));
        let version = escape(&entry.version);
        // writing to a string cannot fail
        let _ = writeln!(out, "* {weekday} {month} {day:02} {year} {author} - {version}");
        for line in entry.lines {
            let _ = writeln!(out, "- {}", escape(line.trim().trim_start_matches(['*', '-', ' '])));
        }
    }
    out
}

fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut version, mut lines) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(trailer) = line.strip_prefix(" -- ") {
            let lines = std::mem::take(&mut lines);
            entries.extend(entry(trailer, &version, lines));
        } else if line.starts_with("  ") {
            lines.push(line.to_owned());
        } else if let Some((_, rest)) = line.split_once(" (") {
            version = rest.split(')').next().unwrap_or_default().to_owned();
            lines.clear();
        }
    }
    entries
}

/// `Name <address>  Mon, 02 Jan 2006 15:04:05 -0700`.
fn entry(trailer: &str, version: &str, lines: Vec<String>) -> Option<Entry> {
    let (author, date) = trailer.split_once("  ")?;
    let mut words = date.split([' ', ',']).filter(|w| !w.is_empty());
    let weekday = words.next()?.to_owned();
    let day = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|m| *m == month)? as u32;
    let year = words.next()?.parse().ok()?;
    let (author, version) = (author.to_owned(), version.to_owned());
    Some(Entry { date: (year, month, day), weekday, author, version, lines })
}

fn escape(text: &str) -> String {
    text.replace('%', "%%")
}
