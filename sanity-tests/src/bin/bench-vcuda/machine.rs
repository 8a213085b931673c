//! A machine with a card, and programs that compute on it: one that is simulated, or this one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use arbiter::{Arbiter, Shares};
use ideal_gpu::accounting::layout::FILE_BYTES;
use ideal_gpu::limits::Limits;
use tempfile::TempDir;

/// The simulated card.
const SIMULATED: &str = "GPU-8f3a0c1e-0000-1111-2222-000000000000";

/// Length of kernels in ns from which on launches and waits between them take no time worth mentioning.
const NO_GAPS: u64 = 10_000_000;

/// Card time that a container may use at once after it wanted none for long: none, as what is measured is what a share gives in the long
/// run, in seconds.
const BURST: Duration = Duration::ZERO;

/// A container's start, as far as the files go.
const CONTAINER: &str = include_str!("container.sh");

/// The machine.
pub(crate) struct Machine {
    /// With `libvcuda.so`, `compute` and, where the card is simulated, `driver/`.
    parts: PathBuf,
    folder: TempDir,
    pub(crate) card: String,
    pub(crate) name: String,
    /// Gives out the card's time.
    arbiter: Arbiter,
    /// What the kernel of `compute` counts in a microsecond.
    units: u64,
    /// What programs get without limits, by their mode and the length of their kernels.
    wholes: RefCell<HashMap<(&'static str, u64), f64>>,
}

/// A container of a measurement.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Job {
    /// Of the card; 0 is a program without the library.
    pub(crate) percent: u32,
    /// How it launches and waits, a mode of `compute.c`.
    pub(crate) mode: &'static str,
    pub(crate) kernel_ns: u64,
    /// Kernels to be done; without a number it computes for a time.
    pub(crate) kernels: Option<u64>,
    /// It may use what nobody else wants.
    pub(crate) conserving: bool,
}

/// What a program has measured of its share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Got {
    /// Of the card, in percent.
    pub(crate) share: f64,
    /// On the clock that all programs have.
    pub(crate) begin_ms: f64,
    pub(crate) end_ms: f64,
    /// The longest that one of its launches has taken.
    pub(crate) held_ms: f64,
}

/// Names and numbers in turn, as a program prints them.
pub(crate) struct ProgramOutput(String);

impl ProgramOutput {
    pub(crate) fn number(&self, name: &str) -> io::Result<f64> {
        let mut words = self.0.split_whitespace();
        let number = words.find(|word| *word == name).and_then(|_| words.next()?.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("compute says no {name}: {}", self.0)))
    }
}

/// A program that is ready to begin.
struct Ready {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Ready {
    fn wait(mut child: Child) -> io::Result<Self> {
        let output = child.stdout.take().ok_or_else(|| io::Error::other("compute has no output"))?;
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line)?;
        if line != "ready\n" {
            return Err(io::Error::other(format!("compute: {line}{}", child.wait()?)));
        }
        Ok(Self { child, output })
    }

    fn begin(&mut self) -> io::Result<()> {
        self.child.stdin.as_mut().map_or(Ok(()), |input| input.write_all(b"\n"))
    }

    fn end(mut self) -> io::Result<ProgramOutput> {
        let mut said = String::new();
        self.output.read_to_string(&mut said)?;
        said += &self.child.wait()?.to_string();
        Ok(ProgramOutput(said))
    }
}

impl Machine {
    pub(crate) fn new(parts: &Path) -> io::Result<Self> {
        let (folder, parts) = (tempfile::tempdir()?, parts.canonicalize()?);
        let simulated = parts.join("driver").exists();
        let (card, name) = if simulated {
            (SIMULATED.to_owned(), "a simulated card, not a real one".to_owned())
        } else {
            (asked("uuid")?, format!("{}, driver {}", asked("name")?, asked("driver_version")?))
        };
        let arbiter = Arbiter::start().map_err(io::Error::other)?;
        let mut machine =
            Self { parts, folder, card, name, arbiter, units: 1000, wholes: RefCell::default() };
        if !simulated {
            machine.units = machine.calibrate()?;
        }
        Ok(machine)
    }

    /// The kernel counts; how fast, is measured with the card to itself.
    fn calibrate(&self) -> io::Result<u64> {
        let output = self.bare().arg("calibrate").output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let units = said.trim().strip_prefix("units ").and_then(|units| units.parse().ok());
        units.ok_or_else(|| io::Error::other(format!("compute calibrate: {said}")))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a program gets of the card without limits and without others, in percent. Measured once.
    pub(crate) fn whole(&self, job: Job, seconds: f64) -> io::Result<f64> {
        // Beside them no gap counts; and a program that never waits has a thousand of them on their way before it has to.
        if job.kernel_ns >= NO_GAPS {
            return Ok(100.0);
        }
        let key = (job.mode, job.kernel_ns);
        if let Some(known) = self.wholes.borrow().get(&key) {
            return Ok(*known);
        }
        let share = self.run(&[Job { percent: 0, ..job }], seconds)?[0].share;
        self.wholes.borrow_mut().insert(key, share);
        Ok(share)
    }

    /// Runs containers beside each other, which all begin when the last of them is ready.
    pub(crate) fn run(&self, jobs: &[Job], seconds: f64) -> io::Result<Vec<Got>> {
        let state = self.reset()?;
        let start = |(place, job): (usize, &Job)| {
            let mut command = self.command(&format!("c{place}"), *job, &state)?;
            command.args([job.mode, &job.kernel_ns.to_string(), &seconds.to_string()]);
            command.args(job.kernels.map(|kernels| kernels.to_string())).env("GO", "1");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        };
        let children = jobs.iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?;
        let mut ready = children.into_iter().map(Ready::wait).collect::<io::Result<Vec<_>>>()?;
        ready.iter_mut().try_for_each(Ready::begin)?;
        ready.into_iter().map(|ready| got(&ready.end()?)).collect()
    }

    /// What calls cost one program.
    pub(crate) fn cost(&self, job: Job) -> io::Result<ProgramOutput> {
        let state = self.reset()?;
        let output = self.command("c0", job, &state)?.arg(job.mode).output()?;
        Ok(ProgramOutput(format!("{}{}", String::from_utf8_lossy(&output.stdout), output.status)))
    }

    /// A simulated card that has done nothing yet.
    fn reset(&self) -> io::Result<TempDir> {
        let state = tempfile::tempdir_in(self.folder.path())?;
        let card = format!(
            "state = \"{}\"\n[[cards]]\nuuid = \"{SIMULATED}\"\nmodel = \"A\"\nmemory_mib = 24000\n",
            state.path().display()
        );
        std::fs::write(self.path("cards.toml"), card)?;
        Ok(state)
    }

    fn command(&self, name: &str, job: Job, state: &TempDir) -> io::Result<Command> {
        let mut command = if job.percent == 0 { self.bare() } else { self.contained(name, job)? };
        if self.simulated() {
            command.env("TRUTH", state.path().join(format!("{SIMULATED}.used")));
        }
        Ok(command)
    }

    fn simulated(&self) -> bool {
        self.parts.join("driver").exists()
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(self.parts.join("compute"));
        self.environment(&mut command);
        command
    }

    fn contained(&self, name: &str, job: Job) -> io::Result<Command> {
        let Job { percent, conserving, .. } = job;
        let limits = format!(
            "{{\"version\":1,\"pod_uid\":\"u\",\"pod_namespace\":\"n\",\"pod_name\":\"{name}\",\"container\":\"c\",\
             \"virtual_memory\":false,\"work_conserving\":{conserving},\"cards\":[{{\"index\":0,\"uuid\":\"{}\",\
             \"core_percent\":{percent},\"memory_mib\":2000,\"context_mib\":0}}]}}",
            self.card
        );
        let arbiter = self.path("arbiter").join(name);
        let shares = Shares::of(&Limits::parse(limits.as_bytes()).map_err(io::Error::other)?, BURST);
        self.arbiter.serve(name, &arbiter, shares).map_err(io::Error::other)?;
        let mut command = Command::new("sh");
        command.args(["-c", CONTAINER, "container.sh"]).arg(self.path(name));
        command.arg(self.parts.join("libvcuda.so")).arg(&arbiter).arg(limits);
        command.arg(self.parts.join("compute")).env("ACCOUNTING_BYTES", FILE_BYTES.to_string());
        self.environment(&mut command);
        Ok(command)
    }

    fn environment(&self, command: &mut Command) {
        command.env("UNITS_PER_US", self.units.to_string());
        if self.simulated() {
            command.env("LD_LIBRARY_PATH", self.parts.join("driver"));
            command.env("FAKE_NVML_CONFIG", self.path("cards.toml"));
        }
    }
}

/// A property of this machine's first card.
fn asked(property: &str) -> io::Result<String> {
    let mut smi = Command::new("nvidia-smi");
    let output = smi.args([&format!("--query-gpu={property}"), "--format=csv,noheader"]).output()?;
    let said = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    if said.is_empty() { Err(io::Error::other("nvidia-smi tells of no card")) } else { Ok(said) }
}

fn got(said: &ProgramOutput) -> io::Result<Got> {
    Ok(Got {
        share: said.number("share")?,
        begin_ms: said.number("begin_ms")?,
        end_ms: said.number("end_ms")?,
        held_ms: said.number("held_ms")?,
    })
}
