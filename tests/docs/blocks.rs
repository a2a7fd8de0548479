//! The fenced blocks of a document.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A fenced block.
pub struct Block {
    /// What stands behind the fence: the language, and what else is said of it.
    pub info: String,
    /// Its text.
    pub text: String,
    /// Where the text stands in the document.
    pub range: Range<usize>,
}

impl Block {
    /// The first word behind the fence.
    pub fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or_default()
    }

    /// The words after that.
    pub fn remarks(&self) -> Vec<&str> {
        self.info.split_whitespace().skip(1).collect()
    }
}

/// Every fenced block of `document`, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (event, range) in Parser::new_ext(document, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                let info = info.to_string();
                blocks.push(Block { info, text: String::new(), range: range.end..range.end });
                inside = true;
            }
            Event::Text(text) if inside => {
                let block = blocks.last_mut().unwrap();
                block.range = block.range.start.min(range.start)..range.end;
                block.text += &text;
            }
            Event::End(TagEnd::CodeBlock) => inside = false,
            _ => {}
        }
    }
    blocks
}
