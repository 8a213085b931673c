//! What a program in a container with a slice gets of the card: the files of the CDI spec are mounted in a mount namespace of its
//! own, and the program allocates as much as it can (`hack/k8s/slice.c`).

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sanity_tests::rig::{Error, io};
use serde_json::Value;

use crate::json::{read, text};
use crate::report::Report;

/// The slice in MiB.
pub(crate) const MIB: u64 = 2000;

/// Allocation granularity in MiB: what is allocated is a multiple of it.
const BLOCK: u64 = 2;

/// Numbers that the program has printed, in MiB, by their names.
type Numbers = HashMap<String, u64>;

/// The program that allocates.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// UUID of the card.
    pub(crate) card: String,
}

/// A running program that keeps its allocations until this is dropped.
struct Allocation {
    child: Child,
    numbers: Numbers,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn parse(line: &str) -> Numbers {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.chunks_exact(2).filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?))).collect()
}

impl Program {
    /// Allocates up to this many MiB and keeps them, in a container or outside of any.
    fn allocate(&self, container: Option<&Container>, mib: u64) -> Result<Allocation, Error> {
        let mut command = container.map_or_else(|| Command::new(&self.path), |it| it.command(&self.path));
        let child = command.args([&self.card, &mib.to_string(), "hold"]);
        let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(io("the program of a slice"))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(io("the program of a slice"))?;
        }
        Ok(Allocation { child, numbers: parse(&line) })
    }

    /// What NVML reports of the card: `total` and `used`.
    fn nvml(&self, container: Option<&Container>) -> Result<Numbers, Error> {
        let mut command = container.map_or_else(|| Command::new(&self.path), |it| it.command(&self.path));
        let output = command.arg(&self.card).output().map_err(io("the program of a slice"))?;
        Ok(parse(&String::from_utf8_lossy(&output.stdout)))
    }

    /// MiB of the card that are in use by any program.
    pub(crate) fn used(&self) -> Result<u64, Error> {
        Ok(number(&self.nvml(None)?, "used"))
    }

    /// MiB that the driver uses for a program's context, rounded up.
    pub(crate) fn context(&self) -> Result<u64, Error> {
        let before = self.used()?;
        let _allocation = self.allocate(None, 0)?;
        Ok(self.used()?.saturating_sub(before) + 1)
    }
}

fn number(numbers: &Numbers, name: &str) -> u64 {
    numbers.get(name).copied().unwrap_or_default()
}

/// A container as its runtime makes one, as far as files are concerned.
struct Container {
    script: String,
    folder: tempfile::TempDir,
}

impl Container {
    /// With the device's mounts; the driver's own files are in their places already.
    fn new(spec: &Path, device: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(io("folder"))?;
        let spec = read(spec);
        let devices = spec["devices"].as_array().cloned().unwrap_or_default();
        let of = devices.iter().find(|it| it["name"] == device);
        let mounts = of.and_then(|it| it["containerEdits"]["mounts"].as_array().cloned()).unwrap_or_default();
        let own = folder.path().display();
        // Mount points in /etc are made in a copy of it.
        let mut script =
            format!("set -e; [ -d {own}/etc ] || cp -a /etc {own}/etc; mount --bind {own}/etc /etc; ");
        for mount in &mounts {
            let (path, host) = (text(&mount["containerPath"]), text(&mount["hostPath"]));
            let mode = if mount["options"][0] == "ro" { "ro" } else { "rw" };
            script.push_str(&format!(
                "mkdir -p \"$(dirname {path})\"; [ -d {host} ] && mkdir -p {path} || touch {path}; \
                 mount --bind {host} {path}; mount -o remount,bind,{mode} {path}; "
            ));
        }
        script.push_str("exec \"$@\"");
        Ok(Self { script, folder })
    }

    fn command(&self, program: &Path) -> Command {
        // Each program has a namespace of its own with the same mounts.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "bash", "-c", &self.script, "bash"]);
        command.arg(program);
        command
    }
}

/// Compares what a program in a slice can allocate with the slice's size, and with what is used of the card.
pub(crate) fn memory(
    report: &mut Report,
    program: &Program,
    cdi: &Path,
    device: &str,
    context: u64,
) -> Result<(), Error> {
    let container = Container::new(&cdi.join("ideal.com-gpu.json"), device)?;
    report.measured("MiB that a context takes", context as f64);
    let nvml = program.nvml(Some(&container))?;
    report.same("NVML in a slice tells the slice", number(&nvml, "total"), MIB);
    let before = program.used()?;
    let allocation = program.allocate(Some(&container), 2 * MIB)?;
    let numbers = &allocation.numbers;
    report.same("CUDA in a slice tells the slice", number(numbers, "total"), MIB);
    report.same("a slice ends with CUDA_ERROR_OUT_OF_MEMORY", number(numbers, "error"), 2);
    let (free, given) = (number(numbers, "free"), number(numbers, "given"));
    let detail = format!("free {free} MiB, given {given} MiB");
    report.check("what is told to be free can be had", free.abs_diff(given) <= BLOCK && given > 0, detail);
    let real = program.used()?.saturating_sub(before);
    report.measured(&format!("MiB of the card that a full slice of {MIB} MiB takes"), real as f64);
    let detail = format!("{real} MiB, of which the program was given {given}");
    report.check("a full slice takes no more of the card than it has", real <= MIB, detail);
    Ok(())
}

/// Frameworks in the slice, if this machine has PyTorch: their own allocators, graphs, compilers and ways to share.
pub(crate) fn frameworks(report: &mut Report, cdi: &Path, device: &str) -> Result<(), Error> {
    const SCRIPT: &str = include_str!("frameworks.py");
    let there = Command::new("python3").args(["-c", "import torch"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let container = Container::new(&cdi.join("ideal.com-gpu.json"), device)?;
    let script = container.folder.path().join("frameworks.py");
    std::fs::write(&script, SCRIPT).map_err(io("frameworks.py"))?;
    let output = container.command(Path::new("python3")).arg(&script).arg(MIB.to_string()).output();
    let output = output.map_err(io("python3"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in stdout.lines() {
        let (outcome, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        report.check(&format!("in a slice: {name}"), outcome == "passed", why);
    }
    report.check(
        "in a slice: frameworks were tried",
        !stdout.is_empty(),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(())
}

/// The slot of a container's device.
pub(crate) fn slot(granted: &Value) -> String {
    text(&granted["devices"][0]).rsplit('=').next().unwrap_or_default().to_owned()
}
