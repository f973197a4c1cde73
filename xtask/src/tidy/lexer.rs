//! Splits Rust text into code, string literals and comments, so that a check sees only what it is about.

/// The three views of one text; `code` keeps every line break, so line numbers hold.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// The text with comments and the insides of literals blanked.
    pub(super) code: String,
    /// Line (from 1) and content of each string literal.
    pub(super) strings: Vec<(usize, String)>,
    /// Line (from 1) and content of each comment.
    pub(super) comments: Vec<(usize, String)>,
}

/// Splits `text`; ill-formed text gives a best effort, since the compiler reports it anyway.
pub(super) fn split(text: &str) -> Split {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, line: 1, out: Split::default() };
    lexer.run();
    lexer.out
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    out: Split,
}

impl Lexer {
    fn run(&mut self) {
        while let Some(c) = self.peek(0) {
            match c {
                '/' if self.peek(1) == Some('/') => self.line_comment(),
                '/' if self.peek(1) == Some('*') => self.block_comment(),
                '"' => self.string(),
                'r' if self.raw_hashes().is_some() && !self.after_word() => self.raw_string(),
                '\'' => self.char_or_lifetime(),
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    /// Takes one character without showing it as code.
    fn skip(&mut self) -> char {
        let c = self.chars.get(self.at).copied().unwrap_or('\n');
        self.at += 1;
        if c == '\n' {
            self.line += 1;
        }
        self.out.code.push(if c == '\n' { '\n' } else { ' ' });
        c
    }

    fn keep(&mut self) {
        let c = self.skip();
        self.out.code.pop();
        self.out.code.push(c);
    }

    /// Whether the previous character belongs to a word: then an `r` ends it (`br"…"` starts one all the same).
    fn after_word(&self) -> bool {
        let Some(before) = self.at.checked_sub(1).and_then(|i| self.chars.get(i)) else {
            return false;
        };
        (before.is_alphanumeric() || *before == '_') && *before != 'b' && *before != 'c'
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let mut content = String::new();
        while self.peek(0).is_some_and(|c| c != '\n') {
            content.push(self.skip());
        }
        self.out.comments.push((line, content));
    }

    fn block_comment(&mut self) {
        let line = self.line;
        let mut content = String::new();
        let mut depth = 0;
        while self.peek(0).is_some() {
            let pair = (self.peek(0), self.peek(1));
            match pair {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    content.push(self.skip());
                    continue;
                }
            }
            self.skip();
            self.skip();
            if depth == 0 {
                break;
            }
        }
        self.out.comments.push((line, content));
    }

    fn string(&mut self) {
        let line = self.line;
        let mut content = String::new();
        self.keep();
        while let Some(c) = self.peek(0) {
            if c == '"' {
                self.keep();
                break;
            }
            if c == '\\' {
                content.push(self.skip());
            }
            content.push(self.skip());
        }
        self.out.strings.push((line, content));
    }

    /// The number of `#` if a raw string starts here.
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = (1..).take_while(|i| self.peek(*i) == Some('#')).count();
        (self.peek(hashes + 1) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self) {
        let line = self.line;
        let hashes = self.raw_hashes().unwrap_or(0);
        for _ in 0..hashes + 2 {
            self.keep();
        }
        let mut content = String::new();
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|i| self.peek(i) == Some('#')) {
                for _ in 0..=hashes {
                    self.keep();
                }
                break;
            }
            content.push(self.skip());
        }
        self.out.strings.push((line, content));
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn char_or_lifetime(&mut self) {
        let escaped = self.peek(1) == Some('\\');
        self.keep();
        if escaped {
            self.skip();
            self.skip();
            while self.peek(0).is_some_and(|c| c != '\'') {
                self.skip();
            }
            self.keep();
        } else if self.peek(1) == Some('\'') {
            self.skip();
            self.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn views_are_apart_and_lines_hold() {
        let text = "let a = \"x // no\"; // c\nlet b = r#\"y \"q\" \"#; /* d /* e */ */ let c = '\"';\nfn f<'a>() {}";
        let parts = split(text);
        assert_eq!(parts.strings, [(1, "x // no".into()), (2, "y \"q\" ".into())]);
        assert_eq!(parts.comments, [(1, "// c".into()), (2, " d  e  ".into())]);
        assert_eq!(parts.code.lines().count(), 3);
        assert!(parts.code.contains("let c = ' ';"));
        assert!(parts.code.contains("fn f<'a>()"));
    }

    #[test]
    fn escapes_do_not_end_a_literal() {
        let parts =
            split(r#"let a = "\"b"; let c = '\''; let d = b"e"; let r = var; let g = br"h";"#);
        let strings: Vec<_> = parts.strings.iter().map(|s| s.1.as_str()).collect();
        assert_eq!(strings, [r#"\"b"#, "e", "h"]);
        assert!(parts.code.contains("let r = var;"));
    }
}
