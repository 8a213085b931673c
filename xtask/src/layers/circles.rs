//! No file imports, over whatever way, itself. A parent file is a file like any other: a child that takes a type from its parent,
//! while the parent calls the child, is a circle. The bare `mod` and a parent's passing on of a child's names are no imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::violation::Violation;
use crate::error::Error;
use crate::rust::{Mention, Target, Tree, Use};
use crate::workspace::Workspace;

/// Of each file those that it imports, with the line and the path of the first import.
type Graph = BTreeMap<PathBuf, BTreeMap<PathBuf, (usize, String)>>;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>, Error> {
    let mut found = BTreeMap::new();
    for target in workspace.packages.iter().flat_map(|package| &package.targets) {
        let graph = graph(workspace, &Tree::read(&target.src_path)?);
        for circle in circles(&graph) {
            // Files that two programs share are told of once.
            found.entry(circle.clone()).or_insert_with(|| violation(&graph, &circle));
        }
    }
    Ok(found.into_values().collect())
}

fn graph(workspace: &Workspace, tree: &Tree) -> Graph {
    let mut graph = Graph::new();
    for (at, module) in tree.modules.iter().enumerate() {
        let file = workspace.short(&module.file).to_owned();
        let mut add = |target: usize, line: usize, path: &[String]| {
            let imported = workspace.short(&tree.modules[target].file).to_owned();
            if imported != file {
                graph
                    .entry(file.clone())
                    .or_default()
                    .entry(imported)
                    .or_insert_with(|| (line, path.join("::")));
            }
        };
        for Use { path, name, public, line } in &module.scope.uses {
            match tree.resolve(at, path) {
                Some(Target::Item(target)) if !(*public && tree.is_below(target, at)) => {
                    add(target, *line, path)
                }
                Some(Target::Module(target)) if name.is_none() && !(*public && tree.is_below(target, at)) => {
                    add(target, *line, path);
                }
                _ => {}
            }
        }
        for Mention { path, line } in &module.scope.paths {
            if let Some(Target::Item(target)) = tree.resolve(at, path) {
                add(target, *line, path);
            }
        }
    }
    graph
}

/// Sets of files of which each reaches each, in the order of the names.
fn circles(graph: &Graph) -> Vec<BTreeSet<PathBuf>> {
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
        graph.keys().map(|file| (file, reach(graph, file))).collect();
    let mut circles: Vec<BTreeSet<PathBuf>> = Vec::new();
    for (file, reaches) in &reached {
        if !reaches.contains(file) || circles.iter().any(|circle| circle.contains(*file)) {
            continue;
        }
        let back =
            reaches.iter().filter(|other| reached.get(**other).is_some_and(|theirs| theirs.contains(file)));
        circles.push(back.map(|other| (*other).clone()).collect());
    }
    circles
}

/// Every file that the file imports, over whatever way.
fn reach<'a>(graph: &'a Graph, file: &PathBuf) -> BTreeSet<&'a PathBuf> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&PathBuf> = graph.get(file).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(graph.get(file).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}

fn violation(graph: &Graph, circle: &BTreeSet<PathBuf>) -> Violation {
    let names: Vec<String> = circle.iter().map(|file| file.display().to_string()).collect();
    let mut text = "imports itself through other files:".to_owned();
    let mut first = None;
    for (file, imports) in graph.iter().filter(|(file, _)| circle.contains(*file)) {
        for (imported, (line, path)) in imports.iter().filter(|(imported, _)| circle.contains(*imported)) {
            text += &format!("\n    {}:{line}: {path} of {}", file.display(), imported.display());
            first.get_or_insert((file.clone(), *line));
        }
    }
    let (file, line) = first.unwrap_or_default();
    Violation { file, line, key: format!("circle {}", names.join(" ")), text }
}
