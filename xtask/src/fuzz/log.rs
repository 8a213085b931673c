//! What libFuzzer has written about a run.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;

/// Lines of a broken run that are shown.
const SHOWN: usize = 40;

static EXECUTIONS: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^stat::number_of_executed_units: *([0-9]+)"));
static RATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^stat::average_exec_per_sec: *([0-9]+)"));
static EDGES: LazyLock<Regex> = LazyLock::new(|| pattern(r" cov: ([0-9]+)"));
static FEATURES: LazyLock<Regex> = LazyLock::new(|| pattern(r" ft: ([0-9]+)"));
static CORPUS: LazyLock<Regex> = LazyLock::new(|| pattern(r" corp: ([0-9]+)"));

/// The heads of the columns of [`Log::line`].
pub(super) fn header() -> String {
    row(["target", "executions", "per-second", "edges", "features", "corpus", "result"])
}

fn row([target, executions, rate, edges, features, corpus, result]: [&str; 7]) -> String {
    format!("{target:<15} {executions:>12} {rate:>10} {edges:>8} {features:>8} {corpus:>7}  {result}")
}

/// The end of a run, and its log.
pub(super) struct Log {
    succeeded: bool,
    text: String,
}

impl Log {
    pub(super) fn parse(succeeded: bool, text: String) -> Self {
        Self { succeeded, text }
    }

    /// Whether nothing was broken: a run that says nothing of its executions has not run.
    pub(super) fn is_ok(&self) -> bool {
        self.succeeded && EXECUTIONS.is_match(&self.text)
    }

    /// A row of the table.
    pub(super) fn line(&self, target: &str) -> String {
        let [executions, rate, edges, features, corpus] =
            [&EXECUTIONS, &RATE, &EDGES, &FEATURES, &CORPUS].map(|figure| self.last(figure));
        let result = if self.is_ok() { "ok" } else { "BROKEN" };
        row([target, executions, rate, edges, features, corpus, result])
    }

    fn last(&self, figure: &Regex) -> &str {
        let last = figure.captures_iter(&self.text).last().and_then(|found| found.get(1));
        last.map_or("?", |number| number.as_str())
    }

    /// What was said beside figures.
    pub(super) fn words(&self) -> String {
        let figures = ["#", "INFO:", "stat::"];
        let words = self.text.lines().filter(|line| !figures.iter().any(|figure| line.starts_with(figure)));
        let words: Vec<&str> = words.collect();
        words[words.len().saturating_sub(SHOWN)..].iter().map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "INFO: seed\n#2 INITED cov: 10 ft: 11 corp: 1/1b\n#9 NEW    cov: 12 ft: 20 corp: 3/9b lim: 4\n\
                        thread panicked\nstat::number_of_executed_units: 1000\nstat::average_exec_per_sec:     500\n";

    #[test]
    fn the_last_figures_are_shown() {
        let line = Log::parse(true, TEXT.to_owned()).line("mountinfo");
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["mountinfo", "1000", "500", "12", "20", "3", "ok"]
        );
    }

    #[test]
    fn a_failed_run_is_broken() {
        let log = Log::parse(false, TEXT.to_owned());
        assert!(!log.is_ok() && log.line("a").ends_with("BROKEN"));
        assert_eq!(log.words(), "thread panicked\n");
    }

    #[test]
    fn a_run_without_executions_is_broken() {
        assert!(!Log::parse(true, "INFO: seed\n".to_owned()).is_ok());
    }
}
