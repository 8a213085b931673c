//! Values that a chart refuses: the words name the field, the value, and what is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::helm::Helm;
use super::schema::{Field, Schema, pointer};
use super::{accepted, sections, text};
use crate::error::Error;
use crate::files::{entries, read};
use crate::pattern::pattern;
use crate::process::words;
use crate::tally::Tally;

/// The cases of each chart, over its minimal values.
const CASES: &str = include_str!("refusals.toml");

#[derive(Deserialize)]
struct Case {
    /// In YAML.
    values: String,
    says: Vec<String>,
}

/// Values that are wrong in several places, and what must be said.
struct Wrong {
    values: Value,
    says: Vec<String>,
}

/// Fewer words than these are not those of a whole schema.
const WORDS_AT_LEAST: usize = 6;

static PATTERN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^ *- at '([^']*)': '.*' does not match pattern "));
static BOUND: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^ *- at '([^']*)': ((?:min|max)[A-Za-z]+): got"));
static EQUAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ *- at '([^']*)': items at .* are equal"));
static INDEX: LazyLock<Regex> = LazyLock::new(|| pattern(r"/[0-9]+"));

/// Everything that the chart has said in refusing the cases.
pub(super) fn check(tally: &mut Tally, helm: &Helm, chart: &str, schema: &Schema) -> Result<String, Error> {
    let mut said = String::new();
    let general = [
        ("a misspelt name beside any other, and lists those that are allowed", misspelt(schema)),
        ("every value of another type", of_another_type(schema)),
        ("null where a value was", null(schema)),
    ];
    for (what, wrong) in general {
        let mut found = refuse(helm, chart, &wrong.values.to_string(), &wrong.says, &mut said)?;
        if wrong.says.len() < WORDS_AT_LEAST {
            found.push(format!("only {} words", wrong.says.len()));
        }
        tally.check(&format!("{chart} refuses {what}"), Ok(found));
    }
    for Case { values, says } in cases(chart)? {
        let found = refuse(helm, chart, &values, &says, &mut said);
        tally.check(&format!("{chart} refuses {values}"), found);
    }
    Ok(said)
}

fn cases(chart: &str) -> Result<Vec<Case>, Error> {
    let unreadable = |error: toml::de::Error| Error::Unreadable("refusals.toml".into(), error.to_string());
    let mut charts: BTreeMap<String, Vec<Case>> = toml::from_str(CASES).map_err(unreadable)?;
    Ok(charts.remove(chart).unwrap_or_default())
}

/// What is wrong with how the chart refuses the values; adds what it says.
fn refuse(
    helm: &Helm,
    chart: &str,
    values: &str,
    says: &[String],
    said: &mut String,
) -> Result<Vec<String>, Error> {
    let output = helm.template(chart, &[accepted::values(chart, "minimal"), values])?;
    if output.status.success() {
        return Ok(vec!["it is taken".to_owned()]);
    }
    let words = words(&output);
    said.push_str(&words);
    Ok(text::missing(&words, says))
}

fn misspelt(schema: &Schema) -> Wrong {
    let mut wrong = Wrong { values: json!({}), says: Vec::new() };
    for record in schema.records() {
        let path: Vec<Value> = record.path.iter().cloned().chain([json!("misspelt")]).collect();
        sections::set(&mut wrong.values, &path, json!(1));
        let says = format!("at '{}': value must be '{}'", pointer(&path), record.said_of_others());
        wrong.says.push(says);
    }
    wrong
}

fn of_another_type(schema: &Schema) -> Wrong {
    let mut wrong = Wrong { values: json!({}), says: Vec::new() };
    for leaf in schema.leaves() {
        let (value, got) =
            if leaf.kind() == "object" { (json!("wrong"), "string") } else { (json!({}), "object") };
        sections::set(&mut wrong.values, &leaf.path, value);
        wrong.says.push(format!("at '{}': got {got}, want {}", leaf.pointer(), leaf.kind()));
    }
    wrong
}

/// To helm, null takes a value out.
fn null(schema: &Schema) -> Wrong {
    let mut wrong = Wrong { values: json!({}), says: Vec::new() };
    let mut records: BTreeSet<String> = BTreeSet::new();
    let in_no_list = |leaf: &Field<'_>| !leaf.path.contains(&json!(0));
    for leaf in schema.leaves().into_iter().filter(in_no_list) {
        sections::set(&mut wrong.values, &leaf.path, Value::Null);
        let Some((name, record)) = leaf.path.split_last() else { continue };
        records.insert(pointer(record));
        wrong.says.push(format!("'{}'", name.as_str().unwrap_or_default()));
    }
    wrong.says.extend(records.iter().map(|record| format!("at '{record}': missing propert")));
    wrong
}

/// Each `fail` of the templates and each limit of the schema that was not seen in what was said.
pub(super) fn unseen(charts: &Path, chart: &str, schema: &Schema, said: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for file in entries(&charts.join(chart).join("templates"))? {
        let name = file.strip_prefix(charts).unwrap_or(&file).display().to_string();
        found.extend(unseen_failures(&name, &read(&file)?, said));
    }
    let seen = seen_limits(said);
    let limits = schema.limits();
    found.extend(limits.difference(&seen).map(|limit| format!("{limit} was not seen")));
    Ok(found)
}

fn unseen_failures(template: &str, text: &str, said: &str) -> Vec<String> {
    let failures = text.lines().enumerate().filter(|(_, line)| line.contains("{{- fail"));
    let places = failures.map(|(number, _)| format!("{template}:{}", number + 1));
    let unseen = places.filter(|place| !said.contains(&format!("({place}:")));
    unseen.map(|place| format!("{place} was not seen")).collect()
}

/// As [`Schema::limits`] has them.
fn seen_limits(said: &str) -> BTreeSet<String> {
    let patterns = PATTERN.captures_iter(said).map(|seen| format!("{} pattern", &seen[1]));
    let bounds = BOUND.captures_iter(said).map(|seen| format!("{} {}", &seen[1], &seen[2]));
    let equal = EQUAL.captures_iter(said).map(|seen| format!("{} uniqueItems", &seen[1]));
    let seen = patterns.chain(bounds).chain(equal);
    seen.map(|limit| INDEX.replace_all(&limit, "/0").into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{
        "additionalProperties": {"const": "under one of these names: log, list"},
        "properties": {
            "log": {"type": "object", "additionalProperties": {"const": "under one of these names: level"},
                    "properties": {"level": {"type": "string", "pattern": "a"}}},
            "list": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string", "pattern": "b"}}}}"#;

    fn schema() -> Schema {
        Schema::parse(SCHEMA).unwrap()
    }

    #[test]
    fn a_misspelt_name_is_put_into_each_record() {
        let wrong = misspelt(&schema());
        assert_eq!(wrong.values, json!({"misspelt": 1, "log": {"misspelt": 1}}));
        assert_eq!(wrong.says[1], "at '/log/misspelt': value must be 'under one of these names: level'");
    }

    #[test]
    fn each_leaf_gets_a_value_of_another_type() {
        let wrong = of_another_type(&schema());
        assert_eq!(wrong.values, json!({"log": {"level": {}}, "list": {}}));
        assert!(
            wrong.says.contains(&"at '/log/level': got object, want string".to_owned()),
            "{:?}",
            wrong.says
        );
    }

    #[test]
    fn each_leaf_is_taken_out() {
        let wrong = null(&schema());
        assert_eq!(wrong.values, json!({"log": {"level": null}, "list": null}));
        for says in ["'level'", "'list'", "at '/log': missing propert", "at '': missing propert"] {
            assert!(wrong.says.contains(&says.to_owned()), "{says}");
        }
    }

    #[test]
    fn limits_are_seen_in_what_helm_says() {
        let said = "values don't meet the schema:\n- at '/log/level': 'x' does not match pattern 'a'\n\
                    - at '/list': minItems: got 0, want 1\n- at '/list': items at 0 and 2 are equal\n\
                    - at '/list/7': '' does not match pattern 'b'\n";
        assert_eq!(seen_limits(said), schema().limits());
    }

    #[test]
    fn a_limit_that_is_not_met_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("c/templates")).unwrap();
        let said = "- at '/list': minItems: got 0, want 1\n- at '/list/0': '' does not match pattern 'b'\n";
        let found = unseen(folder.path(), "c", &schema(), said).unwrap();
        assert_eq!(found, ["/list uniqueItems was not seen", "/log/level pattern was not seen"]);
    }

    #[test]
    fn a_failure_of_a_template_that_is_not_met_is_found() {
        let text = "a\n{{- fail \"no\" }}\n  {{- fail \"never\" }}\n";
        let said = "Error: execution error at (c/templates/a.yaml:2:4): no";
        assert_eq!(unseen_failures("c/templates/a.yaml", text, said), ["c/templates/a.yaml:3 was not seen"]);
    }

    #[test]
    fn both_charts_have_cases_and_each_says_something() {
        for chart in super::super::CHARTS {
            let cases = cases(chart).unwrap();
            assert!(cases.len() > 30 && cases.iter().all(|case| !case.says.is_empty()), "{chart}");
        }
    }
}
