//! `layers-known.txt`: what breaks a rule today and is being put right. A line each; the list may only shrink.

use std::collections::BTreeSet;
use std::path::Path;

use super::violation::Violation;
use crate::error::Error;

/// What is found and not known, and what is known and no longer found.
pub(super) fn without(list: &Path, found: Vec<Violation>) -> Result<Vec<String>, Error> {
    let text =
        if list.exists() { std::fs::read_to_string(list).map_err(Error::io(list))? } else { String::new() };
    let known: BTreeSet<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let gone = known.iter().filter(|key| found.iter().all(|violation| violation.key != **key));
    let gone: Vec<String> =
        gone.map(|key| format!("xtask/layers-known.txt: take out what is put right: {key}")).collect();
    let fresh = found.iter().filter(|violation| !known.contains(violation.key.as_str()));
    let fresh = fresh.map(|violation| {
        let Violation { file, line, key, text } = violation;
        let key = if text == key { String::new() } else { format!(" [{key}]") };
        format!("{}:{line}: {text}{key}", file.display())
    });
    Ok(fresh.chain(gone).collect())
}
