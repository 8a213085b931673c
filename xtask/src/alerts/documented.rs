//! The tables of metrics in the documents for users, beside the metrics that there are.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;

use super::asked::Listed;
use crate::pattern::pattern;

/// A metric in code letters, perhaps with the labels that it is told to have.
static TOLD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"`((?:eck_csi|ecx|ideal_gpu|grpc_server|process)_[a-z_]+)(?:\{([a-z_,]*)\})?`")
});

/// What is wrong with the tables of a document: a metric that no row is about, a row about none, a label that the metric has not.
pub(super) fn differences(document: &str, listed: &Listed) -> Vec<String> {
    let (mut told, mut found) = (BTreeSet::new(), Vec::new());
    let rows = document.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next());
    for metric in rows.flat_map(|cell| TOLD.captures_iter(cell)) {
        let name = metric.get(1).map_or("", |name| name.as_str());
        told.insert(name);
        let Some(labels) = listed.labels(name) else {
            found.push(format!("{name} is no metric of ours"));
            continue;
        };
        let named = metric.get(2).map_or("", |labels| labels.as_str()).split(',');
        let wrong = named.filter(|label| !label.is_empty() && !labels.contains(label));
        found.extend(wrong.map(|label| format!("{name} has no label {label}")));
    }
    found.extend(listed.names().filter(|name| !told.contains(name)).map(|name| format!("{name} has no row")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "ecx_calls_total a op\necx_rate_factor a -\n";

    fn found(document: &str) -> Vec<String> {
        differences(document, &Listed::parse(LISTED))
    }

    #[test]
    fn a_row_about_each_metric_is_enough() {
        assert_eq!(found("| `ecx_calls_total{op}` | a |\n| `ecx_rate_factor`, more | a |\n"), [""; 0]);
    }

    #[test]
    fn a_metric_that_only_the_text_or_another_column_names_has_no_row() {
        let document = "`ecx_calls_total`\n| x | `ecx_calls_total` |\n| `ecx_rate_factor` | a |\n";
        assert_eq!(found(document), ["ecx_calls_total has no row"]);
    }

    #[test]
    fn a_row_about_no_metric_and_a_label_that_there_is_not_are_found() {
        let document = "| `ecx_calls_total{code}` |\n| `ecx_rate_factor` |\n| `ecx_old` |\n";
        assert_eq!(found(document), ["ecx_calls_total has no label code", "ecx_old is no metric of ours"]);
    }
}
