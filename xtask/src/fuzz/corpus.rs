//! The inputs of a target that are kept in the repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::error::Error;
use crate::files::entries;
use crate::process::output;

/// Found inputs that are kept of each target: the corpus is to be read and replayed in seconds.
const KEPT: usize = 16;

/// libFuzzer's default for the longest input, in bytes.
const LONGEST: u64 = 4096;

/// Bytes of an input at most: as long as one that is kept, and libFuzzer's default where those are short.
pub(super) fn longest(corpus: &Path) -> Result<u64, Error> {
    let mut longest = LONGEST;
    for input in entries(corpus)? {
        longest = longest.max(fs::metadata(&input).map_err(Error::io(&input))?.len());
    }
    Ok(longest)
}

/// Takes out what was found before, and puts in what reaches the most. Inputs with a name of their own were put there by a person:
/// they stay.
pub(super) fn replace(corpus: &Path, fresh: &Path) -> Result<(), Error> {
    for input in entries(corpus)?.iter().filter(|input| was_found(input)) {
        fs::remove_file(input).map_err(Error::io(input))?;
    }
    let named = hashes(&entries(corpus)?)?;
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for input in entries(fresh)? {
        let written = fs::metadata(&input).and_then(|metadata| metadata.modified());
        found.push((written.map_err(Error::io(&input))?, input));
    }
    // The ones that reach the most are written first.
    found.sort();
    let new = found.iter().map(|(_, input)| input).filter(|input| !named.contains(&file_name(input)));
    for input in new.take(KEPT) {
        fs::copy(input, corpus.join(file_name(input))).map_err(Error::io(input))?;
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether libFuzzer has named it: by its SHA-1.
fn was_found(input: &Path) -> bool {
    let name = file_name(input);
    name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn hashes(inputs: &[PathBuf]) -> Result<BTreeSet<String>, Error> {
    if inputs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sums = output(Command::new("sha1sum").args(inputs))?;
    Ok(sums.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// Takes out folders that hold nothing, this one too.
pub(super) fn remove_empty_folders(folder: &Path) -> Result<(), Error> {
    for entry in entries(folder)?.into_iter().filter(|entry| entry.is_dir()) {
        remove_empty_folders(&entry)?;
    }
    if entries(folder)?.is_empty() {
        fs::remove_dir(folder).map_err(Error::io(folder))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789012345678901234567890123456789";
    /// Of `named`.
    const NAMED: &str = "5c2d0a0bbe6e9a4d8a2d6e1d0d3c0d4b2b4f7a11";

    fn names(folder: &Path) -> Vec<String> {
        entries(folder).unwrap().iter().map(|entry| file_name(entry)).collect()
    }

    #[test]
    fn an_input_may_be_as_long_as_one_that_is_kept() {
        let corpus = tempfile::tempdir().unwrap();
        fs::write(corpus.path().join("short"), "x").unwrap();
        assert_eq!(longest(corpus.path()).unwrap(), LONGEST);
        fs::write(corpus.path().join("long"), vec![0; 5000]).unwrap();
        assert_eq!(longest(corpus.path()).unwrap(), 5000);
    }

    #[test]
    fn found_inputs_are_replaced_and_named_ones_stay() {
        let (corpus, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(corpus.path().join(OLD), "old").unwrap();
        fs::write(corpus.path().join("named"), "named").unwrap();
        fs::write(fresh.path().join(NAMED), "new").unwrap();
        replace(corpus.path(), fresh.path()).unwrap();
        assert_eq!(names(corpus.path()), [NAMED, "named"]);
    }

    #[test]
    fn no_input_is_kept_twice() {
        let (corpus, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(corpus.path().join("named"), "named").unwrap();
        let hash = hashes(&entries(corpus.path()).unwrap()).unwrap().pop_first().unwrap();
        fs::write(fresh.path().join(hash), "named").unwrap();
        replace(corpus.path(), fresh.path()).unwrap();
        assert_eq!(names(corpus.path()), ["named"]);
    }

    #[test]
    fn no_more_than_the_first_ones_are_kept() {
        let (corpus, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for number in 0..KEPT + 4 {
            fs::write(fresh.path().join(format!("{number:040x}")), number.to_string()).unwrap();
        }
        replace(corpus.path(), fresh.path()).unwrap();
        assert_eq!(names(corpus.path()).len(), KEPT);
    }

    #[test]
    fn folders_without_an_input_are_removed() {
        let broken = tempfile::tempdir().unwrap();
        fs::create_dir_all(broken.path().join("empty/deep")).unwrap();
        fs::create_dir(broken.path().join("full")).unwrap();
        fs::write(broken.path().join("full/crash"), "x").unwrap();
        remove_empty_folders(broken.path()).unwrap();
        assert_eq!(names(broken.path()), ["full"]);
    }
}
