//! Programs that the checks start.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::error::Error;

/// What cargo prints. An error holds what it complained of.
pub(crate) fn cargo<S: AsRef<OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> Result<String, Error> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(folder);
    output(&mut command)
}

/// What the program prints. An error holds what it complained of.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Error::Tool(name.clone(), error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Tool(name, format!("{}\n{said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the program with this on its standard input; whether it succeeds is for the caller to see.
pub(crate) fn feed(command: &mut Command, input: &str) -> Result<Output, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| Error::Tool(name.clone(), error.to_string());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let input_pipe = child.stdin.take();
    std::thread::scope(|scope| {
        // A program that ends before it has read everything says why by itself.
        scope.spawn(move || input_pipe.map(|mut pipe| pipe.write_all(input.as_bytes())));
        child.wait_with_output().map_err(failed)
    })
}

/// What the program said, on both of its outputs.
pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Where the programs of a Kubernetes cluster are; those of these that are not there are built, which takes minutes.
pub(crate) fn kubernetes(root: &Path, names: &[&str]) -> Result<PathBuf, Error> {
    let folder = root.join(".cache/k8s/bin");
    let missing: Vec<&&str> = names.iter().filter(|name| !folder.join(name).exists()).collect();
    if !missing.is_empty() {
        let status =
            Command::new(root.join("hack/k8s/build")).args(missing).stdout(Stdio::inherit()).status();
        let status = status.map_err(|error| Error::Tool("hack/k8s/build".into(), error.to_string()))?;
        if !status.success() {
            return Err(Error::Tool("hack/k8s/build".into(), status.to_string()));
        }
    }
    Ok(folder)
}
