//! `cargo xtask papers`: every path of the repository and every command of it that a text names is there.
//!
//! Read are the code spans, the code blocks and the links of each `.md` file. A word is a path of the repository if it begins with one
//! of its folders, or if it ends as a source file does.

mod commands;
mod paths;
mod words;

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::files::read;
use crate::process::output;

use commands::Commands;
use paths::Paths;

/// What is wrong: a line each, `FILE: what it names`. `xtask` are the names of the program's own commands.
pub(crate) fn check(root: &Path, xtask: Vec<String>) -> Result<Vec<String>, Error> {
    let commands = Commands::read(root, xtask)?;
    let listed = output(
        Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root),
    )?;
    let paths = Paths::new(listed.lines().filter(|file| root.join(file).exists()));
    let mut found = Vec::new();
    for file in paths.texts() {
        let text = read(&root.join(file))?;
        let missing = [paths.missing(file, &text), commands.missing(&text)].concat();
        found.extend(missing.into_iter().map(|missing| format!("{file}: {missing}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repositorys_texts_name_what_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert_eq!(check(root, crate::command_names()).unwrap(), [""; 0]);
    }

    #[test]
    fn a_text_that_names_what_is_not_there_is_found() {
        let root = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            output(Command::new("git").args(arguments).current_dir(root.path())).unwrap();
        };
        git(&["init", "-q"]);
        std::fs::create_dir_all(root.path().join("hack")).unwrap();
        std::fs::write(root.path().join("hack/test"), "").unwrap();
        std::fs::write(root.path().join("a.md"), "`hack/test`, `hack/gone`, `cargo xtask gone`\n").unwrap();
        let found = check(root.path(), vec!["layers".to_owned()]).unwrap();
        assert_eq!(
            found,
            ["a.md: hack/gone is not there", "a.md: cargo xtask gone: there is no such command"]
        );
    }
}
