//! One line of a text without structure.

use super::form;
use super::names::{STRUCK, is_also_a_word, names_a_secret};

/// A line without its secrets.
pub(super) struct Scrubbed {
    pub(super) text: String,
    /// The last of them went to the line's end: what is indented deeper below it is of it.
    pub(super) goes_on: bool,
}

/// Where a value without quotes ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Line,
    Word,
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Strikes out what follows a name that names a secret, what stands before the `@` of an address, and words of a secret's form.
pub(super) fn scrub(line: &str) -> Scrubbed {
    let end = line.trim_end_matches(['\n', '\r']).len();
    let (line, end) = line.split_at(end);
    let mut scanner = Scanner { clean: String::with_capacity(line.len()), rest: line, goes_on: false };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.clean.push_str(end);
    Scrubbed { text: scanner.clean, goes_on: scanner.goes_on }
}

/// The time with which the API server begins a log's line, and what follows it.
pub(super) fn time(line: &str) -> (&str, &str) {
    let is_time = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with('Z');
    match line.find(' ') {
        Some(end) if is_time(&line[..end]) => line.split_at(end + 1),
        Some(_) | None => ("", line),
    }
}

/// Spaces before the line's first word; none if there is no word.
pub(super) fn indent(line: &str) -> Option<usize> {
    let (_, line) = time(line);
    line.find(|c: char| !c.is_whitespace())
}

struct Scanner<'a> {
    clean: String,
    rest: &'a str,
    goes_on: bool,
}

impl<'a> Scanner<'a> {
    fn step(&mut self) {
        if self.begins_token() && self.token() {
            return;
        }
        let length = length_while(self.rest, is_word);
        if length == 0 {
            let first = self.rest.chars().next().map_or(0, char::len_utf8);
            self.keep(first);
            return;
        }
        let word = &self.rest[..length];
        if form::is_secret(word) || form::decoded(word).is_some_and(has_secret) {
            self.strike(length);
            return;
        }
        self.keep(length);
        if matches!(word.to_ascii_lowercase().as_str(), "bearer" | "basic") {
            self.after_scheme();
        } else if names_a_secret(word) {
            self.value_of(word);
        }
    }

    /// Whether the last that was kept is a border.
    fn begins_token(&self) -> bool {
        self.clean.chars().next_back().is_none_or(|c| !is_token(c))
    }

    /// The text up to the next space or quote: strikes it where it is an address with a password, or hides a secret, and says whether
    /// it did. What may be a password's `/` or `@` is not told from the host's: the host goes too.
    fn token(&mut self) -> bool {
        let token = &self.rest[..length_while(self.rest, is_token)];
        if form::unescaped(token).is_some_and(has_secret) {
            self.strike(token.len());
            return true;
        }
        let Some(at) = token.rfind('@') else { return false };
        let before = &token[..at];
        let named = |text: &str| text.split(|c| !is_word(c)).any(names_a_secret);
        let kept = match before.find("://") {
            // `image:tag@sha256:…` is no address.
            _ if token[at..].starts_with("@sha256:") => return false,
            // `scheme://user:password@host`
            Some(scheme) => scheme + "://".len(),
            // `name=user:password@host`
            None if before.contains(':') => before.find('=').map_or(0, |sign| sign + 1),
            None => return false,
        };
        if named(&token[..kept]) || kept == 0 && token.split([':', '=']).next().is_some_and(named) {
            // Struck by that name, as far as that reaches.
            return false;
        }
        let length = token.len();
        let reaches = if named(&token[kept..]) { self.rest.len() } else { length };
        self.keep(kept);
        self.goes_on |= reaches > length;
        self.strike(reaches - kept);
        true
    }

    /// `Bearer …`.
    fn after_scheme(&mut self) {
        let spaces = length_while(self.rest, |c| c == ' ');
        if spaces > 0 {
            self.keep(spaces);
            self.value(Reach::Word);
        }
    }

    /// `name=value`, `name: value`, `"name":"value"`, `--name value`.
    fn value_of(&mut self, name: &str) {
        let closing = length_while(self.rest, |c| c == '\\' || c == ']' || QUOTES.contains(&c));
        let spaces = length_while(&self.rest[closing..], is_space);
        let join = closing + spaces;
        let signs = length_while(&self.rest[join..], |c| matches!(c, '=' | ':' | '>'));
        if signs > 0 {
            let reach = if is_also_a_word(name) && !self.rest[join..].starts_with('=') {
                Reach::Word
            } else {
                Reach::Line
            };
            self.keep(join + signs);
            self.keep(length_while(self.rest, is_space));
            self.value(reach);
        } else if name.starts_with('-') && closing == 0 && spaces > 0 {
            self.keep(spaces);
            self.value(Reach::Word);
        }
    }

    fn value(&mut self, reach: Reach) {
        let slashes = length_while(self.rest, |c| c == '\\');
        if self.rest[slashes..].starts_with(QUOTES) {
            return self.quoted(slashes + 1);
        }
        if let Some(after) = self.rest.strip_prefix(STRUCK)
            && !after.starts_with(is_word)
        {
            return self.keep(STRUCK.len());
        }
        match reach {
            Reach::Line => {
                self.goes_on = true;
                self.strike(self.rest.len());
            }
            Reach::Word => self.strike(length_while(self.rest, is_token)),
        }
    }

    /// A value whose opening quote, with the backslashes before it, is so long.
    fn quoted(&mut self, length: usize) {
        let (quote, body) = self.rest.split_at(length);
        let ends = |(at, _): &(usize, &str)| !body[..*at].ends_with('\\');
        let Some((at, _)) = body.match_indices(quote).find(ends) else {
            self.goes_on = true;
            return self.strike(self.rest.len());
        };
        self.keep(length);
        self.strike(at);
        self.keep(length);
        // A shell takes `'a'b` for one word.
        let tail = length_while(self.rest, is_word);
        self.rest = &self.rest[tail..];
    }

    fn keep(&mut self, length: usize) {
        let (kept, rest) = self.rest.split_at(length);
        self.clean.push_str(kept);
        self.rest = rest;
    }

    /// Nothing stays nothing.
    fn strike(&mut self, length: usize) {
        if length > 0 {
            self.clean.push_str(STRUCK);
        }
        self.rest = &self.rest[length..];
    }
}

/// Whether something of a text would be struck; it is shorter than what it was encoded in, so that this ends.
fn has_secret(text: String) -> bool {
    text.contains("PRIVATE KEY") || text.lines().any(|line| scrub(line).text != line)
}

fn length_while(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn is_space(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// What stands between spaces and quotes.
fn is_token(c: char) -> bool {
    !c.is_whitespace() && c != '\\' && !QUOTES.contains(&c)
}

/// Of which names and secrets are made.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+' | '[')
}
