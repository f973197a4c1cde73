//! Lines of logs: cut out of chunks, freed of what terminals would obey, shortened.

use std::borrow::Cow;

/// The most of a line that is looked at, in bytes.
const LOOKED: usize = 4096;
/// The most of a line that is kept, in bytes.
pub(crate) const KEPT: usize = 600;
/// The most of a line that is shown, in characters.
const SHOWN: usize = 400;
const ESCAPE: u8 = 0x1b;

/// Cuts chunks into numbered lines of bounded length.
#[derive(Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    /// Whether a line has begun.
    begun: bool,
    /// Lines that have ended.
    ended: u64,
}

impl Lines {
    /// Gives the lines that end in this chunk, with their numbers from 1.
    pub(crate) fn feed(&mut self, chunk: &[u8], mut take: impl FnMut(u64, &[u8])) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.grow(&rest[..end]);
            self.ended += 1;
            take(self.ended, plain(&self.partial).as_ref());
            self.partial.clear();
            self.begun = false;
            rest = &rest[end + 1..];
        }
        self.grow(rest);
    }

    /// Counts the lines of a chunk without looking at them.
    pub(crate) fn skip(&mut self, chunk: &[u8]) {
        let ends = memchr::memchr_iter(b'\n', chunk).count();
        if ends > 0 {
            self.partial.clear();
        }
        self.ended += ends as u64;
        self.begun = !chunk.is_empty() && !chunk.ends_with(b"\n");
    }

    /// Gives the last line if nothing ended it.
    pub(crate) fn finish(&mut self, mut take: impl FnMut(u64, &[u8])) {
        if self.begun {
            self.ended += 1;
            take(self.ended, plain(&self.partial).as_ref());
        }
    }

    fn grow(&mut self, part: &[u8]) {
        self.begun |= !part.is_empty();
        let room = LOOKED - self.partial.len().min(LOOKED);
        self.partial.extend_from_slice(&part[..part.len().min(room)]);
    }
}

/// A line as a terminal shows it: what was overwritten, colours and titles are left out.
fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
    let line = &line[..end];
    let line = memchr::memrchr(b'\r', line).map_or(line, |at| &line[at + 1..]);
    if memchr::memchr(ESCAPE, line).is_none() {
        return Cow::Borrowed(line);
    }
    let mut out = Vec::with_capacity(line.len());
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            // A control sequence ends with a letter or one of a few signs.
            Some(b'[') => drop(bytes.find(|byte| (0x40..=0x7e).contains(byte))),
            // A title ends with a bell.
            Some(b']') => drop(bytes.find(|byte| *byte == 0x07)),
            _ => {}
        }
    }
    Cow::Owned(out)
}

/// A line as it can be printed anywhere: valid, short, without control characters.
pub(crate) fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(KEPT)]);
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            out.push('…');
            break;
        }
        match c {
            '\t' => out.push(' '),
            c if c.is_control() || turns_text(c) => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Characters without a picture that make text look like another one.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(u64, String)> {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, |n, line| got.push((n, printable(line))));
        }
        lines.finish(|n, line| got.push((n, printable(line))));
        got
    }

    #[test]
    fn chunks_end_anywhere() {
        let whole = lines(&[b"one\ntwo\n\nfour"]);
        assert_eq!(whole.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(lines(&[b"on", b"e\ntw", b"o\n", b"\nfo", b"ur"]), whole);
        assert_eq!(lines(&[b"a\n"]).len(), 1);
    }

    #[test]
    fn terminals_are_not_told_anything() {
        let shown = |line: &[u8]| lines(&[line])[0].1.clone();
        assert_eq!(shown(b"\x1b[31;1merror:\x1b[0m no\r\n"), "error: no");
        assert_eq!(shown(b"10%\r20%\rdone\r\n"), "done");
        assert_eq!(shown(b"\x1b]0;title\x07text\x08\x00"), "text");
        assert_eq!(shown("a\u{202e}b".as_bytes()), "ab");
        assert_eq!(shown(b"\xff\xfe bad"), "\u{fffd}\u{fffd} bad");
        assert_eq!(shown(b"\x1b"), "");
    }

    #[test]
    fn long_lines_are_cut() {
        let mut long = vec![b'x'; 1 << 20];
        long.push(b'\n');
        let got = lines(&[&long, b"after\n"]);
        assert_eq!(got[0].1.chars().count(), SHOWN + 1);
        assert_eq!(got[1], (2, "after".to_owned()));
    }

    #[test]
    fn skipped_lines_count() {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        lines.feed(b"one\ntw", |n, _| got.push(n));
        lines.skip(b"o\nthree\nfo");
        lines.feed(b"ur\nfive\n", |n, _| got.push(n));
        assert_eq!(got, [1, 4, 5]);
    }
}
