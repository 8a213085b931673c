//! `cargo xtask fuzz [--keep] [SECONDS] [TARGET...]`: runs each fuzz target from its corpus, two at once, and prints what each did.
//! An input that broke a property is kept in fuzz/broken/TARGET, with how to run it again. A planted bug is looked for first.
//!
//! The compiler is the project's own, a stable one: the instrumentation is a pass of LLVM that `-C passes` names, and libFuzzer comes
//! as a crate with its source, pinned in Cargo.lock. Only our own crates are instrumented.

mod compiler;
mod corpus;
mod log;
mod program;

use std::collections::VecDeque;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use crate::error::Error;
use crate::files::entries;
use crate::tally::Tally;

pub(crate) use compiler::compile_instead;
use log::Log;
use program::Program;

/// Targets that run at the same time.
const AT_ONCE: usize = 2;

/// What to fuzz, and for how long.
pub(crate) struct Plan {
    /// Of each target; 0 only replays the corpus.
    pub(crate) seconds: u64,
    /// Folders of fuzz/corpus.
    pub(crate) targets: Vec<String>,
    /// Adds what is found to the corpus: the smallest set of inputs that reaches the same code.
    pub(crate) keep: bool,
}

impl Plan {
    /// Of the words `[SECONDS] [TARGET...]`; without targets, all of them for a minute.
    pub(crate) fn parse(root: &Path, words: &[String], keep: bool) -> Result<Self, Error> {
        let folders = entries(&root.join("fuzz/corpus"))?.into_iter().filter(|entry| entry.is_dir());
        let all: Vec<String> = folders
            .filter_map(|folder| folder.file_name().map(|name| name.to_string_lossy().into_owned()))
            .collect();
        let seconds = words.first().and_then(|word| word.parse().ok());
        let targets = if seconds.is_some() { &words[1..] } else { words };
        if let Some(wrong) = targets.iter().find(|target| !all.contains(target)) {
            let text = format!("target: {wrong} is not allowed; allowed: a folder of fuzz/corpus");
            return Err(Error::Tool("fuzz".into(), text));
        }
        let targets = if targets.is_empty() { all } else { targets.to_vec() };
        Ok(Self { seconds: seconds.unwrap_or(60), targets, keep })
    }
}

pub(crate) fn run(root: &Path, plan: &Plan) -> Result<ExitCode, Error> {
    let program = Program::build(root)?;
    program.finds_planted_bug()?;
    let logs = fuzz(&program, plan)?;
    corpus::remove_empty_folders(&root.join("fuzz/broken"))?;
    let mut tally = Tally::default();
    println!("{}", log::header());
    for (target, log) in &logs {
        println!("{}", log.line(target));
        tally.count(log.is_ok());
        if !log.is_ok() {
            print!("{}", log.words());
            again(root, &program, target)?;
        } else if plan.keep {
            program.minimise(target)?;
        }
    }
    Ok(tally.finish())
}

/// Runs the targets, and gives their logs in the plan's order.
fn fuzz(program: &Program, plan: &Plan) -> Result<Vec<(String, Log)>, Error> {
    let queue: Mutex<VecDeque<&String>> = Mutex::new(plan.targets.iter().collect());
    let next = || queue.lock().map(|mut queue| queue.pop_front()).ok().flatten();
    let worker = || {
        let mut done = Vec::new();
        while let Some(target) = next() {
            done.push((target.clone(), program.fuzz(target, plan.seconds)?));
        }
        Ok::<_, Error>(done)
    };
    let mut logs = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            let died = |_| Error::Tool("fuzz".into(), "a thread has panicked".into());
            logs.extend(worker.join().map_err(died)??);
        }
        Ok::<_, Error>(())
    })?;
    logs.sort_by_key(|(target, _)| plan.targets.iter().position(|planned| planned == target));
    Ok(logs)
}

/// Prints how to run again what broke a property.
fn again(root: &Path, program: &Program, target: &str) -> Result<(), Error> {
    let folder = root.join("fuzz/broken").join(target);
    let broken = if folder.exists() { entries(&folder)? } else { Vec::new() };
    for input in broken {
        println!("again: FUZZ_TARGET={target} {} {}", program.path().display(), input.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(words: &[&str]) -> Result<Plan, Error> {
        let folder = tempfile::tempdir().unwrap();
        for target in ["one", "two"] {
            std::fs::create_dir_all(folder.path().join("fuzz/corpus").join(target)).unwrap();
        }
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Plan::parse(folder.path(), &words, false)
    }

    #[test]
    fn without_words_every_target_runs_for_a_minute() {
        let plan = plan(&[]).unwrap();
        assert_eq!((plan.seconds, plan.targets), (60, vec!["one".to_owned(), "two".to_owned()]));
    }

    #[test]
    fn seconds_and_targets_may_be_named() {
        let seconds_and_target = plan(&["0", "two"]).unwrap();
        assert_eq!((seconds_and_target.seconds, seconds_and_target.targets), (0, vec!["two".to_owned()]));
        let target = plan(&["one"]).unwrap();
        assert_eq!((target.seconds, target.targets), (60, vec!["one".to_owned()]));
    }

    #[test]
    fn a_target_that_there_is_not_is_refused() {
        assert!(plan(&["three"]).is_err());
    }
}
