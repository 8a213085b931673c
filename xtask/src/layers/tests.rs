use std::fs;

use super::*;

/// A workspace of three crates that keeps every rule: `one` is used by `two`, and `rig` tests both.
struct Sample(tempfile::TempDir);

const RULES: &str = r#"
rigs = ["rig"]
[crates.one]
[crates.two]
uses = ["one"]
never = ["other"]
why = "nobody may"
[crates.rig]
uses = ["one", "two"]
[foreign.memchr]
only_in = ["two/src/lib.rs"]
why = "one door"
[banned."std::env"]
only_in = ["**/args.rs"]
why = "one place"
[banned.unsafe]
why = "no C"
"#;

impl Sample {
    fn new() -> Self {
        let sample = Self(tempfile::tempdir().unwrap());
        sample.write("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"one\", \"two\", \"rig\"]\n");
        sample.write("xtask/layers.toml", RULES);
        sample.package("one", "");
        sample.package("two", "one = { path = \"../one\" }\n");
        sample.package("rig", "two = { path = \"../two\" }\n");
        sample.write("two/src/args.rs", "//! Flags.\npub fn read() { std::env::args(); }\n");
        sample.write(
            "two/src/lib.rs",
            "//! Two.\nmod args;\nuse memchr::Memchr;\npub fn run() { args::read() }\n",
        );
        sample
    }

    fn package(&self, name: &str, dependencies: &str) {
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[dependencies]\n{dependencies}"
        );
        self.write(&format!("{name}/Cargo.toml"), &manifest);
        self.write(&format!("{name}/src/lib.rs"), "//! A crate.\n");
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn append(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        let old = fs::read_to_string(&path).unwrap();
        fs::write(path, old + text).unwrap();
    }

    /// What is found, and that it is this alone.
    fn finds(&self, wanted: &str) {
        let found = check(self.0.path()).unwrap();
        assert!(found.len() == 1 && found[0].starts_with(wanted), "wanted {wanted}, found {found:#?}");
    }
}

#[test]
fn the_workspace_keeps_its_rules() {
    let found = check(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))).unwrap();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_workspace_that_keeps_every_rule_passes() {
    assert_eq!(check(Sample::new().0.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_crate_depends_on_those_of_its_row_alone() {
    let sample = Sample::new();
    sample.append("one/Cargo.toml", "rig = { path = \"../rig\" }\n");
    sample.write(
        "two/Cargo.toml",
        &fs::read_to_string(sample.0.path().join("two/Cargo.toml")).unwrap().replace("one = {", "# one = {"),
    );
    sample.write("rig/Cargo.toml", "[package]\nname = \"rig\"\nversion = \"0.0.0\"\n");
    sample.finds("one/Cargo.toml:6: one must not depend on rig");
}

#[test]
fn tests_have_a_row_of_their_own() {
    let sample = Sample::new();
    sample.append("two/Cargo.toml", "[dev-dependencies]\nother = { path = \"../other\" }\n");
    sample.package("other", "");
    sample.append("Cargo.toml", "exclude = [\"other\"]\n");
    sample.finds("two/Cargo.toml:8: tests of two must not depend on other");
}

#[test]
fn a_crate_of_ours_without_a_row_and_a_row_without_a_crate_are_seen() {
    let sample = Sample::new();
    sample.write("xtask/layers.toml", &RULES.replace("[crates.rig]", "[crates.gone]"));
    let found = check(sample.0.path()).unwrap();
    assert!(found.iter().any(|line| line.contains("the crate rig has no row")), "{found:#?}");
    assert!(found.iter().any(|line| line.contains("crates.gone is about no crate")), "{found:#?}");
}

#[test]
fn what_a_crate_links_is_looked_at_however_deep() {
    let sample = Sample::new();
    sample.package("other", "");
    sample.append("Cargo.toml", "exclude = [\"other\"]\n");
    sample.append("one/Cargo.toml", "other = { path = \"../other\" }\n");
    sample.write("xtask/layers.toml", &RULES.replace("[crates.one]", "[crates.one]\nuses = [\"other\"]"));
    sample.finds("two/Cargo.toml:1: two links other: nobody may");
}

#[test]
fn a_foreign_crate_has_a_row() {
    let sample = Sample::new();
    sample.append("rig/Cargo.toml", "[target.'cfg(windows)'.dependencies]\nserde = \"1\"\n");
    // To say what `two` links, cargo would have to know the crate.
    sample.write("xtask/layers.toml", &RULES.replace("never = [\"other\"]", ""));
    sample.finds("rig/Cargo.toml:8: the foreign crate serde has no row");
}

#[test]
fn a_foreign_crate_is_named_in_its_place_alone() {
    for code in [
        "use memchr::Memchr;",
        "pub fn f() { let _ = memchr::memchr; }",
        "pub fn f() { dbg!(memchr::memchr); }",
    ] {
        let sample = Sample::new();
        sample.append("one/src/lib.rs", code);
        sample.finds("one/src/lib.rs:2: memchr is only for two/src/lib.rs: one door");
    }
    let sample = Sample::new();
    sample.append("rig/src/lib.rs", "use memchr::Memchr;");
    sample.append("one/src/lib.rs", "#[cfg(test)]\nmod tests {\n    use memchr::Memchr;\n}\n");
    assert_eq!(check(sample.0.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn a_path_of_the_standard_library_has_its_place() {
    for code in ["use std::env;", "pub fn f() { std::env::var(\"A\"); }", "use std::{env::var, fs};"] {
        let sample = Sample::new();
        sample.append("one/src/lib.rs", code);
        sample.finds("one/src/lib.rs:2: std::env is only for **/args.rs: one place");
    }
}

#[test]
fn a_word_is_looked_for_everywhere() {
    let sample = Sample::new();
    sample
        .append("rig/src/lib.rs", "// unsafe\npub fn f() { println!(\"unsafe\"); vec![unsafe { g() }]; }\n");
    sample.finds("rig/src/lib.rs:3: unsafe is not for this file: no C");
}

#[test]
fn a_pattern_without_a_file_is_seen() {
    let sample = Sample::new();
    sample.write(
        "xtask/layers.toml",
        &RULES.replace("two/src/lib.rs\"]", "two/src/lib.rs\", \"two/src/old.rs\"]"),
    );
    sample.finds("xtask/layers.toml:1: memchr: two/src/old.rs is no file of ours");
}

#[test]
fn files_have_a_form() {
    let sample = Sample::new();
    sample.write("one/src/long.rs", &format!("//! Long.\n{}", "// a line\n".repeat(400)));
    sample.finds("one/src/long.rs:400: 401 lines; at most 400");
    let sample = Sample::new();
    sample.write("one/src/manager.rs", "//! Vague.\n");
    sample.finds("one/src/manager.rs:1: the name manager says nothing");
    let sample = Sample::new();
    sample.write("one/src/a/mod.rs", "//! Old.\n");
    sample.finds("one/src/a/mod.rs:1: foo.rs beside foo/");
    let sample = Sample::new();
    sample.write("one/src/bare.rs", "fn f() {}\n");
    sample.finds("one/src/bare.rs:1: begins without `//!`");
    let sample = Sample::new();
    let body = "    let _ = 1;\n".repeat(49);
    sample.append(
        "one/src/lib.rs",
        &format!("#[test]\nfn just() {{\n{}}}\nfn long() {{\n{body}}}\n", &body[15..]),
    );
    sample.finds("one/src/lib.rs:53: fn long has 51 lines; at most 50");
}

#[test]
fn tests_of_a_module_need_no_head_and_share_a_mod_rs() {
    let sample = Sample::new();
    sample.write("one/src/a/tests.rs", "fn f() {}\n");
    sample.write("one/tests/rig/mod.rs", "//! Shared by tests.\n");
    assert_eq!(check(sample.0.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn files_do_not_import_themselves_over_others() {
    let sample = Sample::new();
    sample.append("one/src/lib.rs", "mod a;\nmod b;\npub use a::A;\n");
    sample.write("one/src/a.rs", "//! A.\nuse crate::b::B;\npub struct A(B);\n");
    sample.write("one/src/b.rs", "//! B.\npub struct B;\nimpl B { fn a(_: super::A) {} }\n");
    sample.finds("one/src/a.rs:2: imports itself through other files:\n    one/src/a.rs:2: crate::b::B of one/src/b.rs\n    one/src/b.rs:3: super::A of one/src/a.rs");
}

#[test]
fn a_parent_that_calls_a_child_is_not_imported_by_it() {
    let sample = Sample::new();
    sample.append("one/src/lib.rs", "mod a;\npub const LIMIT: u8 = 1;\npub use a::run;\n");
    sample.write("one/src/a.rs", "//! A.\npub fn run() -> u8 { crate::LIMIT }\n");
    // To pass on a child's name is no import.
    assert_eq!(check(sample.0.path()).unwrap(), Vec::<String>::new());
    sample.append("one/src/lib.rs", "pub fn start() { run(); }\n");
    sample.finds("one/src/a.rs:2: imports itself");
}

#[test]
fn tests_may_import_what_they_test() {
    let sample = Sample::new();
    sample.append("one/src/lib.rs", "mod a;\npub const LIMIT: u8 = 1;\npub fn start() { a::run() }\n");
    sample.write(
        "one/src/a.rs",
        "//! A.\npub fn run() {}\n#[cfg(test)]\nmod tests {\n    use crate::LIMIT;\n}\n",
    );
    assert_eq!(check(sample.0.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn what_is_known_is_not_told_until_it_is_put_right() {
    let sample = Sample::new();
    sample.write("one/src/manager.rs", "//! Vague.\n");
    sample.write("xtask/layers-known.txt", "# today\nvague name one/src/manager.rs\n");
    assert_eq!(check(sample.0.path()).unwrap(), Vec::<String>::new());
    fs::remove_file(sample.0.path().join("one/src/manager.rs")).unwrap();
    sample.finds("xtask/layers-known.txt: take out what is put right: vague name one/src/manager.rs");
}
