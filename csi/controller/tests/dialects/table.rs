//! The table of dialects and operations, with the number of invariants that each breaks.

use std::collections::BTreeSet;

use crate::hopeless::not_run;
use crate::known::{EVERY, Known};
use crate::scenes::Operation;

/// A dialect, and what each operation breaks in it.
pub(crate) type Row = (&'static str, Vec<Vec<String>>);

pub(crate) struct Table(Vec<Row>);

impl Table {
    /// Rows: what each operation breaks.
    pub(crate) fn of(rows: Vec<Row>) -> Self {
        Self(rows)
    }

    /// Tells all; `0` is written as a point.
    pub(crate) fn print(&self, known: &[Known]) {
        let heads = Operation::ALL.map(|(name, _)| name);
        eprintln!("{:<40} {}", "dialect", heads.join(" "));
        for (dialect, broken) in &self.0 {
            let number = |(head, broken): (&&str, &Vec<String>)| {
                let number = match broken.len() {
                    _ if not_run(dialect, head) => "-".to_owned(),
                    0 => ".".to_owned(),
                    many => many.to_string(),
                };
                format!("{number:>width$}", width = head.len())
            };
            let numbers: Vec<String> = heads.iter().zip(broken).map(number).collect();
            let rows = known.iter().filter(|row| row.dialect == *dialect);
            let findings: Vec<&str> = rows.map(|row| row.finding).collect();
            eprintln!("{dialect:<40} {} {}", numbers.join(" "), findings.join(" "));
        }
        // hack/test adds these lines up.
        let (rows, unknown) = (self.0.len(), self.against(known).len());
        let operations = heads.len();
        eprintln!(
            "{rows} dialects × {operations} operations, {unknown} violations, {} known",
            self.known_cells(known)
        );
    }

    /// Cells in which something is broken, and listed.
    fn known_cells(&self, known: &[Known]) -> usize {
        let cells: BTreeSet<(&str, &str)> = known.iter().flat_map(Known::cells).collect();
        let listed = |dialect: &str, operation: &str| {
            [dialect, EVERY].iter().any(|dialect| cells.contains(&(*dialect, operation)))
        };
        let of_row = |(dialect, broken): &Row| {
            let cells = Operation::ALL.iter().zip(broken);
            cells.filter(|((operation, _), broken)| !broken.is_empty() && listed(dialect, operation)).count()
        };
        self.0.iter().map(of_row).sum()
    }

    /// What is broken and not known, and what is known and no longer broken, of the dialects here.
    pub(crate) fn against(&self, known: &[Known]) -> Vec<String> {
        let listed: Vec<(&str, &str)> = known.iter().flat_map(Known::cells).collect();
        let mut wrong = Vec::new();
        let mut met: BTreeSet<(&str, &str)> = BTreeSet::new();
        for (dialect, broken) in &self.0 {
            for ((operation, _), broken) in Operation::ALL.into_iter().zip(broken) {
                let fits = |cell: &&(&str, &str)| cell.1 == operation && [*dialect, EVERY].contains(&cell.0);
                let row = listed.iter().find(fits).filter(|_| !broken.is_empty());
                met.extend(row);
                if row.is_none() {
                    wrong.extend(broken.iter().map(|text| format!("{dialect} {operation}: {text}")));
                }
            }
        }
        // What is known of every dialect is broken in each family, or nowhere.
        let every = |dialect: &str| dialect == EVERY && !self.0.is_empty();
        let here =
            |cell: &&(&str, &str)| every(cell.0) || self.0.iter().any(|(dialect, _)| *dialect == cell.0);
        let right = listed.iter().filter(here).filter(|cell| !met.contains(*cell));
        let text = |(dialect, operation)| format!("known.rs: put right, take it out: {dialect} {operation}");
        wrong.extend(right.copied().map(text));
        wrong
    }
}
