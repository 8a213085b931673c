//! What a program gets of a card in a container that was started with a slice: the files of the CDI spec at their places, in a
//! mount namespace of its own, and a program that takes all that it is given (`hack/k8s/slice.c`).

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::Failed;
use crate::checks::{read, text};
use crate::report::Report;

/// The slice in MiB.
pub(crate) const MIB: u64 = 2000;

/// Blocks of a card's memory in MiB: what is given is rounded to them, and so it may be off by one.
const BLOCK: u64 = 2;

/// Numbers that the program has said, in MiB, by their names.
type Said = HashMap<String, u64>;

/// The program outside of any slice, and what a container starts it with.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// UUID of the card.
    pub(crate) card: String,
}

/// A program that holds what it was given until this is dropped.
struct Holding {
    child: Child,
    said: Said,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn said(line: &str) -> Said {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.chunks_exact(2).filter_map(|pair| Some((pair[0].to_owned(), pair[1].parse().ok()?))).collect()
}

impl Program {
    /// Takes so many MiB and holds them, in a container or not.
    fn hold(&self, container: Option<&Container>, mib: u64) -> Result<Holding, Failed> {
        let mut command = container.map_or_else(|| Command::new(&self.path), |it| it.command(&self.path));
        let child = command.args([&self.card, &mib.to_string(), "hold"]);
        let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| Failed::Io("the program of a slice", e))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line).map_err(|e| Failed::Io("the program of a slice", e))?;
        }
        Ok(Holding { child, said: said(&line) })
    }

    /// What NVML tells of the card: `total` and `used`.
    fn nvml(&self, container: Option<&Container>) -> Result<Said, Failed> {
        let mut command = container.map_or_else(|| Command::new(&self.path), |it| it.command(&self.path));
        let output = command.arg(&self.card).output().map_err(|e| Failed::Io("the program of a slice", e))?;
        Ok(said(&String::from_utf8_lossy(&output.stdout)))
    }

    /// MiB of the card that are in use, by whomever.
    pub(crate) fn used(&self) -> Result<u64, Failed> {
        Ok(number(&self.nvml(None)?, "used"))
    }

    /// MiB that the driver takes for a program's context, rounded up.
    pub(crate) fn context(&self) -> Result<u64, Failed> {
        let before = self.used()?;
        let _holding = self.hold(None, 0)?;
        Ok(self.used()?.saturating_sub(before) + 1)
    }
}

fn number(said: &Said, name: &str) -> u64 {
    said.get(name).copied().unwrap_or_default()
}

/// A container as its runtime makes one, as far as the files go.
struct Container {
    script: String,
    folder: tempfile::TempDir,
}

impl Container {
    /// Of the device's mounts; those of the driver are where they are.
    fn new(spec: &Path, device: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir().map_err(|e| Failed::Io("folder", e))?;
        let spec = read(spec);
        let devices = spec["devices"].as_array().cloned().unwrap_or_default();
        let of = devices.iter().find(|it| it["name"] == device);
        let mounts = of.and_then(|it| it["containerEdits"]["mounts"].as_array().cloned()).unwrap_or_default();
        let own = folder.path().display();
        // What is made for the mounts is made in a copy, not on this machine.
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
        // Each program in a namespace of its own, of the same mounts.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "bash", "-c", &self.script, "bash"]);
        command.arg(program);
        command
    }
}

/// Compares what a slice was given with what was asked for, and with what the card has given.
pub(crate) fn held(
    report: &mut Report,
    program: &Program,
    cdi: &Path,
    device: &str,
    context: u64,
) -> Result<(), Failed> {
    let container = Container::new(&cdi.join("ideal.com-gpu.json"), device)?;
    report.measured("MiB that a context takes", context as f64);
    let nvml = program.nvml(Some(&container))?;
    report.same("NVML in a slice tells the slice", number(&nvml, "total"), MIB);
    let before = program.used()?;
    let holding = program.hold(Some(&container), 2 * MIB)?;
    let said = &holding.said;
    report.same("CUDA in a slice tells the slice", number(said, "total"), MIB);
    report.same("a slice ends with CUDA_ERROR_OUT_OF_MEMORY", number(said, "error"), 2);
    let (free, given) = (number(said, "free"), number(said, "given"));
    let detail = format!("free {free} MiB, given {given} MiB");
    report.check("what is told to be free can be had", free.abs_diff(given) <= BLOCK && given > 0, detail);
    let real = program.used()?.saturating_sub(before);
    report.measured(&format!("MiB of the card that a full slice of {MIB} MiB takes"), real as f64);
    let detail = format!("{real} MiB, of which the program was given {given}");
    report.check("a full slice takes no more of the card than it has", real <= MIB, detail);
    Ok(())
}

/// Frameworks in the slice, where this machine has PyTorch: their own allocators, graphs, compilers and ways to share.
pub(crate) fn frameworks(report: &mut Report, cdi: &Path, device: &str) -> Result<(), Failed> {
    const SCRIPT: &str = include_str!("frameworks.py");
    let there = Command::new("python3").args(["-c", "import torch"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let container = Container::new(&cdi.join("ideal.com-gpu.json"), device)?;
    let script = container.folder.path().join("frameworks.py");
    std::fs::write(&script, SCRIPT).map_err(|e| Failed::Io("frameworks.py", e))?;
    let output = container.command(Path::new("python3")).arg(&script).arg(MIB.to_string()).output();
    let output = output.map_err(|e| Failed::Io("python3", e))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in said.lines() {
        let (outcome, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, why) = rest.split_once(": ").unwrap_or((rest, ""));
        report.check(&format!("in a slice: {name}"), outcome == "passed", why);
    }
    report.check(
        "in a slice: frameworks were tried",
        !said.is_empty(),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(())
}

/// The slot of a container's device.
pub(crate) fn slot(granted: &Value) -> String {
    text(&granted["devices"][0]).rsplit('=').next().unwrap_or_default().to_owned()
}
