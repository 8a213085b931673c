//! What programs say.

/// What of the words a text does not say; then the text too.
pub(super) fn missing<S: AsRef<str>>(text: &str, words: &[S]) -> Vec<String> {
    let missing = words.iter().map(AsRef::as_ref).filter(|words| !text.contains(words));
    let mut missing: Vec<String> = missing.map(|words| format!("not said: {words}")).collect();
    if !missing.is_empty() {
        missing.push(text.to_owned());
    }
    missing
}

/// What a program has said that should succeed in silence.
pub(super) fn if_any(succeeded: bool, said: &str) -> Vec<String> {
    match (succeeded, said.trim_end()) {
        (true, "") => Vec::new(),
        (false, "") => vec!["it fails without a word".to_owned()],
        (_, said) => vec![said.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_not_said_are_found_with_what_is_said() {
        assert_eq!(missing("one two", &["one", "two"]), [""; 0]);
        assert_eq!(missing("one two", &["one", "three"]), ["not said: three", "one two"]);
    }

    #[test]
    fn a_program_that_fails_or_says_something_is_found() {
        assert_eq!(if_any(true, ""), [""; 0]);
        assert_eq!(if_any(true, "a warning\n"), ["a warning"]);
        assert_eq!(if_any(false, ""), ["it fails without a word"]);
    }
}
