//! Commands that texts name: `cargo xtask NAME` anywhere in code, and `just NAME`, a word of English too, at its beginning. What is below hack is a path like any other.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::words::code;
use crate::error::Error;
use crate::files::read;
use crate::pattern::pattern;

static NAMED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[ |&;(])(cargo xtask|^just) ([a-z][a-z0-9-]*)"));
static RECIPE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^@?([a-z][a-z0-9_-]*)[^:=\n]*:(?:[^=]|$)"));

/// The names of the commands that there are.
pub(super) struct Commands {
    xtask: Vec<String>,
    just: Vec<String>,
}

impl Commands {
    /// The recipes of the justfile, if there is one, beside the program's own commands.
    pub(super) fn read(root: &Path, xtask: Vec<String>) -> Result<Self, Error> {
        let justfile = root.join("justfile");
        let just = if justfile.exists() { recipes(&read(&justfile)?) } else { Vec::new() };
        Ok(Self { xtask, just })
    }

    /// What the text names and is not there.
    pub(super) fn missing(&self, text: &str) -> Vec<String> {
        let mut missing = BTreeSet::new();
        for code in code(text) {
            for named in NAMED.captures_iter(&code) {
                let [program, name] = named.extract().1;
                let known = if program == "just" { &self.just } else { &self.xtask };
                if known.iter().all(|known| known != name) {
                    missing.insert(format!("{program} {name}: there is no such command"));
                }
            }
        }
        missing.into_iter().collect()
    }
}

fn recipes(justfile: &str) -> Vec<String> {
    RECIPE.captures_iter(justfile).map(|recipe| recipe[1].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(text: &str) -> Vec<String> {
        let just = recipes(
            "set shell := [\"bash\"]\nexport A := \"b\"\n# text\ncheck: tools\n    cargo fmt\ntest *STEPS:\n",
        );
        Commands { xtask: vec!["layers".to_owned()], just }.missing(text)
    }

    #[test]
    fn commands_that_there_are_pass() {
        assert_eq!(
            missing(
                "`cargo xtask layers`, `just check`, `just test all`; just anything in prose, `it has just begun`"
            ),
            [""; 0]
        );
    }

    #[test]
    fn commands_that_there_are_not_are_found() {
        let found = missing("`cargo xtask gone`\n```sh\njust gone\njust set\n```\n");
        let expected = ["cargo xtask gone", "just gone", "just set"];
        assert_eq!(found, expected.map(|command| format!("{command}: there is no such command")));
    }
}
