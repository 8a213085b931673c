//! Each foreign crate has its place, and so have a few paths of the standard library.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::rules::{PlaceRule, Rules, matches};
use super::violation::Violation;
use crate::error::Error;
use crate::rust::{Mention, Target, Tree, tokens};
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace, rules: &Rules) -> Result<Vec<Violation>, Error> {
    // A library's files are also those of the program beside it.
    let mut found = BTreeMap::new();
    for package in workspace.packages.iter().filter(|package| !rules.rigs.contains(&package.name)) {
        for target in package.targets.iter().filter(|target| !target.is_test()) {
            let tree = Tree::read(&target.src_path)?;
            for violation in
                (0..tree.modules.len()).flat_map(|module| misplaced(workspace, rules, &tree, module))
            {
                found.insert((violation.file.clone(), violation.line, violation.key.clone()), violation);
            }
        }
    }
    let mut found: Vec<Violation> = found.into_values().collect();
    found.extend(words(workspace, rules)?);
    found.extend(stale(workspace, rules)?);
    Ok(found)
}

/// What the module names where it may not.
fn misplaced(workspace: &Workspace, rules: &Rules, tree: &Tree, at: usize) -> Vec<Violation> {
    let module = &tree.modules[at];
    let file = workspace.short(&module.file);
    let mut found = Vec::new();
    let mut judge = |path: &[String], line: usize| {
        for (name, rule) in about(rules, path) {
            if !rule.allows(file) {
                let only = if rule.only_in.is_empty() { "tests".to_owned() } else { rule.only_in.join(", ") };
                let text = format!("{name} is only for {only}: {}", rule.why);
                let key = format!("{name} in {}", file.display());
                found.push(Violation { file: file.to_owned(), line, key, text });
            }
        }
    };
    for import in &module.scope.uses {
        match tree.resolve(at, &import.path) {
            Some(Target::Foreign(path)) => judge(&path, import.line),
            // `use clap;`
            None => judge(&import.path, import.line),
            Some(_) => {}
        }
    }
    for Mention { path, line } in &module.scope.paths {
        if let Some(Target::Foreign(path)) = tree.resolve(at, path) {
            judge(&path, *line);
        }
    }
    found
}

/// The rules that a path is about: that of its crate, and those of what it begins with.
fn about<'a>(rules: &'a Rules, path: &[String]) -> Vec<(&'a str, &'a PlaceRule)> {
    let written = path.join("::");
    let begins = |name: &str| {
        let rest = written
            .strip_prefix(name)
            .or_else(|| written.strip_prefix("core")?.strip_prefix(name.strip_prefix("std")?));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    let foreign = rules.foreign.get_key_value(&path[0]).map(|(name, rule)| (name.as_str(), rule));
    let banned =
        rules.banned.iter().filter(|(name, _)| begins(name)).map(|(name, rule)| (name.as_str(), rule));
    foreign.into_iter().chain(banned).collect()
}

/// Banned single words, such as `unsafe`, in every file of the workspace.
fn words(workspace: &Workspace, rules: &Rules) -> Result<Vec<Violation>, Error> {
    let banned: Vec<_> = rules.banned.iter().filter(|(name, _)| !name.contains("::")).collect();
    let mut found = Vec::new();
    for path in workspace.sources()? {
        let file = workspace.short(&path);
        let relevant: Vec<_> = banned.iter().filter(|(_, rule)| !rule.allows(file)).collect();
        if relevant.is_empty() {
            continue;
        }
        let mut lines = BTreeSet::new();
        collect_words(tokens(&path)?, &mut |word, line| {
            lines.extend(
                relevant
                    .iter()
                    .filter(|(name, _)| name == &word)
                    .map(|(name, rule)| (line, *name, &rule.why)),
            );
        });
        for (line, name, why) in lines {
            let key = format!("{name} in {}", file.display());
            found.push(Violation {
                file: file.to_owned(),
                line,
                key,
                text: format!("{name} is not for this file: {why}"),
            });
        }
    }
    Ok(found)
}

fn collect_words(tokens: TokenStream, each: &mut impl FnMut(&str, usize)) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect_words(group.stream(), each),
            TokenTree::Ident(word) => each(&word.to_string(), word.span().start().line),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Patterns of the table that are about no file: what they allowed has another name now, or is gone.
fn stale(workspace: &Workspace, rules: &Rules) -> Result<Vec<Violation>, Error> {
    let sources = workspace.sources()?;
    let used =
        |pattern: &str| sources.iter().any(|path| matches(pattern, &workspace.short(path).to_string_lossy()));
    let rows = rules.foreign.iter().chain(&rules.banned);
    let patterns = rows.flat_map(|(name, rule)| {
        rule.only_in.iter().chain(&rule.never_in).map(move |pattern| (name, pattern))
    });
    let unused = patterns.filter(|(_, pattern)| !used(pattern));
    Ok(unused
        .map(|(name, pattern)| {
            let text = format!("{name}: {pattern} is no file of ours");
            Violation { file: Path::new("xtask/layers.toml").to_owned(), line: 1, key: text.clone(), text }
        })
        .collect())
}
