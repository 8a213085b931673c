//! The metrics that the code registers: names in string literals of the files that are named for metrics.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::asked::Listed;
use crate::error::Error;
use crate::files::{read, sources};
use crate::pattern::pattern;

static LITERAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#""((?:grpc_server|process|ecx|eck_csi|ideal_gpu)_[a-z_]+)""#));
/// The scheduler's have their prefix added.
static PREFIXED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bof\(\s*"([a-z_]+)""#));
static TESTS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^#\[cfg\(test\)\]"));

/// Every registered name, as it is exposed but for `_total`, which the registry adds.
pub(super) fn names(root: &Path) -> Result<BTreeSet<String>, Error> {
    let mut found = BTreeSet::new();
    for folder in ["csi", "proto", "gpu-plugin"] {
        let folder = root.join(folder);
        for file in sources(&folder)? {
            if is_of_metrics(file.strip_prefix(&folder).unwrap_or(&file)) {
                found.extend(names_in(&read(&file)?));
            }
        }
    }
    Ok(found)
}

fn is_of_metrics(file: &Path) -> bool {
    file.ends_with("metrics.rs") || file.iter().any(|part| part == "metrics")
}

fn names_in(text: &str) -> Vec<String> {
    let code = TESTS.find(text).map_or(text, |tests| &text[..tests.start()]);
    let whole = LITERAL.captures_iter(code).map(|name| name[1].to_owned());
    let prefixed = PREFIXED.captures_iter(code).map(|name| format!("ideal_gpu_scheduler_{}", &name[1]));
    whole.chain(prefixed).collect()
}

/// The registry adds a counter's `_total` and a unit's `_seconds`: both lists are compared without.
pub(super) fn differences(registered: &BTreeSet<String>, listed: &Listed) -> Vec<String> {
    let plain = |name: &str| name.strip_suffix("_seconds").unwrap_or(name).to_owned();
    let code: BTreeSet<String> = registered.iter().map(|name| plain(name)).collect();
    let list: BTreeSet<String> =
        listed.names().map(|name| plain(name.strip_suffix("_total").unwrap_or(name))).collect();
    let unlisted =
        code.difference(&list).map(|name| format!("{name} is in the code and not in deploy/metrics.txt"));
    let gone =
        list.difference(&code).map(|name| format!("{name} is in deploy/metrics.txt and not in the code"));
    unlisted.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_literals_and_from_the_schedulers_prefix() {
        let text = "registry.register(\"ecx_calls\", \"help\");\nlet m = of(\n    \"leader\", \"help\");\nof(\"binds\")\n\
                    #[cfg(test)]\nmod tests { const A: &str = \"ecx_planted\"; }\n";
        let expected = ["ecx_calls", "ideal_gpu_scheduler_leader", "ideal_gpu_scheduler_binds"];
        assert_eq!(names_in(text), expected);
    }

    #[test]
    fn both_lists_agree_without_what_the_registry_adds() {
        let registered = BTreeSet::from(["ecx_calls".to_owned(), "ecx_wait_seconds".to_owned()]);
        let listed = Listed::parse("ecx_calls_total a op\necx_wait_seconds a -\n");
        assert_eq!(differences(&registered, &listed), [""; 0]);
    }

    #[test]
    fn a_name_that_only_one_list_has_is_found() {
        let registered = BTreeSet::from(["ecx_calls".to_owned()]);
        let found = differences(&registered, &Listed::parse("ecx_gone a -\n"));
        assert_eq!(
            found,
            [
                "ecx_calls is in the code and not in deploy/metrics.txt",
                "ecx_gone is in deploy/metrics.txt and not in the code"
            ]
        );
    }
}
