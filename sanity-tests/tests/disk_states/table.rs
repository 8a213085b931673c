//! The table: a line for each content, a column for each fault.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::{self, CaseResult};
use super::content::Content;
use super::disk::Disk;
use super::fault::{ALL, Fault, Outcome};

/// One content: the outcome of each fault, what is wrong with it if anything, and why it was refused if it was.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    name: String,
    outcomes: Vec<Outcome>,
    wrong: Vec<String>,
    why: String,
}

impl Line {
    /// Lets the content meet every fault.
    pub(crate) fn of(content: &Content, folder: &Path) -> Self {
        let disk = Disk::prepare(content, folder);
        let results = ALL.map(|fault| case::run(&disk, fault));
        let wrong =
            ALL.iter().zip(&results).flat_map(|(fault, result)| wrong(*fault, &disk, result)).collect();
        let outcomes = results.iter().map(|s| s.outcome).collect();
        let why = results.into_iter().next().map(|s| s.words).unwrap_or_default();
        Self { name: content.name.clone(), outcomes, wrong, why }
    }
}

/// What is wrong with one case, in words.
fn wrong(fault: Fault, disk: &Disk<'_>, result: &CaseResult) -> Vec<String> {
    let mut wrong = result.wrong.clone();
    let wanted = fault.outcome(disk.content.truth, disk.mountable);
    if result.outcome != wanted {
        wrong.push(format!("{:?} instead of {wanted:?}: {}", result.outcome, result.words));
    }
    let plain = Fault::None.outcome(disk.content.truth, disk.mountable);
    let by_fault = plain != Outcome::Refused && wanted == Outcome::Refused;
    if by_fault && !fault.reasons().iter().any(|reason| result.words.contains(reason)) {
        wrong.push(format!("refused, but for another reason: {}", result.words));
    }
    wrong.iter().map(|w| format!("{}: {w}", fault.words())).collect()
}

/// Prints everything, the total last, and gives the number of things that are wrong.
pub(crate) fn print(lines: &[Line], took: Duration) -> usize {
    println!("F formatted   M mounted   B handed over as a block device   - refused, every byte as before\n");
    for (column, fault) in ALL.iter().enumerate() {
        println!("{:>2}  {}", column + 1, fault.words());
    }
    let header: String = (1..=ALL.len()).map(|n| format!("{n:>3}")).collect();
    println!("\n{:44}{header}", "");
    for line in lines {
        let letters: String = line.outcomes.iter().map(|o| format!("{:>3}", o.letter())).collect();
        println!("{:44}{letters}   {}", line.name, line.why);
        line.wrong.iter().for_each(|wrong| println!("{:44}WRONG {wrong}", ""));
    }
    let count = |wanted: Outcome| lines.iter().flat_map(|l| &l.outcomes).filter(|o| **o == wanted).count();
    let wrong = lines.iter().map(|l| l.wrong.len()).sum();
    println!(
        "\n{} contents x {} faults and ways = {} cases: {} formatted, {} mounted, {} as block devices, {} refused; \
         {wrong} wrong; {} s",
        lines.len(),
        ALL.len(),
        lines.len() * ALL.len(),
        count(Outcome::Formatted),
        count(Outcome::Mounted),
        count(Outcome::Block),
        count(Outcome::Refused),
        took.as_secs()
    );
    wrong
}
