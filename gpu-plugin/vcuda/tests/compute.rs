//! Slices of compute are held for real programs in real mount namespaces, on a card that has nothing but time. The margins are
//! wide: it is tested that a slice is held, and `hack/bench vcuda` measures how well.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The stand-in's card.
const CARD: &str = "GPU-11111111-1111-1111-1111-111111111111";

const MS: u64 = 1_000_000;

/// A machine with one card.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let source = source();
        let card = machine.path("libcuda.so.1");
        gcc(&["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1"], &source.join("card.c"), &card, &[]);
        gcc(&[], &source.join("program.c"), &machine.path("program"), &[card.to_str().unwrap()]);
        std::fs::copy(library(), machine.path("libvcuda.so")).unwrap();
        std::fs::create_dir(machine.path("turn")).unwrap();
        std::fs::write(machine.path("turn").join(CARD), "").unwrap();
        std::fs::write(machine.path("card"), vec![0; 4096]).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A container that computes.
    fn start(
        &self,
        name: &str,
        percent: u32,
        conserving: bool,
        mode: &str,
        kernel_ns: u64,
        seconds: f64,
    ) -> Child {
        let mut command = Command::new(source().join("container"));
        command.arg(self.0.path()).args([name, &percent.to_string(), &conserving.to_string()]);
        command.arg(self.path("program")).args([mode, &kernel_ns.to_string(), &seconds.to_string()]);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    /// The share that a container got, alone.
    fn alone(&self, percent: u32, conserving: bool, mode: &str, kernel_ns: u64) -> f64 {
        share(self.start("alone", percent, conserving, mode, kernel_ns, 2.0))
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compute")
}

fn gcc(options: &[&str], source: &Path, out: &Path, libraries: &[&str]) {
    let mut gcc = Command::new("gcc");
    gcc.args(["-O2", "-w"]).args(options).arg("-o").arg(out).arg(source).args(libraries);
    assert!(gcc.status().unwrap().success(), "{} does not compile", source.display());
}

/// Builds the library: cargo does not build a C library for the tests of its own package.
fn library() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.args(["build", "--quiet", "--message-format=json", "-p", "vcuda"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let mut files = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["filenames"][0].as_str().map(PathBuf::from)
    });
    files.rfind(|path| path.ends_with("libvcuda.so")).unwrap()
}

fn said(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

fn share(child: Child) -> f64 {
    let said = said(child);
    let share = said.strip_prefix("share ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    share.unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn a_share_is_held_however_the_work_is_launched_and_waited_for() {
    let machine = Machine::new();
    for mode in ["async", "sync", "query", "event", "default", "thread", "destroy", "graph"] {
        let got = machine.alone(30, false, mode, 2 * MS);
        assert!((20.0..=36.0).contains(&got), "{mode}: {got} of 30 %");
    }
}

#[test]
fn a_share_is_held_whatever_the_length_of_its_kernels() {
    let machine = Machine::new();
    for kernel in [MS / 10, 10 * MS, 150 * MS] {
        let got = machine.alone(40, false, "async", kernel);
        assert!((30.0..=47.0).contains(&got), "{kernel} ns: {got} of 40 %");
    }
}

#[test]
fn a_whole_card_and_one_that_may_take_what_is_left_are_not_held() {
    let machine = Machine::new();
    assert!(machine.alone(100, false, "async", MS) > 90.0);
    assert!(machine.alone(10, true, "async", MS) > 60.0);
}

#[test]
fn two_containers_get_what_each_was_promised() {
    let machine = Machine::new();
    let small = machine.start("small", 20, false, "sync", MS, 4.0);
    let large = machine.start("large", 60, false, "async", 5 * MS, 4.0);
    let (small, large) = (share(small), share(large));
    assert!(
        (14.0..=25.0).contains(&small) && (50.0..=68.0).contains(&large),
        "{small} of 20 %, {large} of 60 %"
    );
}

#[test]
fn one_that_is_killed_in_its_turn_or_never_launches_again_keeps_nobody_waiting() {
    let machine = Machine::new();
    let mut killed = machine.start("killed", 50, false, "async", MS, 60.0);
    let leaves = machine.start("leaves", 50, false, "leave", MS, 0.5);
    std::thread::park_timeout(Duration::from_secs(1));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let got = machine.alone(50, false, "async", MS);
    assert!((40.0..=58.0).contains(&got), "{got} of 50 %");
    share(leaves);
}

#[test]
fn without_its_place_in_the_turn_a_container_launches_nothing() {
    let machine = Machine::new();
    std::fs::remove_file(machine.path("turn").join(CARD)).unwrap();
    let child = machine.start("alone", 50, false, "async", MS, 1.0);
    assert_eq!(said(child), "launch 800\n", "CUDA_ERROR_NOT_PERMITTED");
}
