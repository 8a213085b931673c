//! The words of a text in Markdown that are code, and its links.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;

static SPAN: LazyLock<Regex> = LazyLock::new(|| pattern(r"`([^`]+)`"));
static LINK: LazyLock<Regex> = LazyLock::new(|| pattern(r"\]\(([^)\s]+)\)"));

/// Code spans, and the lines of code blocks.
pub(super) fn code(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut prose = String::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line.to_owned());
        } else {
            prose.push_str(line);
            // A span may go over the end of a line, not over the end of a paragraph.
            prose.push_str(if line.trim().is_empty() { "``" } else { " " });
        }
    }
    found.extend(SPAN.captures_iter(&prose).map(|span| span[1].to_owned()));
    found
}

/// Targets of links to files, without what is named inside them.
pub(super) fn links(text: &str) -> Vec<String> {
    let targets = LINK.captures_iter(text).map(|link| link[1].to_owned());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_blocks_are_code_and_prose_is_not() {
        let text = "Just a word, `one\ntwo` and\n```sh\nhack/test # all\n```\n`three`\n";
        assert_eq!(code(text), ["hack/test # all", "one two", "three"]);
    }

    #[test]
    fn links_to_files_lose_their_fragments() {
        let text = "[a](csi/README.md#errors), [b](https://example.com/x), [c](#here)";
        assert_eq!(links(text), ["csi/README.md"]);
    }
}
