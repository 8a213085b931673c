//! `use` declarations: one [`Use`] for each name of a tree of braces.

use proc_macro2::TokenTree;

use super::scope::Use;
use super::token::{is_colons, is_punct};

/// Reads the declaration whose keyword is at `at`; says where the tokens go on.
pub(super) fn read_use(tokens: &[TokenTree], at: usize, public: bool, uses: &mut Vec<Use>) -> usize {
    let end = (at..tokens.len()).find(|&at| is_punct(tokens, at, ';')).unwrap_or(tokens.len());
    let mut reader = Reader { public, uses };
    reader.branches(&[], &tokens[at + 1..end]);
    end + 1
}

struct Reader<'a> {
    public: bool,
    uses: &'a mut Vec<Use>,
}

impl Reader<'_> {
    /// Branches of a tree, between commas.
    fn branches(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
        for branch in tokens.split(comma).filter(|branch| !branch.is_empty()) {
            self.branch(prefix, branch);
        }
    }

    fn branch(&mut self, prefix: &[String], tokens: &[TokenTree]) {
        let mut path = prefix.to_vec();
        let mut at = if is_colons(tokens, 0) { 2 } else { 0 };
        let line = tokens[0].span().start().line;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => {
                    return self.branches(&path, &group.stream().into_iter().collect::<Vec<_>>());
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' => return self.push(path, None, line),
                TokenTree::Ident(word) if word == "as" => {
                    let name = tokens.get(at + 1).map(ToString::to_string);
                    return self.push(path, name, line);
                }
                // `a::{self}` is `a`.
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
        let name = path.last().cloned();
        self.push(path, name, line);
    }

    fn push(&mut self, path: Vec<String>, name: Option<String>, line: usize) {
        self.uses.push(Use { path, name, public: self.public, line });
    }
}

#[cfg(test)]
mod tests {
    use crate::rust::scan::scan;

    /// Each name with its path and whether others may find it here.
    fn read(text: &str) -> Vec<(String, String, bool)> {
        let scope = scan(text.parse().unwrap());
        let shown = |name: &Option<String>| name.clone().unwrap_or_else(|| "*".into());
        scope.uses.iter().map(|u| (u.path.join("::"), shown(&u.name), u.public)).collect()
    }

    #[test]
    fn a_tree_is_a_row_of_names() {
        let found =
            read("use crate::a::{self, b::{C, D as E}, f::*}; pub(crate) use super::G; pub use ::h::I as _;");
        let expected = [
            ("crate::a", "a", false),
            ("crate::a::b::C", "C", false),
            ("crate::a::b::D", "E", false),
            ("crate::a::f", "*", false),
            ("super::G", "G", true),
            ("h::I", "_", true),
        ];
        assert_eq!(found, expected.map(|(path, name, public)| (path.to_owned(), name.to_owned(), public)));
    }

    #[test]
    fn a_declaration_within_a_function_counts() {
        assert_eq!(read("fn f() { use crate::a::B; }"), [("crate::a::B".into(), "B".into(), false)]);
    }
}
