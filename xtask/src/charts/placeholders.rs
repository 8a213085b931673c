//! What a reader of the manifests must fill in.

use std::path::Path;

use crate::error::Error;
use crate::files::{read, with_extension};

/// In the arguments of the program that refuses them, and nowhere else.
const WANTED: [&str; 2] = ["- --cluster-id=REPLACE_CLUSTER_ID", "- --regions=REPLACE_REGIONS"];

/// Lines with a placeholder, if they are not those that are wanted.
pub(super) fn check(root: &Path) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for file in with_extension(&root.join("deploy/manifests"), "yaml")? {
        lines.extend(with_placeholder(&read(&file)?));
    }
    if lines == WANTED {
        return Ok(Vec::new());
    }
    lines.push(format!("wanted are {WANTED:?}"));
    Ok(lines)
}

fn with_placeholder(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && line.contains("REPLACE_"));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("deploy/manifests")).unwrap();
        std::fs::write(root.path().join("deploy/manifests/a.yaml"), text).unwrap();
        check(root.path()).unwrap()
    }

    const GOOD: &str =
        "# REPLACE_THIS\nargs:\n  - --cluster-id=REPLACE_CLUSTER_ID\n  - --regions=REPLACE_REGIONS\n";

    #[test]
    fn placeholders_of_the_arguments_pass() {
        assert_eq!(checked(GOOD), [""; 0]);
    }

    #[test]
    fn a_placeholder_elsewhere_is_found_and_a_missing_one_too() {
        assert!(checked(&format!("{GOOD}name: REPLACE_NAME\n")).contains(&"name: REPLACE_NAME".to_owned()));
        assert!(!checked("  - --regions=REPLACE_REGIONS\n").is_empty());
    }

    #[test]
    fn manifests_without_a_placeholder_are_found() {
        assert!(!checked("args: []\n").is_empty());
    }
}
