//! The table of dialects and operations, with the number of invariants that each breaks.

use crate::scenes::Operation;

#[derive(Default)]
pub(crate) struct Table(Vec<(&'static str, Vec<Vec<String>>)>);

impl Table {
    /// A row: what each operation breaks.
    pub(crate) fn add(&mut self, dialect: &'static str, broken: Vec<Vec<String>>) {
        self.0.push((dialect, broken));
    }

    /// Tells all; `0` is written as a point.
    pub(crate) fn print(&self) {
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
    }

    fn violations(&self) -> usize {
        self.0.iter().flat_map(|(_, broken)| broken).map(Vec::len).sum()
    }

    /// What is broken, each with its dialect and operation.
    pub(crate) fn broken(&self) -> Vec<String> {
        let row = |(dialect, broken): &(&'static str, Vec<Vec<String>>)| {
            let dialect = *dialect;
            let cell = |(operation, broken): (Operation, &Vec<String>)| {
                let name = operation.name();
                broken.iter().map(|text| format!("{dialect} {name}: {text}")).collect::<Vec<_>>()
            };
            Operation::ALL.into_iter().zip(broken).flat_map(cell).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(row).collect()
    }
}
