//! The program that holds the fuzz targets, under libFuzzer.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::compiler;
use super::corpus;
use super::log::Log;
use crate::error::Error;
use crate::process::{feed, output, words};
use crate::workspace::Workspace;

/// A unit of 20 s is a hang, 2 GiB are a leak.
const LIMITS: [&str; 4] = ["-timeout=20", "-rss_limit_mb=2048", "-detect_leaks=0", "-verbosity=1"];

/// How long a bug that is found within a second may take.
const PLANTED_SECONDS: u64 = 60;

/// The built program, and where it may write.
pub(super) struct Program {
    root: PathBuf,
    path: PathBuf,
    scratch: TempDir,
}

impl Program {
    /// Compiles the targets. They lie in a folder of their own below cargo's: the same crates, compiled otherwise, would push each
    /// other out.
    pub(super) fn build(root: &Path) -> Result<Self, Error> {
        // libFuzzer is C++.
        if !Command::new("g++").arg("--version").output().is_ok_and(|output| output.status.success()) {
            output(Command::new(root.join("hack/install")).args(["--only", "g++"]))?;
        }
        let wrapper = std::env::current_exe().map_err(Error::io(Path::new("/proc/self/exe")))?;
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--locked", "--package", "fuzz", "--features", "libfuzzer"]);
        build.args(["--bin", "fuzz", "--profile", "fuzz"]).current_dir(root);
        // Minutes, from an empty folder: cargo tells how far it is.
        let status = build.env(compiler::VARIABLE, "1").env("RUSTC_WORKSPACE_WRAPPER", wrapper).status();
        let status = status.map_err(|error| Error::Tool("cargo build".into(), error.to_string()))?;
        if !status.success() {
            return Err(Error::Tool("cargo build".into(), status.to_string()));
        }
        let path = Workspace::of(root)?.target_directory.join("fuzz/fuzz");
        let scratch = tempfile::tempdir().map_err(Error::io(Path::new("a temporary folder")))?;
        Ok(Self { root: root.to_owned(), path, scratch })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn corpus(&self, target: &str) -> PathBuf {
        self.root.join("fuzz/corpus").join(target)
    }

    fn command(&self, target: &str) -> Command {
        let mut command = Command::new(&self.path);
        command.args(LIMITS).env("FUZZ_TARGET", target).current_dir(&self.root);
        command
    }

    /// The planted bug must be found, and within seconds: else nothing is instrumented and the rest only looks like fuzzing.
    pub(super) fn finds_planted_bug(&self) -> Result<(), Error> {
        let folder = self.folder("planted")?;
        let mut command = self.command("planted");
        command.arg(format!("-max_total_time={PLANTED_SECONDS}"));
        command.arg(format!("-artifact_prefix={}/", folder.display())).arg(&folder);
        let output = feed(&mut command, "")?;
        let said = words(&output);
        if output.status.success() || !said.lines().any(|line| line.ends_with("planted")) {
            return Err(Error::Tool("fuzz".into(), format!("the planted bug is not found\n{said}")));
        }
        Ok(())
    }

    /// Runs the target for these seconds, or with 0 every input of its corpus once.
    pub(super) fn fuzz(&self, target: &str, seconds: u64) -> Result<Log, Error> {
        let broken = self.root.join("fuzz/broken").join(target);
        std::fs::create_dir_all(&broken).map_err(Error::io(&broken))?;
        let corpus = self.corpus(target);
        let mut command = self.command(target);
        match seconds {
            0 => command.arg("-runs=0"),
            _ => command.arg(format!("-max_total_time={seconds}")).arg("-reload=0"),
        };
        command.arg("-print_final_stats=1").arg(format!("-max_len={}", corpus::longest(&corpus)?));
        let dictionary = self.root.join("fuzz/words").join(target);
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.arg(format!("-artifact_prefix=fuzz/broken/{target}/")).arg(self.folder(target)?).arg(corpus);
        let output = feed(&mut command, "")?;
        Ok(Log::parse(output.status.success(), words(&output)))
    }

    /// Out of the corpus and what was found, keeps the inputs that reach the most.
    pub(super) fn minimise(&self, target: &str) -> Result<(), Error> {
        let corpus = self.corpus(target);
        let fresh = self.folder(&format!("{target}.kept"))?;
        let mut command = self.command(target);
        command.arg("-set_cover_merge=1").arg(format!("-max_len={}", corpus::longest(&corpus)?));
        output(command.arg(&fresh).arg(&corpus).arg(self.folder(target)?))?;
        corpus::replace(&corpus, &fresh)
    }

    fn folder(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.scratch.path().join(name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }
}
