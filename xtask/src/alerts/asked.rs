//! What dashboards and alerts ask for, beside the metrics that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::error::Error;
use crate::pattern::pattern;

static OURS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:eck_csi|ecx|ideal_gpu|grpc_server|process)_[a-z_]+"));
static METHOD: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bmethod="([^"]*)""#));
static WHOLE_METHOD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[a-z0-9.]+\.[A-Za-z]+/[A-Za-z]+$"));

/// The metrics of deploy/metrics.txt, each with its labels.
pub(crate) struct Listed(BTreeMap<String, BTreeSet<String>>);

impl Listed {
    /// A line a metric: name, program, labels joined by commas or a dash.
    pub(crate) fn parse(text: &str) -> Self {
        let mut metrics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let fields: Vec<&str> = line.split(' ').collect();
            let labels = fields.get(2).copied().unwrap_or_default();
            let labels = labels.split(',').filter(|label| !label.is_empty() && *label != "-");
            // Two programs may have a metric of the same name, each with labels of its own.
            metrics.entry(fields[0].to_owned()).or_default().extend(labels.map(str::to_owned));
        }
        Self(metrics)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The labels of what is asked for, none if there is no such metric. A histogram is asked for by its parts.
    pub(crate) fn labels(&self, asked: &str) -> Option<BTreeSet<&str>> {
        let part = ["_bucket", "_sum", "_count"].into_iter().find_map(|part| asked.strip_suffix(part));
        let labels = self.0.get(asked).or_else(|| self.0.get(part?))?;
        let mut labels: BTreeSet<&str> = labels.iter().map(String::as_str).collect();
        if asked.ends_with("_bucket") {
            labels.insert("le");
        }
        Some(labels)
    }
}

/// The PromQL of a dashboard (`.json`) or of alerts (`.yaml`), each on one line.
pub(crate) fn expressions(file: &Path, text: &str) -> Result<Vec<String>, Error> {
    let unreadable = |error: String| Error::Unreadable(file.to_owned(), error);
    let value: Value = if file.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?
    } else {
        serde_saphyr::from_str(text).map_err(|error| unreadable(error.to_string()))?
    };
    let mut found = Vec::new();
    collect(&value, &mut found);
    Ok(found)
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(expression)) = fields.get("expr") {
                found.push(expression.trim_end().replace('\n', " "));
            }
            fields.values().for_each(|field| collect(field, found));
        }
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, found)),
        _ => {}
    }
}

/// Whether the expression asks for a metric of our programs.
pub(super) fn names_ours(expression: &str) -> bool {
    OURS.is_match(expression)
}

/// Metrics of ours that no program has.
pub(super) fn unknown(expressions: &[String], listed: &Listed) -> Vec<String> {
    let asked: BTreeSet<&str> = expressions
        .iter()
        .flat_map(|expression| OURS.find_iter(expression))
        .map(|name| name.as_str())
        .collect();
    asked.into_iter().filter(|name| listed.labels(name).is_none()).map(str::to_owned).collect()
}

/// The label `method` is the whole path, as `csi.v1.Node/NodeStageVolume`: with less an expression is never true.
pub(super) fn short_rpcs(expressions: &[String]) -> Vec<String> {
    let methods = expressions.iter().flat_map(|expression| METHOD.captures_iter(expression));
    let short = methods.filter(|method| !WHOLE_METHOD.is_match(&method[1]));
    short.map(|method| method[0].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "# a comment\necx_calls_total eck-csi-controller op\n\
                          grpc_server_handling_seconds any method\necx_rate_factor eck-csi-controller -\n";

    fn yaml(text: &str) -> Vec<String> {
        expressions(Path::new("a.yaml"), text).unwrap()
    }

    #[test]
    fn expressions_of_alerts_are_read_from_lines_and_from_blocks() {
        let text = "groups:\n  - rules:\n      - expr: a > 0\n      - expr: |\n          b\n            / c\n        for: 5m\n";
        assert_eq!(yaml(text), ["a > 0", "b   / c"]);
    }

    #[test]
    fn expressions_of_dashboards_are_read_at_any_depth() {
        let text =
            r#"{"panels": [{"targets": [{"expr": "a\n+ b"}]}, {"panels": [{"targets": [{"expr": "c"}]}]}]}"#;
        assert_eq!(expressions(Path::new("a.json"), text).unwrap(), ["a + b", "c"]);
    }

    #[test]
    fn a_file_that_is_no_yaml_is_an_error() {
        assert!(expressions(Path::new("a.yaml"), "expr: [").is_err());
    }

    #[test]
    fn a_metric_that_is_not_listed_is_found() {
        let listed = Listed::parse(LISTED);
        let expressions = yaml("- expr: rate(ecx_callz_total[5m]) + ecx_rate_factor\n- expr: up\n");
        assert_eq!(unknown(&expressions, &listed), ["ecx_callz_total"]);
    }

    #[test]
    fn a_histogram_is_asked_for_by_its_parts() {
        let listed = Listed::parse(LISTED);
        assert_eq!(unknown(&yaml("expr: grpc_server_handling_seconds_bucket\n"), &listed), [""; 0]);
        let labels = listed.labels("grpc_server_handling_seconds_bucket").unwrap();
        assert_eq!(labels, BTreeSet::from(["le", "method"]));
    }

    #[test]
    fn a_metric_of_two_programs_has_the_labels_of_both() {
        let listed = Listed::parse("used_bytes scheduler node,card\nused_bytes plugin card,index\n");
        assert_eq!(listed.labels("used_bytes").unwrap(), BTreeSet::from(["card", "index", "node"]));
    }

    #[test]
    fn an_rpc_without_its_service_is_found() {
        let whole = yaml("expr: a{method=\"csi.v1.Node/NodeStageVolume\"}\n");
        assert_eq!(short_rpcs(&whole), [""; 0]);
        assert_eq!(
            short_rpcs(&yaml("expr: a{method=\"NodeStageVolume\"}\n")),
            ["method=\"NodeStageVolume\""]
        );
    }
}
