//! `accept-gpu` on fake cards: so that it works on the day when a real one is there, and is not satisfied with anything.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sanity_tests::fake_kubelet::programs;
use sanity_tests::process::{library, shipped};
use serde_json::Value;

/// A machine with two cards, its driver's files below `root`.
fn machine(root: &Path) {
    let (devices, libraries, tools) = (root.join("dev"), root.join("usr/lib64"), root.join("usr/bin"));
    for folder in [&devices, &libraries, &tools] {
        fs::create_dir_all(folder).unwrap();
    }
    for name in ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"] {
        // Any character device will do.
        symlink("/dev/null", devices.join(name)).unwrap();
    }
    for name in ["libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler"] {
        let file = format!("{name}.so.580.82.07");
        fs::write(libraries.join(&file), "").unwrap();
        symlink(&file, libraries.join(format!("{name}.so.1"))).unwrap();
    }
    let cards = "0, GPU-n-0, NVIDIA A10, 24000, 0, 580.82.07, 00000000:00:00.0, [N/A]\n\
                 1, GPU-n-1, NVIDIA A10, 24000, 0, 580.82.07, 00000000:01:00.0, [N/A]";
    let smi = tools.join("nvidia-smi");
    fs::write(&smi, format!("#!/bin/sh\ncat <<E\n{cards}\nE\n")).unwrap();
    fs::set_permissions(&smi, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(root.join("cards.toml"), programs::machine("n", 2, "NVIDIA A10", 24_000)).unwrap();
}

fn accept(root: &Path, more: &[&str]) -> (Output, Value) {
    let out = root.join("result.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_accept-gpu"));
    command.env("FAKE_NVML_CONFIG", root.join("cards.toml"));
    command.arg("--plugin").arg(shipped("ideal-gpu-plugin", "ideal-gpu-plugin").unwrap());
    command.arg("--nvml-library").arg(programs::fake_library().unwrap());
    command.arg("--nvidia-smi").arg(root.join("usr/bin/nvidia-smi")).arg("--driver-root").arg(root);
    command.args(more).env("LD_LIBRARY_PATH", root.join("driver"));
    let output = command.args(["--commit", "test", "--idle", "1"]).arg("--out").arg(&out).output().unwrap();
    (output, fs::read(&out).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
}

fn failed(result: &Value) -> Vec<&str> {
    let checks = result["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["passed"] == false).filter_map(|check| check["check"].as_str()).collect()
}

#[test]
fn a_machine_that_is_as_the_witness_says_is_accepted() {
    let temp = tempfile::tempdir().unwrap();
    machine(temp.path());
    let (output, result) = accept(temp.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((&result["driver"], &result["passed"]), (&"580.82.07".into(), &true.into()));
    assert_eq!(result["cards"][1], "NVIDIA A10");
}

#[test]
fn what_differs_is_named_and_nothing_is_accepted() {
    let temp = tempfile::tempdir().unwrap();
    machine(temp.path());
    fs::remove_file(temp.path().join("dev/nvidia1")).unwrap();
    fs::remove_file(temp.path().join("usr/lib64/libnvidia-ptxjitcompiler.so.1")).unwrap();
    let smaller = programs::machine("n", 2, "NVIDIA A10", 20_000);
    fs::write(temp.path().join("cards.toml"), smaller.replace("GPU-n-1", "GPU-m-1")).unwrap();
    let (output, result) = accept(temp.path(), &[]);
    assert!(!output.status.success());
    let failed = failed(&result);
    for what in [
        "UUIDs, in NVML's order",
        "card 0: MiB offered are those that the driver does not keep",
        "CDI device files of slots",
        "slots get what CUDA programs load",
        "card 1: memory in the metrics",
    ] {
        assert!(failed.contains(&what), "{what} is not among {failed:?}");
    }
    assert!(!failed.contains(&"models"), "{failed:?}");
}

/// One card with a UUID as CUDA has it, and contexts that take memory; the driver where programs find it. Returns the program of
/// a slice.
fn computes(root: &Path) -> PathBuf {
    let uuid = "GPU-8f3a0c1e-0000-1111-2222-000000000000";
    let card = format!(
        "[[cards]]\nuuid = \"{uuid}\"\nmodel = \"NVIDIA A10\"\nmemory_mib = 24000\ncontext_mib = 301\n"
    );
    let state = format!("state = \"{}\"\n", root.join("used").display());
    fs::write(root.join("cards.toml"), state + &card).unwrap();
    let smi =
        format!("#!/bin/sh\necho '0, {uuid}, NVIDIA A10, 24000, 0, 580.82.07, 00000000:00:00.0, [N/A]'\n");
    fs::write(root.join("usr/bin/nvidia-smi"), smi).unwrap();
    fs::create_dir(root.join("driver")).unwrap();
    for name in ["libcuda.so.1", "libnvidia-ml.so.1"] {
        fs::copy(programs::fake_library().unwrap(), root.join("driver").join(name)).unwrap();
    }
    let (program, source) = (root.join("slice"), "../hack/k8s/slice.c");
    let gcc = Command::new("gcc").args(["-O1", source, "-o"]).arg(&program).status().unwrap();
    assert!(gcc.success());
    program
}

/// Needs root, for mounts.
#[test]
fn a_slice_is_held_with_what_its_contexts_take() {
    let temp = tempfile::tempdir().unwrap();
    machine(temp.path());
    let program = computes(temp.path());
    let library = format!("--libvcuda={}", library("vcuda").unwrap().display());
    let program = format!("--slice-program={}", program.display());
    let (output, result) = accept(temp.path(), &[&library, &program]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let measured = &result["measured"];
    let number = |what: &str| measured[what].as_f64().unwrap();
    assert!((302.0..=303.0).contains(&number("MiB that a context takes")), "{measured}");
    let full = number("MiB of the card that a full slice of 2000 MiB takes");
    assert!((1990.0..=2000.0).contains(&full), "{measured}");
}

/// A library that holds nothing is not accepted.
#[test]
fn a_slice_that_is_not_held_is_named() {
    let temp = tempfile::tempdir().unwrap();
    machine(temp.path());
    let program = computes(temp.path());
    let nothing = temp.path().join("nothing.so");
    let gcc = Command::new("gcc").args(["-shared", "-x", "c", "/dev/null", "-o"]).arg(&nothing).status();
    assert!(gcc.unwrap().success());
    let library = format!("--libvcuda={}", nothing.display());
    let program = format!("--slice-program={}", program.display());
    let (output, result) = accept(temp.path(), &[&library, &program]);
    assert!(!output.status.success());
    let failed = failed(&result);
    for what in ["NVML in a slice tells the slice", "a full slice takes no more of the card than it has"] {
        assert!(failed.contains(&what), "{what} is not among {failed:?}");
    }
}
