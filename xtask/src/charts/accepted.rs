//! Values that a chart takes, and what each does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::helm::Helm;
use super::schema::Schema;
use super::{sections, text};
use crate::error::Error;
use crate::process::words;
use crate::tally::Tally;

/// Of each chart what is required and no more; what sets everything; and what does not go together with that.
const VALUES: [(&str, &str, &str); 6] = [
    ("eck-csi", "minimal", include_str!("values/eck-csi.minimal.json")),
    ("eck-csi", "maximal", include_str!("values/eck-csi.maximal.json")),
    ("eck-csi", "other", include_str!("values/eck-csi.other.json")),
    ("ideal-gpu", "minimal", include_str!("values/ideal-gpu.minimal.json")),
    ("ideal-gpu", "maximal", include_str!("values/ideal-gpu.maximal.json")),
    ("ideal-gpu", "other", include_str!("values/ideal-gpu.other.json")),
];

/// The text of these values of the chart.
pub(super) fn values(chart: &str, name: &str) -> &'static str {
    let found = VALUES.iter().find(|(of, called, _)| (*of, *called) == (chart, name));
    found.map_or("", |(.., text)| text)
}

/// What is rendered with the chart's minimal and maximal values.
pub(super) fn check(
    tally: &mut Tally,
    helm: &Helm,
    chart: &str,
    schema: &Schema,
) -> Result<Vec<(&'static str, Vec<Value>)>, Error> {
    let mut rendered = Vec::new();
    for (_, name, text) in VALUES.iter().filter(|(of, ..)| *of == chart) {
        let taken = take(helm, chart, text)?;
        tally.check(
            &format!("{chart} takes the {name} values, and lint has no word against them"),
            Ok(taken.0),
        );
        if *name != "other" {
            rendered.push((*name, taken.1));
        }
    }
    let names = format!("{chart}: the schema lists the same names three times");
    tally.check(&names, Ok(schema.differing_names()));
    let used = uses_every_value(schema, &[values(chart, "maximal"), values(chart, "other")], |values| {
        let output = helm.template(chart, &[values])?;
        Ok(output.status.success().then(|| words(&output)))
    });
    tally.check(&format!("{chart}: every value does something"), used);
    Ok(rendered)
}

/// What is said against the values, and the objects that they make.
fn take(helm: &Helm, chart: &str, values: &str) -> Result<(Vec<String>, Vec<Value>), Error> {
    let lint = helm.lint(chart, values)?;
    let mut found = text::if_any(lint.status.success(), &words(&lint));
    let template = helm.template(chart, &[values])?;
    if !template.status.success() {
        found.push(words(&template));
        return Ok((found, Vec::new()));
    }
    found.extend(text::if_any(true, &String::from_utf8_lossy(&template.stderr)));
    let objects = helm.objects(&String::from_utf8_lossy(&template.stdout))?;
    Ok((found, objects))
}

/// Each field of the schema is set in one of these texts, and what is rendered is another without it, or nothing.
fn uses_every_value(
    schema: &Schema,
    texts: &[&str],
    render: impl Fn(&str) -> Result<Option<String>, Error>,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut tried = BTreeSet::new();
    for text in texts {
        let values: Value =
            serde_json::from_str(text).map_err(|error| Error::Tool("values".into(), error.to_string()))?;
        let whole = render(text)?.map(|rendered| without_checksums(&rendered));
        for leaf in schema.leaves() {
            if sections::get(&values, &leaf.path).is_none() {
                continue;
            }
            tried.insert(leaf.pointer());
            let mut less = values.clone();
            sections::remove(&mut less, &leaf.path);
            let rendered = render(&less.to_string())?.map(|rendered| without_checksums(&rendered));
            if rendered.is_some() && rendered == whole {
                found.push(format!("{} changes nothing", leaf.pointer()));
            }
        }
    }
    let untried = schema.leaves().into_iter().filter(|leaf| !tried.contains(&leaf.pointer()));
    found.extend(untried.map(|leaf| format!("{} is not tried", leaf.pointer())));
    Ok(found)
}

/// A checksum is of the values themselves.
fn without_checksums(rendered: &str) -> String {
    rendered.lines().filter(|line| !line.contains("checksum/")).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}"#;

    fn wrong(texts: &[&str], used: &[&str]) -> Vec<String> {
        let render = |text: &str| {
            let values: Value = serde_json::from_str(text).unwrap();
            let lines = used.iter().map(|name| format!("{name}: {}\n", values[*name]));
            Ok(Some(lines.collect::<String>() + &format!("checksum/values: {text}\n")))
        };
        uses_every_value(&Schema::parse(SCHEMA).unwrap(), texts, render).unwrap()
    }

    #[test]
    fn values_that_change_what_is_rendered_pass() {
        assert_eq!(wrong(&[r#"{"a": 1}"#, r#"{"b": 0}"#], &["a", "b"]), [""; 0]);
    }

    #[test]
    fn a_value_that_changes_nothing_but_the_checksum_is_found() {
        assert_eq!(wrong(&[r#"{"a": 1, "b": 2}"#], &["a"]), ["/b changes nothing"]);
    }

    #[test]
    fn a_value_that_is_not_tried_is_found() {
        assert_eq!(wrong(&[r#"{"a": 1}"#], &["a", "b"]), ["/b is not tried"]);
    }

    #[test]
    fn every_text_of_values_is_json() {
        for (chart, name, text) in VALUES {
            assert!(serde_json::from_str::<Value>(text).is_ok(), "{chart} {name}");
        }
    }
}
