//! A machine with a card, and programs that compute on it: one that is simulated, or this one.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ideal_gpu::region::REGION_BYTES;
use tempfile::TempDir;

/// The simulated card.
const SIMULATED: &str = "GPU-8f3a0c1e-0000-1111-2222-000000000000";

/// A container's start, as far as the files go.
const CONTAINER: &str = include_str!("container.sh");

/// The machine.
pub(crate) struct Machine {
    /// With `libvcuda.so`, `compute` and, where the card is simulated, `driver/`.
    parts: PathBuf,
    folder: TempDir,
    pub(crate) card: String,
    pub(crate) name: String,
    /// What the kernel of `compute` counts in a microsecond.
    units: u64,
}

/// A container of a measurement.
#[derive(Debug, Clone, Copy)]
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
    pub(crate) fn new(parts: &Path) -> io::Result<Self> {
        let (folder, parts) = (tempfile::tempdir()?, parts.canonicalize()?);
        let simulated = parts.join("driver").exists();
        let (card, name) = if simulated {
            (SIMULATED.to_owned(), "a simulated card, not a real one".to_owned())
        } else {
            (asked("uuid")?, format!("{}, driver {}", asked("name")?, asked("driver_version")?))
        };
        let turns = folder.path().join("turns");
        std::fs::create_dir(&turns)?;
        std::fs::write(turns.join(&card), "")?;
        let mut machine = Self { parts, folder, card, name, units: 1000 };
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

    /// Runs containers beside each other.
    pub(crate) fn run(&self, jobs: &[Job], seconds: f64) -> io::Result<Vec<Got>> {
        // A simulated card that has done nothing yet.
        let state = tempfile::tempdir_in(self.folder.path())?;
        let card = format!(
            "state = \"{}\"\n[[cards]]\nuuid = \"{SIMULATED}\"\nmodel = \"A\"\nmemory_mib = 24000\n",
            state.path().display()
        );
        std::fs::write(self.path("cards.toml"), card)?;
        let start = |(place, job): (usize, &Job)| self.start(&format!("c{place}"), *job, seconds);
        let children = jobs.iter().enumerate().map(start).collect::<io::Result<Vec<_>>>()?;
        children.into_iter().map(|child| parse(&child.wait_with_output()?.stdout)).collect()
    }

    fn start(&self, name: &str, job: Job, seconds: f64) -> io::Result<Child> {
        let mut command = if job.percent == 0 { self.bare() } else { self.contained(name, job) };
        command.args([job.mode, &job.kernel_ns.to_string(), &seconds.to_string()]);
        command.args(job.kernels.map(|kernels| kernels.to_string()));
        command.stdout(Stdio::piped()).spawn()
    }

    fn bare(&self) -> Command {
        let mut command = Command::new(self.parts.join("compute"));
        self.environment(&mut command);
        command
    }

    fn contained(&self, name: &str, job: Job) -> Command {
        let Job { percent, conserving, .. } = job;
        let limits = format!(
            "{{\"version\":1,\"pod_uid\":\"u\",\"pod_namespace\":\"n\",\"pod_name\":\"{name}\",\"container\":\"c\",\
             \"virtual_memory\":false,\"work_conserving\":{conserving},\"cards\":[{{\"index\":0,\"uuid\":\"{}\",\
             \"core_percent\":{percent},\"memory_mib\":2000,\"context_mib\":0}}]}}",
            self.card
        );
        let mut command = Command::new("sh");
        command.args(["-c", CONTAINER, "container.sh"]).arg(self.path(name));
        command.arg(self.parts.join("libvcuda.so")).arg(self.path("turns")).arg(limits);
        command.arg(self.parts.join("compute")).env("REGION_BYTES", REGION_BYTES.to_string());
        self.environment(&mut command);
        command
    }

    fn environment(&self, command: &mut Command) {
        command.env("UNITS_PER_US", self.units.to_string());
        if self.parts.join("driver").exists() {
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

/// The program prints names and numbers in turn.
fn parse(said: &[u8]) -> io::Result<Got> {
    let said = String::from_utf8_lossy(said);
    let words: Vec<&str> = said.split_whitespace().collect();
    let number = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    if number("took_ms").or_else(|| number("p50")).is_none() {
        return Err(io::Error::other(format!("compute: {said}")));
    }
    let number = |name| number(name).unwrap_or_default();
    Ok(Got {
        share: number("share"),
        took_ms: number("took_ms"),
        worst_ms: number("worst_ms"),
        p50: number("p50"),
        p99: number("p99"),
    })
}
