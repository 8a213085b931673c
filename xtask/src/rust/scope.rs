//! What a module says.

use std::collections::BTreeSet;

/// What one module says: a file, or a `mod name { … }` inside of one.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Names of the functions, types, constants and macros that it defines.
    pub items: BTreeSet<String>,
    /// The modules that it declares.
    pub modules: Vec<Submodule>,
    /// Its `use` declarations, one for each name.
    pub uses: Vec<Use>,
    /// Every path of one segment or more in its code.
    pub paths: Vec<Mention>,
}

/// `mod name;` or `mod name { … }`.
#[derive(Debug)]
pub(crate) struct Submodule {
    pub name: String,
    /// The file of `#[path = "…"]`, from the folder of the file that declares it.
    pub file: Option<String>,
    /// What is between the braces, for a module within the file.
    pub inline: Option<Scope>,
}

/// One name that a `use` declaration brings in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// The path, as it is written. Of a glob, the module.
    pub path: Vec<String>,
    /// The name that it has here; of a glob none.
    pub name: Option<String>,
    /// With `pub` of any kind: others may find it here.
    pub public: bool,
    pub line: usize,
}

/// A path in the code, as it is written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub path: Vec<String>,
    pub line: usize,
}
