//! Reading the repository's files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(path))
}

/// What is in the folder, in the order of the names.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::io(folder))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(Error::io(folder)));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, Error>>()?;
    paths.sort();
    Ok(paths)
}

/// The folder's own files whose name ends so, in the order of the names.
pub(crate) fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Error> {
    let mut files = entries(folder)?;
    files.retain(|file| file.is_file() && file.extension().is_some_and(|ends| ends == extension));
    Ok(files)
}

/// Every `.rs` file in the folder and below it.
pub(crate) fn sources(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|ends| ends == "rs") {
                found.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}
