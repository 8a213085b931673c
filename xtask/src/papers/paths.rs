//! Paths that texts name.

use std::collections::BTreeSet;

use super::words::{code, links};

/// What programs of the repository write: not there before they run.
const WRITTEN: [&str; 1] = ["fuzz/broken"];

/// Paths of other repositories, which a text cites: the text, and how they begin.
const CITED: [(&str, &str); 2] =
    [("csi/ecx/API.md", "docs/api/"), ("docs/adr/0013-hand-made-parts.md", "kubert/")];

/// What stands where a reader puts a name of his own.
const PLACEHOLDERS: [&str; 6] = ["<", "{", "…", "$", "*", "["];

/// Files and folders of the repository, from its root.
pub(super) struct Paths {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Paths {
    pub(super) fn new<'a>(files: impl Iterator<Item = &'a str>) -> Self {
        let files: BTreeSet<String> = files.map(str::to_owned).collect();
        let parents =
            files.iter().flat_map(|file| file.match_indices('/').map(|(at, _)| file[..at].to_owned()));
        let folders = parents.collect();
        Self { files, folders }
    }

    /// Texts in Markdown.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        self.files.iter().filter(|file| file.ends_with(".md"))
    }

    fn has(&self, path: &str) -> bool {
        self.files.contains(path) || self.folders.contains(path)
    }

    /// What the text names and is not there.
    pub(super) fn missing(&self, file: &str, text: &str) -> Vec<String> {
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let linked = links(text).into_iter().filter(|target| !self.has(&joined(folder, target)));
        let named = code(text);
        let named = named.iter().flat_map(|code| code.split(ends_word)).map(bare);
        let named = named.filter(|word| !self.is_there(file, folder, word)).map(str::to_owned);
        let missing: BTreeSet<String> = linked.chain(named).collect();
        missing.into_iter().map(|path| format!("{path} is not there")).collect()
    }

    /// Whether the word is no path of the repository, or one that is there: from its root, from the text's folder, or, of a source
    /// file, the end of a path.
    fn is_there(&self, file: &str, folder: &str, word: &str) -> bool {
        let cited = |(text, start): &(&str, &str)| *text == file && word.starts_with(start);
        if CITED.iter().any(cited) || WRITTEN.iter().any(|written| word.starts_with(written)) {
            return true;
        }
        let of_root = word.split_once('/').is_some_and(|(first, _)| self.folders.contains(first));
        let source = word.ends_with(".rs") && !word.starts_with('.');
        if !of_root && !source {
            return true;
        }
        let word = known_part(word);
        self.has(word)
            || self.has(&joined(folder, word))
            || (source && self.files.iter().any(|path| path.ends_with(&format!("/{word}"))))
    }
}

/// Blanks, and what Chinese writes without a blank.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || "；，。：、（）`".contains(c)
}

/// The word without what stands around it in a sentence, and without a line's number.
fn bare(word: &str) -> &str {
    let word = word.trim_matches(|c: char| "\"'(),;:".contains(c)).trim_end_matches('.');
    let word = match word.rsplit_once(':') {
        Some((path, line))
            if !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') =>
        {
            path
        }
        _ => word,
    };
    word.trim_end_matches('/')
}

/// The folders before the first part that is a placeholder, or a name in capitals.
fn known_part(word: &str) -> &str {
    let mut end = 0;
    for part in word.split('/') {
        let capitals = part.len() > 1 && part.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        if capitals || PLACEHOLDERS.iter().any(|mark| part.contains(mark)) {
            return word[..end].trim_end_matches('/');
        }
        end += part.len() + 1;
    }
    word
}

/// The path, which begins in this folder, from the root.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<String> {
        let files = ["csi/README.md", "csi/node/src/stage.rs", "hack/test", "README.md", "fuzz/corpus/one/a"];
        Paths::new(files.into_iter()).missing("csi/README.md", text)
    }

    #[test]
    fn files_and_folders_that_are_there_pass() {
        let text = "`csi/node/src/stage.rs:12`, `hack/test --all`, `csi/node/`, `node/src/stage.rs`, [x](../README.md#a)";
        assert_eq!(missing(text), [""; 0]);
    }

    #[test]
    fn a_source_may_be_named_by_the_end_of_its_path() {
        assert_eq!(missing("`stage.rs`, `src/stage.rs`"), [""; 0]);
        assert_eq!(missing("`src/unstage.rs`"), ["src/unstage.rs is not there"]);
    }

    #[test]
    fn files_that_are_not_there_are_found() {
        assert_eq!(missing("`csi/gone.rs`"), ["csi/gone.rs is not there"]);
        assert_eq!(missing("```sh\nhack/gone now\n```\n"), ["hack/gone is not there"]);
        assert_eq!(missing("[x](gone.md)"), ["gone.md is not there"]);
    }

    #[test]
    fn of_a_path_with_a_placeholder_the_folders_before_it_must_be_there() {
        assert_eq!(missing("`fuzz/corpus/<target>/`, `fuzz/corpus/TARGET`"), [""; 0]);
        assert_eq!(missing("`fuzz/gone/<target>.rs`"), ["fuzz/gone/<target>.rs is not there"]);
    }

    #[test]
    fn what_is_no_path_of_the_repository_passes() {
        assert_eq!(missing("`nvidia.com/gpu`, `/etc/hosts`, `and/or`, csi/gone in prose"), [""; 0]);
    }
}
