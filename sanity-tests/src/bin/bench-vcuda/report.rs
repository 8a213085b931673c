//! What is printed, and kept in a file.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// The report.
pub(crate) struct Report {
    file: Option<File>,
    /// Goals, each with whether it was met.
    goals: Vec<(String, bool)>,
}

impl Report {
    pub(crate) fn new(out: Option<&Path>) -> io::Result<Self> {
        Ok(Self { file: out.map(File::create).transpose()?, goals: Vec::new() })
    }

    /// Says a line, at once: a run that is stopped has said what it knew.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        println!("{line}");
        self.file.as_mut().map_or(Ok(()), |file| writeln!(file, "{line}"))
    }

    /// A number that should be at most so much.
    pub(crate) fn goal(&mut self, what: &str, got: f64, most: f64, digits: usize) -> io::Result<()> {
        let line = format!("{what}: {got:.digits$} (goal: at most {most})");
        self.say(&line)?;
        self.goals.push((line, got <= most));
        Ok(())
    }

    /// All goals once more.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.say("goals\n")?;
        for (line, met) in std::mem::take(&mut self.goals) {
            self.say(&format!("{} {line}", if met { "met   " } else { "MISSED" }))?;
        }
        Ok(())
    }
}

/// What the numbers depend on.
pub(crate) fn load() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/loadavg")?.trim().to_owned())
}

/// The machine's processor.
pub(crate) fn processor() -> io::Result<String> {
    let told = std::fs::read_to_string("/proc/cpuinfo")?;
    let name = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism()?;
    Ok(format!("{cores} cores of {}", name.map_or("a processor without a name", |(_, name)| name)))
}
