//! Server-sent events, read piece by piece.

use std::collections::VecDeque;

/// The longest event, in bytes.
const LONGEST: usize = 16 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: String,
}

/// The reader.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The line that is not whole yet.
    line: Vec<u8>,
    current: Found,
    length: usize,
    number: Option<i64>,
    whole: VecDeque<Found>,
}

impl Lines {
    /// The number that was told last, with an event or without one.
    pub(crate) fn number(&self) -> Option<i64> {
        self.number
    }

    /// The next whole event.
    pub(crate) fn next(&mut self) -> Option<Found> {
        self.whole.pop_front()
    }

    /// Takes a piece; an event that is too long is refused.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> Result<(), ()> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.length += part.len();
            if self.length > LONGEST {
                return Err(());
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.length = 0;
            // The number stays, says the standard; an event without data is none.
            let id = self.current.id.clone();
            self.number = id.parse().ok().or(self.number);
            let found = std::mem::replace(&mut self.current, Found { id, ..Found::default() });
            if !found.data.is_empty() {
                self.whole.push_back(found);
            }
            return;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => value.clone_into(&mut self.current.id),
            "event" => value.clone_into(&mut self.current.kind),
            "data" => {
                if !self.current.data.is_empty() {
                    self.current.data.push('\n');
                }
                self.current.data.push_str(value);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_events() {
        let text = b":hello\n\nid: 7\nevent: task.state\ndata: {\"a\":\ndata: 1}\r\n\nid: 8\ndata:x\n\ndata: cut";
        let found = |id: &str, kind: &str, data: &str| Found {
            id: id.into(),
            kind: kind.into(),
            data: data.into(),
        };
        let wanted = [found("7", "task.state", "{\"a\":\n1}"), found("8", "", "x")];
        for size in [1, 2, 7, text.len()] {
            let mut lines = Lines::default();
            text.chunks(size).for_each(|piece| lines.feed(piece).unwrap());
            let all: Vec<Found> = std::iter::from_fn(|| lines.next()).collect();
            assert_eq!(all, wanted, "{size}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..17).any(|_| lines.feed(&piece).is_err()));
    }
}
