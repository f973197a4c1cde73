//! A page of the guide as a page of the manual, so that there is one text to maintain.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The page about the hub's configuration.
pub(super) const HUB_CONF: &str = "toji-hub.conf";

/// Makes a page of section 5: the heading is its NAME, what stands before the next one its DESCRIPTION, and rows of tables are
/// entries with the first cell as their name. `near` goes into SEE ALSO.
pub(super) fn page(name: &str, markdown: &str, near: &[(&str, u8)]) -> String {
    let mut writer = Writer::new(name);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
    writer.end(near)
}

struct Writer {
    name: String,
    roff: Roff,
    line: Vec<Inline>,
    /// Which pages of the guide were named.
    pages: Vec<String>,
    links: usize,
    strong: usize,
    code: bool,
    /// The cell of a table's row.
    cell: usize,
    head: bool,
    /// Whether the next paragraph belongs to an item whose mark stands already.
    item: bool,
    /// Whether a heading has just begun a paragraph.
    fresh: bool,
}

impl Writer {
    fn new(name: &str) -> Writer {
        Writer {
            name: name.to_owned(),
            roff: Roff::new(),
            line: Vec::new(),
            pages: Vec::new(),
            links: 0,
            strong: 0,
            code: false,
            cell: 0,
            head: false,
            item: false,
            fresh: false,
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.finish(tag),
            Event::Text(text) if self.code => self.verbatim(&text),
            Event::Text(text) => self.push(&text),
            Event::Code(text) => self.line.push(bold(text.as_ref())),
            Event::SoftBreak | Event::HardBreak => self.push(" "),
            Event::Rule
            | Event::Html(_)
            | Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {}
        }
    }

    fn push(&mut self, text: &str) {
        self.line.push(match (self.strong, self.links) {
            (1.., _) => bold(text),
            (0, 1..) => italic(text),
            (0, 0) => roman(text),
        });
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph if !self.item => self.paragraph(),
            Tag::CodeBlock(_) => {
                self.code = true;
                self.paragraph();
                self.roff.control("RS", ["4"]);
                self.roff.control("EX", [])
            }
            Tag::Item => {
                self.item = true;
                self.roff.control("IP", ["\\(bu", "2"])
            }
            Tag::TableHead => {
                self.head = true;
                &mut self.roff
            }
            Tag::TableRow => {
                self.cell = 0;
                self.roff.control("TP", [])
            }
            Tag::Strong => {
                self.strong += 1;
                &mut self.roff
            }
            Tag::Link { dest_url, .. } => {
                self.links += 1;
                let file = dest_url.split('#').next().unwrap_or_default();
                if file.ends_with(".md") && !self.pages.iter().any(|page| page == file) {
                    self.pages.push(file.to_owned());
                }
                &mut self.roff
            }
            _ => &mut self.roff,
        };
    }

    fn paragraph(&mut self) -> &mut Roff {
        if !std::mem::take(&mut self.fresh) {
            self.roff.control("PP", []);
        }
        &mut self.roff
    }

    fn finish(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.heading(level as usize),
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::CodeBlock => {
                self.code = false;
                self.roff.control("EE", []);
                self.roff.control("RE", []);
            }
            TagEnd::TableHead => {
                self.head = false;
                self.line.clear();
            }
            TagEnd::TableCell if !self.head => {
                self.cell += 1;
                self.flush();
            }
            TagEnd::Strong => self.strong -= 1,
            TagEnd::Link => self.links -= 1,
            _ => {}
        }
    }

    fn heading(&mut self, level: usize) {
        let words = std::mem::take(&mut self.line);
        self.fresh = true;
        // What is code keeps its letters: it is the name of something.
        let upper = |text: &str| if level == 2 { text.to_uppercase() } else { text.to_owned() };
        let text: String = words
            .iter()
            .map(|part| match part {
                Inline::Roman(text) | Inline::Italic(text) => upper(text),
                Inline::Bold(text) => text.clone(),
                Inline::LineBreak => " ".to_owned(),
            })
            .collect();
        if level == 1 {
            self.roff.control("SH", ["NAME"]);
            let mut letters = text.chars();
            let first = letters.next().into_iter().flat_map(char::to_lowercase);
            let about: String = first.chain(letters).collect();
            self.roff.text([roman(format!("{} - {about}", self.name))]);
            self.roff.control("SH", ["DESCRIPTION"]);
        } else {
            self.roff.control(if level == 2 { "SH" } else { "SS" }, [text.as_str()]);
        }
    }

    fn verbatim(&mut self, text: &str) {
        for line in text.lines() {
            self.roff.text([roman(line)]);
        }
    }

    fn flush(&mut self) {
        self.item = false;
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.roff.text(line);
        }
    }

    fn end(mut self, near: &[(&str, u8)]) -> String {
        let near = near.iter().map(|(name, section)| ((*name).to_owned(), *section));
        super::see_also(&mut self.roff, near);
        if !self.pages.is_empty() {
            self.roff.control("PP", []);
            let pages =
                format!("The pages of the guide that are named: {}.", self.pages.join(", "));
            self.roff.text([roman(pages)]);
        }
        let mut page = super::head(&self.name, 5);
        page.push_str(&super::body(&self.roff));
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_becomes_a_page() {
        let markdown = "# The file\n\nSee [Logins](logins.md#top) and `-x`.\n\n    a  b\n\n## More `x`\n\n\
                        - one\n- two\n\n| option | |\n|---|---|\n| `A`, `B` | honoured |\n";
        let page = page("x.conf", markdown, &[("toji", 1)]);
        let wanted = [
            ".SH NAME\nx.conf \\- the file\n",
            ".SH DESCRIPTION\nSee \\fILogins\\fR and \\fB\\-x\\fR.\n",
            ".EX\na  b\n.EE\n",
            ".SH \"MORE x\"\n.IP \\(bu 2\none\n.IP \\(bu 2\ntwo\n",
            ".TP\n\\fBA\\fR, \\fBB\\fR\nhonoured\n",
            ".SH \"SEE ALSO\"\n\\fBtoji\\fR(1)\n",
            "logins.md.\n",
        ];
        for part in wanted {
            assert!(page.contains(part), "{part:?} is missing in\n{page}");
        }
        assert!(!page.contains("option"), "the head of a table is in\n{page}");
    }
}
