//! The GPU programs as processes: the scheduler before a stub API server, the plugin on fake cards.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::apiserver::ApiServer;
use crate::process::{Process, ProcessError, library, shipped};

/// How long a program may take to start.
const START: Duration = Duration::from_secs(20);

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> ProcessError {
    move |e| ProcessError::Io(what.to_owned(), e)
}

/// The simulated driver, as `libnvidia-ml.so.1` and as `libcuda.so.1`; built now unless it is up to date.
pub fn fake_library() -> Result<PathBuf, ProcessError> {
    library("fake-driver")
}

/// The fake library's file for a machine of cards of one model; their UUIDs begin with `GPU-<name>`.
pub fn machine(name: &str, cards: usize, model: &str, memory_mib: u64) -> String {
    let card =
        |n| format!("[[cards]]\nuuid = \"GPU-{name}-{n}\"\nmodel = \"{model}\"\nmemory_mib = {memory_mib}\n");
    (0..cards).map(card).collect()
}

/// Starts the plugin of the node `name` on the cards of `machine`; everything of it is in `folder`, with the kubelet's
/// folder `kubelet`.
pub fn plugin(
    api: &ApiServer,
    name: &str,
    folder: &Path,
    library: &Path,
    machine: &str,
) -> Result<Process, ProcessError> {
    std::fs::create_dir_all(folder).map_err(io("folder"))?;
    let cards = folder.join("cards.toml");
    std::fs::write(&cards, machine).map_err(io("the file of the cards"))?;
    let mut command = Command::new(shipped("ideal-gpu-plugin", "ideal-gpu-plugin")?);
    command.env("FAKE_NVML_CONFIG", &cards).arg("--nvml-library").arg(library);
    for (flag, below) in [("--kubelet-dir", "kubelet"), ("--state-dir", "state"), ("--cdi-dir", "cdi")] {
        command.arg(flag).arg(folder.join(below));
    }
    command.args(["--node-name", name, "--api-url", &api.url(), "--admin-address", "127.0.0.1:0"]);
    command.arg("--driver-root").arg(folder.join("root"));
    // No program runs here that could be held to anything.
    command.arg("--libvcuda=");
    Process::start(command, &folder.join("plugin.log"))
}

/// Starts the scheduler and waits until it binds; gives the extender's address.
pub async fn scheduler(api: &ApiServer, folder: &Path) -> Result<(Process, SocketAddr), ProcessError> {
    let (kubeconfig, log) = (folder.join("kubeconfig"), folder.join("scheduler.log"));
    std::fs::write(&kubeconfig, api.kubeconfig()).map_err(io("kubeconfig"))?;
    let mut command = Command::new(shipped("ideal-gpu-scheduler", "ideal-gpu-scheduler")?);
    command.env("KUBECONFIG", &kubeconfig).args(["--address", "127.0.0.1:0", "--plain-http"]);
    command.args(["--no-leader-election", "--admin-address", "127.0.0.1:0"]);
    let mut process = Process::start(command, &log)?;
    process.ready(START).await?;
    let look = async || extender(&std::fs::read_to_string(&log).ok()?);
    let address = process.until("the extender's address", START, look).await?;
    Ok((process, address))
}

/// The address in the scheduler's line about its port, whichever form the log has.
fn extender(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("Extender and webhook"))?;
    let from = line.find("127.0.0.1:")?;
    let rest = &line[from..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_extenders_address_is_found() {
        let line = r#"{"message":"Extender and webhook","address":"127.0.0.1:4711","tls":false}"#;
        assert_eq!(super::extender(line), "127.0.0.1:4711".parse().ok());
        let line = "INFO ideal_gpu_scheduler::run: Extender and webhook address=127.0.0.1:4711 tls=false";
        assert_eq!(super::extender(line), "127.0.0.1:4711".parse().ok());
    }
}
