//! Markdown as a manual page has it. A table becomes a list of its first column, for a terminal has no room for
//! columns of prose.

use std::mem;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// The section of `text` under the heading `title` of level 2, heading included; empty without such a section.
pub(crate) fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let heading = format!("\n## {title}\n");
    let Some(start) = text.find(&heading) else { return "" };
    let body = start + heading.len();
    let end = text[body..].find("\n## ").map_or(text.len(), |end| body + end);
    &text[start..end]
}

/// Adds `text` to a page. Headings of level `top` become sections, those below them subsections; those above
/// are left out, for the page has its own.
pub(crate) fn render(text: &str, top: usize, page: &mut Roff) {
    let mut writer = Writer { page, top, state: State::default() };
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        writer.event(event);
    }
}

/// What is being read.
#[derive(Default)]
struct State {
    /// The words of the paragraph, heading, cell or line at hand.
    words: Vec<Inline>,
    /// How the words at hand are set.
    style: Style,
    /// The lists around them: the next number of an ordered one.
    lists: Vec<Option<u64>>,
    /// Whether the paragraph at hand opens an item of a list, and so needs no paragraph of its own.
    opens_item: bool,
    /// Whether these are lines of code.
    code: bool,
    /// The cells of the row at hand.
    cells: Vec<Vec<Inline>>,
    /// The titles of the columns.
    columns: Vec<String>,
}

/// How words are set.
#[derive(Clone, Copy, Default)]
enum Style {
    #[default]
    Roman,
    Bold,
    Italic,
}

struct Writer<'a> {
    page: &'a mut Roff,
    top: usize,
    state: State,
}

impl Writer<'_> {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.state.code => self.code(&text),
            Event::Text(text) => self.word(&text),
            Event::Code(text) => self.state.words.push(bold(text.to_string())),
            Event::SoftBreak | Event::HardBreak => self.state.words.push(roman(" ")),
            // A page has no place for the rest: rules, HTML, footnotes.
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong => self.state.style = Style::Bold,
            Tag::Emphasis => self.state.style = Style::Italic,
            Tag::List(first) => {
                self.flush();
                if !self.state.lists.is_empty() {
                    self.page.control("RS", ["2"]);
                }
                self.state.lists.push(*first);
            }
            Tag::Item => self.item(),
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.state.code = true;
                self.page.control("PP", []);
                self.page.control("RS", ["4"]);
                self.page.control("nf", []);
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong | TagEnd::Emphasis => self.state.style = Style::Roman,
            TagEnd::Paragraph | TagEnd::Item => self.flush(),
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::List(_) => {
                self.state.lists.pop();
                if !self.state.lists.is_empty() {
                    self.page.control("RE", []);
                }
            }
            TagEnd::CodeBlock => {
                self.state.code = false;
                self.page.control("fi", []);
                self.page.control("RE", []);
            }
            TagEnd::TableCell => {
                let words = mem::take(&mut self.state.words);
                self.state.cells.push(words);
            }
            TagEnd::TableHead => {
                let cells = mem::take(&mut self.state.cells);
                self.state.columns = cells.iter().map(|cell| plain(cell)).collect();
            }
            TagEnd::TableRow => self.row(),
            _ => {}
        }
    }

    fn word(&mut self, text: &str) {
        let text = text.to_string();
        self.state.words.push(match self.state.style {
            Style::Roman => roman(text),
            Style::Bold => bold(text),
            Style::Italic => italic(text),
        });
    }

    /// Ends a paragraph.
    fn flush(&mut self) {
        let words = mem::take(&mut self.state.words);
        if words.is_empty() {
            return;
        }
        if !mem::take(&mut self.state.opens_item) {
            self.page.control(if self.state.lists.is_empty() { "PP" } else { "IP" }, []);
        }
        self.page.text(words);
    }

    fn item(&mut self) {
        self.state.opens_item = true;
        match self.state.lists.last_mut() {
            Some(Some(number)) => {
                self.page.control("IP", [format!("{number}.").as_str(), "4"]);
                *number += 1;
            }
            _ => {
                self.page.control("IP", ["\\(bu", "2"]);
            }
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        let words = mem::take(&mut self.state.words);
        let title = plain(&words);
        match (level as usize).cmp(&self.top) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                self.page.control("SH", [title.to_uppercase().as_str()]);
            }
            std::cmp::Ordering::Greater => {
                self.page.control("SS", [title.as_str()]);
            }
        }
    }

    fn code(&mut self, text: &str) {
        for line in text.lines() {
            self.page.text([roman(line)]);
        }
    }

    /// A row: its first cell stands out, the cells between carry the titles of their columns, the last is prose.
    fn row(&mut self) {
        let mut cells = mem::take(&mut self.state.cells).into_iter();
        let Some(first) = cells.next() else { return };
        self.page.control("TP", []);
        self.page.text(first);
        let mut words = Vec::new();
        let last = cells.len().saturating_sub(1);
        for (index, cell) in cells.enumerate() {
            let title = self.state.columns.get(index + 1).cloned().unwrap_or_default();
            if index == last {
                words.extend(cell);
            } else {
                words.push(italic(format!("{title}: ")));
                words.extend(cell);
                words.push(roman(if index + 1 == last { ". " } else { ", " }));
            }
        }
        self.page.text(words);
    }
}

/// The words without their styles.
fn plain(words: &[Inline]) -> String {
    let text = |word: &Inline| match word {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text.clone(),
        Inline::LineBreak => " ".to_string(),
    };
    words.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str, top: usize) -> String {
        let mut page = Roff::new();
        render(text, top, &mut page);
        page.render()
    }

    #[test]
    fn headings_are_sections_from_the_top_level_on() {
        let text = page("# A\n\n## B\n\n### C\n\nwords\n", 2);
        assert!(!text.contains("A\n"), "{text}");
        assert!(text.contains(".SH B\n.SS C\n.PP\nwords"), "{text}");
    }

    #[test]
    fn a_table_is_a_list_of_its_first_column() {
        let text = page("| field | takes | meaning |\n|---|---|---|\n| `a` | size | How much. |\n", 2);
        assert!(text.contains(".TP\n\\fBa\\fR\n\\fItakes: \\fRsize. How much."), "{text}");
    }

    #[test]
    fn code_keeps_its_lines_and_can_be_no_request() {
        let text = page("```\na\n\n.b 'c\n```\n", 2);
        assert!(text.contains(".nf\na\n\n\\&.b"), "{text}");
    }

    #[test]
    fn an_item_is_marked_and_its_lines_are_one() {
        let text = page("- one\n  *more*\n- two\n", 2);
        assert!(text.contains("2\none \\fImore\\fR\n"), "{text}");
    }

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# T\n\n## A\n\na\n\n## B\n\nb\n";
        assert_eq!(section(text, "A"), "\n## A\n\na\n");
        assert_eq!(section(text, "C"), "");
    }
}
