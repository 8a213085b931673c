//! The table of dialects and operations, with the number of invariants that each breaks.

use std::collections::BTreeSet;

use crate::known::Known;
use crate::scenes::Operation;

#[derive(Default)]
pub(crate) struct Table(Vec<(&'static str, Vec<Vec<String>>)>);

impl Table {
    /// A row: what each operation breaks.
    pub(crate) fn add(&mut self, dialect: &'static str, broken: Vec<Vec<String>>) {
        self.0.push((dialect, broken));
    }

    /// Tells all; `0` is written as a point.
    pub(crate) fn print(&self, known: &[Known]) {
        let heads: Vec<&str> = Operation::ALL.map(Operation::name).into();
        eprintln!("{:<40} {}", "dialect", heads.join(" "));
        for (dialect, broken) in &self.0 {
            let number = |(head, broken): (&&str, &Vec<String>)| {
                let number = if broken.is_empty() { ".".to_owned() } else { broken.len().to_string() };
                format!("{number:>width$}", width = head.len())
            };
            let numbers: Vec<String> = heads.iter().zip(broken).map(number).collect();
            eprintln!("{dialect:<40} {}", numbers.join(" "));
        }
        let cells = self.0.len() * heads.len();
        eprintln!("{} dialects, {cells} cells, {} violations", self.0.len(), self.violations());
        for row in known {
            eprintln!("known: {:<4} {} {}", row.finding, row.dialect, row.operations.join(" "));
        }
    }

    fn violations(&self) -> usize {
        self.0.iter().flat_map(|(_, broken)| broken).map(Vec::len).sum()
    }

    /// What is broken and not known, and what is known and no longer broken. `whole`: all dialects are here.
    pub(crate) fn against(&self, known: &[Known], whole: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut listed: BTreeSet<(&str, &str)> = BTreeSet::new();
        for row in known {
            listed.extend(row.operations.iter().map(|operation| (row.dialect, *operation)));
        }
        for (dialect, broken) in &self.0 {
            for (operation, broken) in Operation::ALL.into_iter().zip(broken) {
                let name = operation.name();
                let texts = broken.iter().map(|text| format!("{dialect} {name}: {text}"));
                match (listed.remove(&(dialect, name)), broken.is_empty()) {
                    (true, true) => wrong.push(format!("known.rs: put right, take it out: {dialect} {name}")),
                    (true, false) => {}
                    (false, _) => wrong.extend(texts),
                }
            }
        }
        let unknown = listed.iter().filter(|_| whole);
        wrong.extend(
            unknown.map(|(dialect, operation)| format!("known.rs: no such cell: {dialect} {operation}")),
        );
        wrong
    }
}
