//! A machine with one card that has nothing but time, and programs that compute on it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The stand-in's card.
const CARD: &str = "GPU-11111111-1111-1111-1111-111111111111";

/// The machine.
pub(crate) struct Machine(TempDir);

/// A container of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Of the card; 0 is a program without the library.
    pub(crate) percent: u32,
    /// How it launches and waits, a mode of `program.c`.
    pub(crate) mode: &'static str,
    pub(crate) kernel_ns: u64,
    /// Kernels to be done; without a number it computes for a time.
    pub(crate) kernels: Option<u64>,
}

/// What a program has measured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Got {
    /// Of the card, in percent.
    pub(crate) share: f64,
    pub(crate) took_ms: f64,
    /// The longest time between two of its launches.
    pub(crate) worst_ms: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Machine {
    pub(crate) fn new(library: &Path) -> io::Result<Self> {
        let machine = Self(tempfile::tempdir()?);
        let card = machine.path("libcuda.so.1");
        gcc(&["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"], "card.c", &card, None)?;
        gcc(&[], "program.c", &machine.path("program"), Some(&card))?;
        std::fs::copy(library, machine.path("libvcuda.so"))?;
        std::fs::create_dir(machine.path("turn"))?;
        std::fs::write(machine.path("turn").join(CARD), "")?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs containers beside each other.
    pub(crate) fn run(&self, jobs: &[Job], seconds: f64) -> io::Result<Vec<Got>> {
        // A card that has done nothing yet.
        std::fs::write(self.path("card"), [0; 4096])?;
        let start = |(place, job): (usize, &Job)| self.start(&format!("c{place}"), *job, seconds);
        let children = jobs.iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?;
        children.into_iter().map(|child| Ok(parse(&child.wait_with_output()?.stdout))).collect()
    }

    fn start(&self, name: &str, job: Job, seconds: f64) -> io::Result<Child> {
        let mut command = match job.percent {
            0 => {
                let mut bare = Command::new(self.path("program"));
                bare.env("LD_LIBRARY_PATH", self.0.path()).env("FAKE_CARD", self.path("card"));
                bare
            }
            percent => {
                let mut contained = Command::new(source("container"));
                contained.arg(self.0.path()).args([name, &percent.to_string(), "false"]);
                contained.arg(self.path("program"));
                contained
            }
        };
        command.args([job.mode, &job.kernel_ns.to_string(), &seconds.to_string()]);
        command.args(job.kernels.map(|kernels| kernels.to_string()));
        command.stdout(Stdio::piped()).spawn()
    }
}

/// The program prints names and numbers in turn.
fn parse(said: &[u8]) -> Got {
    let said = String::from_utf8_lossy(said);
    let words: Vec<&str> = said.split_whitespace().collect();
    let number = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    let number = |name| number(name).unwrap_or_default();
    Got {
        share: number("share"),
        took_ms: number("took_ms"),
        worst_ms: number("worst_ms"),
        p50: number("p50"),
        p99: number("p99"),
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gpu-plugin/vcuda/tests/compute").join(name)
}

fn gcc(options: &[&str], name: &str, out: &Path, library: Option<&Path>) -> io::Result<()> {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-w"]).args(options).arg("-o").arg(out).arg(source(name)).args(library);
    if gcc.status()?.success() { Ok(()) } else { Err(io::Error::other(format!("{name} does not compile"))) }
}
