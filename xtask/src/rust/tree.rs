//! The modules of one compiled target, and what a path in one of them leads to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::scan::{scan, tokens};
use super::scope::{Scope, Submodule};
use crate::error::Error;

/// Imports that lead to imports: more than any real chain has, fewer than a circle of them.
const DEEPEST: usize = 16;

/// One module.
pub(crate) struct Module {
    /// The file that it stands in.
    pub file: PathBuf,
    pub scope: Scope,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
}

/// All modules of a target, the root first.
pub(crate) struct Tree {
    pub modules: Vec<Module>,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Something that this module defines.
    Item(usize),
    /// A module itself.
    Module(usize),
    /// A path into another crate, written out.
    Foreign(Vec<String>),
}

impl Tree {
    /// Reads the target whose root is this file, and every file that its `mod` declarations lead to, tests left out.
    pub(crate) fn read(root: &Path) -> Result<Self, Error> {
        let mut tree = Self { modules: Vec::new() };
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.add(root, scan(tokens(root)?), &folder, None)?;
        Ok(tree)
    }

    /// Adds a module and those that it declares. `folder`: where the files of its `mod` declarations are.
    fn add(
        &mut self,
        file: &Path,
        mut scope: Scope,
        folder: &Path,
        parent: Option<usize>,
    ) -> Result<usize, Error> {
        let submodules = std::mem::take(&mut scope.modules);
        let at = self.modules.len();
        self.modules.push(Module { file: file.to_owned(), scope, parent, children: BTreeMap::new() });
        for Submodule { name, file: named, inline } in submodules {
            let below = folder.join(&name);
            let child = if let Some(scope) = inline {
                self.add(file, scope, &below, Some(at))?
            } else {
                let beside = file.parent().unwrap_or(Path::new(""));
                let path = match named {
                    Some(named) => beside.join(named),
                    None => Some(below.with_extension("rs"))
                        .filter(|path| path.exists())
                        .unwrap_or(below.join("mod.rs")),
                };
                let folder = if path.ends_with("mod.rs") { below } else { path.with_extension("") };
                self.add(&path, scan(tokens(&path)?), &folder, Some(at))?
            };
            self.modules[at].children.insert(name, child);
        }
        Ok(at)
    }

    /// What the path leads to from within the module. A single name that is nobody's is a local variable, or of the prelude.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Option<Target> {
        self.follow(module, path, DEEPEST)
    }

    /// Whether the first module is below the second.
    pub(crate) fn is_below(&self, module: usize, ancestor: usize) -> bool {
        let mut at = self.modules[module].parent;
        while let Some(parent) = at {
            if parent == ancestor {
                return true;
            }
            at = self.modules[parent].parent;
        }
        false
    }

    fn follow(&self, module: usize, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let mut target = match first.as_str() {
            "crate" => Target::Module(0),
            "self" => Target::Module(module),
            "super" => Target::Module(self.modules[module].parent?),
            name => match self.find(module, name, depth) {
                Some(target) => target,
                None if rest.is_empty() => return None,
                None => return Some(Target::Foreign(path.to_vec())),
            },
        };
        for (at, segment) in rest.iter().enumerate() {
            target = match target {
                Target::Module(module) if segment == "super" => Target::Module(self.modules[module].parent?),
                // What is in neither list was made by a macro of that module, or is for tests.
                Target::Module(module) => self.find(module, segment, depth).unwrap_or(Target::Item(module)),
                Target::Foreign(mut path) => {
                    path.extend_from_slice(&rest[at..]);
                    return Some(Target::Foreign(path));
                }
                item @ Target::Item(_) => return Some(item),
            };
        }
        Some(target)
    }

    /// What the name stands for in the module.
    fn find(&self, module: usize, name: &str, depth: usize) -> Option<Target> {
        let depth = depth.checked_sub(1)?;
        let Module { scope, children, .. } = &self.modules[module];
        if let Some(&child) = children.get(name) {
            return Some(Target::Module(child));
        }
        if scope.items.contains(name) {
            return Some(Target::Item(module));
        }
        let named = scope.uses.iter().find(|import| import.name.as_deref() == Some(name));
        if let Some(import) = named {
            // `use clap;` and `use http::http;`: another crate of the name that it has here.
            let itself = import.path.first().is_some_and(|first| first == name);
            return if itself {
                Some(Target::Foreign(import.path.clone()))
            } else {
                self.import(module, &import.path, depth)
            };
        }
        let globs = scope.uses.iter().filter(|import| import.name.is_none());
        globs
            .filter_map(|glob| match self.follow(module, &glob.path, depth)? {
                Target::Module(opened) if opened != module => self.find(opened, name, depth),
                _ => None,
            })
            .next()
    }

    /// What an import brings in: a lone name that is nobody's here is a crate.
    fn import(&self, module: usize, path: &[String], depth: usize) -> Option<Target> {
        self.follow(module, path, depth).or_else(|| Some(Target::Foreign(path.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree of files in a folder of its own, the root first.
    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let tree = Tree::read(&folder.path().join(files[0].0)).unwrap();
        (folder, tree)
    }

    /// The file, from the folder, that the path leads to from the file.
    fn leads(folder: &tempfile::TempDir, tree: &Tree, from: &str, path: &str) -> String {
        let short = |file: &Path| file.strip_prefix(folder.path()).unwrap().display().to_string();
        let module = tree.modules.iter().position(|module| short(&module.file) == from).unwrap();
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        match tree.resolve(module, &path) {
            Some(Target::Item(at)) => short(&tree.modules[at].file),
            Some(Target::Module(at)) => format!("module {}", short(&tree.modules[at].file)),
            Some(Target::Foreign(path)) => format!("foreign {}", path.join("::")),
            None => "nothing".into(),
        }
    }

    #[test]
    fn paths_lead_to_the_file_that_defines_and_not_to_those_that_pass_it_on() {
        let (folder, tree) = tree(&[
            ("lib.rs", "mod a; mod b; pub use a::inner::Deep;"),
            ("a.rs", "pub mod inner; pub use inner::Deep; pub struct Own; pub use inner::*;"),
            ("a/inner.rs", "pub struct Deep; pub fn open() {}"),
            ("b.rs", "use crate::a::{self, Own as Mine}; use tokio::time; use clap;"),
        ]);
        let lead = |from, path| leads(&folder, &tree, from, path);
        assert_eq!(lead("b.rs", "crate::a::Deep"), "a/inner.rs");
        assert_eq!(lead("b.rs", "crate::Deep::new"), "a/inner.rs");
        assert_eq!(lead("b.rs", "a::open"), "a/inner.rs");
        assert_eq!(lead("b.rs", "Mine"), "a.rs");
        assert_eq!(lead("b.rs", "a::inner"), "module a/inner.rs");
        assert_eq!(lead("a/inner.rs", "super::Own"), "a.rs");
        assert_eq!(lead("a/inner.rs", "super::super::b::Made"), "b.rs");
        assert_eq!(lead("b.rs", "time::sleep"), "foreign tokio::time::sleep");
        assert_eq!(lead("b.rs", "clap::Parser"), "foreign clap::Parser");
        assert_eq!(lead("b.rs", "std::env::var"), "foreign std::env::var");
        assert_eq!(lead("b.rs", "local"), "nothing");
    }

    #[test]
    fn modules_within_a_file_belong_to_it() {
        let (folder, tree) = tree(&[
            ("main.rs", "mod a { pub mod b; pub struct C; } #[path = \"c/d.rs\"] mod d;"),
            ("a/b.rs", "use super::C;"),
            ("c/d.rs", "use crate::a::b::E;"),
        ]);
        assert_eq!(leads(&folder, &tree, "a/b.rs", "super::C"), "main.rs");
        assert_eq!(leads(&folder, &tree, "c/d.rs", "crate::a::b::E"), "a/b.rs");
    }
}
