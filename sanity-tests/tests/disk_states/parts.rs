//! The table in several processes at once. Not in threads: a program that one case starts inherits, for a moment, what
//! another case has open, and then that one's disk is in use.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::content::Content;
use super::table::Line;

/// Processes: more than processors, since most of a case is waiting for the disk.
const PARTS: usize = 3;
/// Tells a process its part, and where its lines go.
const PART: &str = "DISK_STATES_PART";
const LINES: &str = "DISK_STATES_LINES";

/// Every [`PARTS`]th row.
pub(crate) struct Part {
    number: usize,
    lines: PathBuf,
}

/// The part of this process, if it is one that [`run`] started.
pub(crate) fn mine() -> Option<Part> {
    let number = std::env::var(PART).ok()?.parse().unwrap();
    Some(Part { number, lines: std::env::var_os(LINES).unwrap().into() })
}

impl Part {
    /// Runs its rows.
    pub(crate) fn run(&self, contents: &[Content]) {
        let folder = tempfile::tempdir().unwrap();
        let rows = contents.iter().skip(self.number).step_by(PARTS);
        let lines: Vec<Line> = rows
            .map(|content| {
                let own = tempfile::tempdir_in(folder.path()).unwrap();
                Line::of(content, own.path())
            })
            .collect();
        fs::write(&self.lines, serde_json::to_vec(&lines).unwrap()).unwrap();
    }
}

/// Runs this program's only test once for each part, and puts the lines together in the table's order.
pub(crate) fn run(rows: usize) -> Vec<Line> {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..PARTS).map(|part| folder.path().join(part.to_string())).collect();
    let start = |(part, file): (usize, &PathBuf)| {
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.arg("disk_states").env(PART, part.to_string()).env(LINES, file);
        program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let started: Vec<_> = files.iter().enumerate().map(start).collect();
    for process in started {
        let out = process.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&[out.stdout, out.stderr].concat()));
    }
    let read = |file: &PathBuf| -> Vec<Line> { serde_json::from_slice(&fs::read(file).unwrap()).unwrap() };
    let mut parts: Vec<_> = files.iter().map(|file| read(file).into_iter()).collect();
    (0..rows).map(|row| parts[row % PARTS].next().unwrap()).collect()
}
