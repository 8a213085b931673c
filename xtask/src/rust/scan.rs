//! From text to tokens, and from tokens to a [`Scope`].

use std::path::Path;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::scope::{Mention, Scope, Submodule};
use super::token::{is_colons, is_punct, word};
use super::uses::read_use;
use crate::error::Error;

/// A function and its length, from `fn` to its closing brace.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// The keywords that a definition's name follows.
const DEFINES: [&str; 7] = ["fn", "struct", "enum", "trait", "type", "static", "union"];

/// What an item begins with, which may have a comma between its angle brackets.
const ITEMS: [&str; 12] =
    ["async", "const", "enum", "extern", "fn", "impl", "mod", "static", "struct", "trait", "type", "unsafe"];

/// Words that are no path, though they look like one.
const KEYWORDS: [&str; 37] = [
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro_rules",
    "match",
    "mod",
    "move",
    "mut",
    "pub",
    "ref",
    "return",
    "static",
    "struct",
    "trait",
    "true",
    "type",
    "union",
    "unsafe",
    "use",
    "where",
    "while",
    "yield",
];

/// The tokens of a file.
pub(crate) fn tokens(file: &Path) -> Result<TokenStream, Error> {
    let text = std::fs::read_to_string(file).map_err(Error::io(file))?;
    text.parse().map_err(|error| Error::Unreadable(file.to_owned(), format!("{error}")))
}

/// Reads the module whose tokens these are.
pub(crate) fn scan(tokens: TokenStream) -> Scope {
    let mut scope = Scope::default();
    read(&tokens.into_iter().collect::<Vec<_>>(), &mut scope, true);
    scope
}

/// Reads a row of tokens; `top` says that they are the module's own, where items are defined.
fn read(tokens: &[TokenTree], scope: &mut Scope, top: bool) {
    let mut at = 0;
    let mut attributes = Attributes::default();
    while at < tokens.len() {
        if let Some((group, next)) = attribute(tokens, at) {
            attributes.note(group);
            read_group(group, scope);
            at = next;
            continue;
        }
        if attributes.test {
            at = after_item(tokens, at);
        } else {
            at = read_one(tokens, at, scope, top, &attributes);
        }
        // `pub` and `pub(crate)` stand between the attributes and what they are about.
        if !matches!(tokens.get(at - 1), Some(TokenTree::Ident(word)) if word == "pub") {
            attributes = Attributes::default();
        }
    }
}

/// Reads what begins at `at`; says where the next begins.
fn read_one(tokens: &[TokenTree], at: usize, scope: &mut Scope, top: bool, attributes: &Attributes) -> usize {
    match &tokens[at] {
        TokenTree::Group(group) => {
            read_group(group, scope);
            at + 1
        }
        TokenTree::Ident(word) if word == "use" && !follows_dot(tokens, at) => {
            read_use(tokens, at, is_public(tokens, at), &mut scope.uses)
        }
        TokenTree::Ident(word) if word == "mod" && top => read_module(tokens, at, scope, attributes),
        TokenTree::Ident(word) => {
            if top {
                scope.items.extend(defined(tokens, at));
            }
            let word = word.to_string();
            if KEYWORDS.contains(&word.as_str()) { at + 1 } else { read_path(tokens, at, scope) }
        }
        TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
    }
}

fn read_group(group: &Group, scope: &mut Scope) {
    read(&group.stream().into_iter().collect::<Vec<_>>(), scope, false);
}

fn read_module(tokens: &[TokenTree], at: usize, scope: &mut Scope, attributes: &Attributes) -> usize {
    let Some(TokenTree::Ident(name)) = tokens.get(at + 1) else { return at + 1 };
    let inline = match tokens.get(at + 2) {
        Some(TokenTree::Group(group)) => Some(scan(group.stream())),
        _ => None,
    };
    scope.modules.push(Submodule { name: name.to_string(), file: attributes.path.clone(), inline });
    at + 3
}

/// The name that is defined at `at`, if something is.
fn defined(tokens: &[TokenTree], at: usize) -> Option<String> {
    let keyword = word(tokens, at)?;
    if keyword == "macro_rules" {
        return word(tokens, at + 2);
    }
    if keyword == "const" {
        // `const fn` is a function's.
        return word(tokens, at + 1).filter(|name| name != "fn" && name != "unsafe");
    }
    let name = word(tokens, at + 1).filter(|_| DEFINES.contains(&keyword.as_str()))?;
    if name == "mut" { word(tokens, at + 2) } else { Some(name) }
}

/// Reads `a::b::c`. The name of a field or of a method (`.name`, `name:`) is no path.
fn read_path(tokens: &[TokenTree], at: usize, scope: &mut Scope) -> usize {
    let line = tokens[at].span().start().line;
    let mut path = Vec::new();
    let mut next = at;
    while let Some(segment) = word(tokens, next) {
        path.push(segment);
        next += 1;
        if !is_colons(tokens, next) || word(tokens, next + 2).is_none() {
            break;
        }
        next += 2;
    }
    let alone = path.len() == 1;
    let before = at > 0 && is_colons_before(tokens, at);
    if !(alone && (follows_dot(tokens, at) || is_field(tokens, next)) || before) {
        scope.paths.push(Mention { path, line });
    }
    next
}

/// `<T as Trait>::name` and the leading `::` of `::std`: what follows is not looked up here.
fn is_colons_before(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_colons(tokens, at - 2)
}

fn follows_dot(tokens: &[TokenTree], at: usize) -> bool {
    // `..name` is a range or the rest of a structure, and a path.
    at > 0 && is_punct(tokens, at - 1, '.') && !(at > 1 && is_punct(tokens, at - 2, '.'))
}

fn is_field(tokens: &[TokenTree], after: usize) -> bool {
    is_punct(tokens, after, ':') && !is_punct(tokens, after + 1, ':')
}

/// Whether `pub` or `pub(…)` stands before `at`.
fn is_public(tokens: &[TokenTree], at: usize) -> bool {
    let before = match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => at.checked_sub(2),
        _ => at.checked_sub(1),
    };
    before.and_then(|at| word(tokens, at)).is_some_and(|word| word == "pub")
}

/// What the attributes before an item say of it.
#[derive(Default)]
struct Attributes {
    test: bool,
    path: Option<String>,
}

impl Attributes {
    fn note(&mut self, group: &Group) {
        let text = group.stream().to_string().replace(' ', "");
        self.test |= text == "cfg(test)";
        if let Some(path) = text.strip_prefix("path=") {
            self.path = Some(path.trim_matches('"').to_owned());
        }
    }
}

/// The brackets of the attribute that begins at `at`, and where the tokens go on.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(&Group, usize)> {
    if !is_punct(tokens, at, '#') {
        return None;
    }
    let next = if is_punct(tokens, at + 1, '!') { at + 2 } else { at + 1 };
    match tokens.get(next)? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => Some((group, next + 1)),
        _ => None,
    }
}

/// Where the item, statement or field that begins at `at` has ended.
fn after_item(tokens: &[TokenTree], at: usize) -> usize {
    // `pub (crate) use`: the keyword is one of the first three.
    let begins_with = |words: &[&str]| {
        (at..at + 3).any(|at| word(tokens, at).is_some_and(|word| words.contains(&word.as_str())))
    };
    let semicolon = |at: &usize| is_punct(tokens, *at, ';');
    let brace =
        |at: &usize| matches!(&tokens[*at], TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let comma = |at: &usize| is_punct(tokens, *at, ',');
    let mut rest = at..tokens.len();
    let end = if begins_with(&["use"]) {
        rest.find(semicolon)
    } else if begins_with(&ITEMS) {
        rest.find(|at| semicolon(at) || brace(at))
    } else {
        rest.find(|at| semicolon(at) || brace(at) || comma(at))
    };
    end.map_or(tokens.len(), |end| end + 1)
}

/// Every function with a body, tests and the functions within functions included.
pub(crate) fn functions(tokens: TokenStream) -> Vec<Function> {
    let mut found = Vec::new();
    collect_functions(&tokens.into_iter().collect::<Vec<_>>(), &mut found);
    found
}

fn collect_functions(tokens: &[TokenTree], found: &mut Vec<Function>) {
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            collect_functions(&group.stream().into_iter().collect::<Vec<_>>(), found);
        }
        let Some(name) = word(tokens, at + 1).filter(|_| word(tokens, at).is_some_and(|word| word == "fn"))
        else {
            continue;
        };
        let body = tokens[at..].iter().find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(Some(group)),
            TokenTree::Punct(punct) if punct.as_char() == ';' => Some(None),
            _ => None,
        });
        if let Some(Some(body)) = body {
            let line = token.span().start().line;
            found.push(Function { name, line, lines: body.span_close().end().line + 1 - line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(text: &str) -> Scope {
        scan(text.parse().unwrap())
    }

    fn paths(scope: &Scope) -> Vec<String> {
        scope.paths.iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn definitions_of_the_module_are_seen_and_those_of_blocks_are_not() {
        let scope = scanned(
            "pub struct A { field: u8 } enum B {} fn c() { fn inner() {} } const fn d() {} const E: u8 = 0; \
             static mut F: u8 = 0; macro_rules! g { () => {} } impl A { fn method() {} } const _: () = ();",
        );
        let expected = ["A", "B", "E", "F", "_", "c", "d", "g"];
        assert_eq!(scope.items, expected.map(str::to_owned).into_iter().collect());
    }

    #[test]
    fn paths_are_found_in_macros_and_patterns_and_not_in_fields_or_methods() {
        let scope =
            scanned("fn f() { assert!(crate::a::B == x.field.method(), super::c); S { name: 1, ..d::E } }");
        assert_eq!(paths(&scope), ["f", "assert", "crate::a::B", "x", "super::c", "S", "d::E"]);
    }

    #[test]
    fn what_is_under_cfg_test_is_left_out() {
        let scope = scanned(
            "#[cfg(test)] mod tests { use a::B; } #[cfg(test)] use c::{D, E}; #[cfg(test)] pub(crate) fn f<A, B>() { g::h() } \
             #[cfg(test)] mod other; fn i() {} struct J { #[cfg(test)] k: l::M, n: O }",
        );
        assert!(scope.uses.is_empty() && scope.modules.is_empty(), "{scope:?}");
        assert_eq!(
            paths(&scope),
            ["cfg", "test", "cfg", "test", "cfg", "test", "cfg", "test", "i", "J", "cfg", "test", "O"]
        );
    }

    #[test]
    fn modules_are_declared_inline_and_by_path() {
        let scope =
            scanned("mod a; pub mod b { use super::a::C; fn d() {} } #[path = \"other/e.rs\"] mod e;");
        assert_eq!(
            scope.modules.iter().map(|module| module.name.as_str()).collect::<Vec<_>>(),
            ["a", "b", "e"]
        );
        assert_eq!(scope.modules[1].inline.as_ref().map(|inline| inline.uses.len()), Some(1));
        assert_eq!(scope.modules[2].file.as_deref(), Some("other/e.rs"));
    }

    #[test]
    fn a_function_is_as_long_as_it_looks() {
        let text = "trait T {\n fn declared();\n}\nfn short() {}\nfn long(\n  a: u8,\n) -> u8 {\n\n  // a comment\n  a\n}\n";
        let found = functions(text.parse().unwrap());
        assert_eq!(
            found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect::<Vec<_>>(),
            [("short", 4, 1), ("long", 5, 7)]
        );
    }
}
