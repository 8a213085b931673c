//! Every input of the corpus once, with whatever compiler builds the tests: what once broke a property does not break it again.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use fuzz::{TARGETS, target};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_input_of_the_corpus_keeps_its_properties() {
    for target in &TARGETS {
        let inputs = files(&folder().join(target.name));
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for path in inputs {
            let input = std::fs::read(&path).unwrap();
            let ended = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(ended.is_ok(), "{}: {} breaks a property, see above", target.name, path.display());
        }
    }
}

#[test]
fn every_folder_of_the_corpus_is_a_target_and_small() {
    let folders = files(&folder());
    assert_eq!(folders.len(), TARGETS.len());
    for folder in folders {
        assert!(target(&folder.file_name().unwrap().to_string_lossy()).is_some(), "{}", folder.display());
    }
    let bytes: u64 = TARGETS
        .iter()
        .flat_map(|target| files(&folder().join(target.name)))
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes < 2 << 20, "{bytes} bytes: `hack/fuzz --keep` keeps fewer inputs of the same reach");
}
