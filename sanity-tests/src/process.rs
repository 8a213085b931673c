//! Runs a program that we ship as a process of its own: built when needed, waited for by what it does, never left behind.
//!
//! ```no_run
//! # use std::{path::Path, process::Command, time::Duration};
//! # use sanity_tests::process::{self, Process, ProcessError};
//! # async fn demo(folder: &Path) -> Result<(), ProcessError> {
//! let socket = folder.join("csi.sock");
//! let mut command = Command::new(process::shipped("eck-csi-controller", "eck-csi-controller")?);
//! command.arg("--csi-endpoint").arg(&socket).args(["--admin-address", "127.0.0.1:0"]);
//! let mut controller = Process::start(command, &folder.join("controller.log"))?;
//! let channel = controller.serves(&socket, Duration::from_secs(10)).await?;
//! controller.kill()?; // SIGKILL; a drop does the same
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use proto::csi::v1 as pb;
use proto::csi::v1::identity_client::IdentityClient;
use serve::uds;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::transport::Channel;

/// How often a condition is looked at: a start takes some ten milliseconds.
const LOOK: Duration = Duration::from_millis(2);

/// Of a log, so much is shown with an error, in bytes.
const TAIL: usize = 2000;

/// Clock ticks a second in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux that we run on.
const TICKS: f64 = 100.0;

/// Why a program does not run as wanted.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Cargo cannot build it; what it said.
    #[error("cannot build {0}:\n{1}")]
    Build(String, String),
    /// It is not in the folder that was handed over.
    #[error("{0} is not there: hack/build makes what ECK_PROGRAMS names")]
    NotBuilt(PathBuf),
    /// A file, the start, a signal.
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    /// It ended by itself; the end of its log.
    #[error("{name} ended with {status}; its log ends with:\n{log}")]
    Ended {
        /// The program.
        name: String,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// What was waited for did not come.
    #[error("{name}: no {what} after {} s; its log ends with:\n{log}", after.as_secs())]
    Late {
        /// The program.
        name: String,
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// The end of its log.
        log: String,
    },
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> ProcessError {
    let what = what.into();
    move |source| ProcessError::Io(what, source)
}

/// What this process has built, by package and file.
static BUILT: Mutex<BTreeMap<(String, String), PathBuf>> = Mutex::new(BTreeMap::new());

/// The folder of programs and libraries that were built already, as `hack/build` does: the scripts hand it over, so that nothing is
/// built a second time with other features.
pub const PROGRAMS: &str = "ECK_PROGRAMS";

/// The path of the program `bin` of our package `package`: in the folder that [`PROGRAMS`] names, else built by the first call in a
/// process, in the caller's own profile, unless it is up to date.
pub fn shipped(package: &str, bin: &str) -> Result<PathBuf, ProcessError> {
    built(package, bin, &["--bin", bin], |message| {
        message["executable"].as_str().filter(|_| message["target"]["name"] == bin).map(PathBuf::from)
    })
}

/// The path of the C library of our package `package`, as [`shipped`] finds a program.
pub fn library(package: &str) -> Result<PathBuf, ProcessError> {
    let name = package.replace('-', "_");
    built(package, &format!("lib{name}.so"), &[], |message| {
        let files = message["filenames"].as_array().filter(|_| message["target"]["name"] == *name)?;
        files.iter().filter_map(|file| file.as_str()).find(|file| file.ends_with(".so")).map(PathBuf::from)
    })
}

/// The file `file` of the package: handed over, or built once in this process.
fn built(
    package: &str,
    file: &str,
    options: &[&str],
    found: impl Fn(&serde_json::Value) -> Option<PathBuf>,
) -> Result<PathBuf, ProcessError> {
    if let Some(folder) = std::env::var_os(PROGRAMS) {
        let path = Path::new(&folder).join(file);
        return if path.is_file() { Ok(path) } else { Err(ProcessError::NotBuilt(path)) };
    }
    // Held while cargo runs: a second cargo would wait for the first one.
    let mut built = BUILT.lock();
    let key = (package.to_owned(), file.to_owned());
    if let Some(path) = built.get(&key) {
        return Ok(path.clone());
    }
    let path = build(package, options, found)?;
    built.insert(key, path.clone());
    Ok(path)
}

fn build(
    package: &str,
    options: &[&str],
    found: impl Fn(&serde_json::Value) -> Option<PathBuf>,
) -> Result<PathBuf, ProcessError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "--message-format=json", "-p", package]).args(options);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().map_err(io("cargo"))?;
    // One line of JSON for each crate; that of the package itself names the file.
    let path = |line: &str| found(&serde_json::from_str(line).ok()?);
    let path = String::from_utf8_lossy(&output.stdout).lines().find_map(path);
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    path.filter(|_| output.status.success()).ok_or_else(|| ProcessError::Build(package.to_owned(), said()))
}

/// A running program; killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints is added to the file `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self, ProcessError> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(io(format!("log {}", log.display())))?;
        let twin = file.try_clone().map_err(io(format!("log {}", log.display())))?;
        let child = command.stdin(Stdio::null()).stdout(twin).stderr(file).spawn();
        let child = child.map_err(io(format!("cannot start {name}")))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Waits until `look` finds something; an error if the program ends or `patience` does.
    pub async fn until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, ProcessError> {
        let started = Instant::now();
        loop {
            if let Some(found) = look().await {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait().map_err(io("wait"))? {
                return Err(ProcessError::Ended { name: self.name.clone(), status, log: self.tail() });
            }
            if started.elapsed() > patience {
                let (name, what, after) = (self.name.clone(), what.to_owned(), started.elapsed());
                return Err(ProcessError::Late { name, what, after, log: self.tail() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the CSI socket answers and its Identity service says ready; gives a connection.
    pub async fn serves(&mut self, socket: &Path, patience: Duration) -> Result<Channel, ProcessError> {
        let what = format!("ready plugin on {}", socket.display());
        let look = async || {
            let channel = uds::connect(socket).await.ok()?;
            let probe = IdentityClient::new(channel.clone()).probe(pb::ProbeRequest {}).await.ok()?;
            (probe.into_inner().ready == Some(true)).then_some(channel)
        };
        self.until(&what, patience, look).await
    }

    /// Waits until the admin port says that the program is ready; gives its address. The program may have chosen the port
    /// itself (`127.0.0.1:0`): it is read from the log.
    pub async fn ready(&mut self, patience: Duration) -> Result<SocketAddr, ProcessError> {
        let log = self.log.clone();
        let look = async || {
            let address = admin_address(&std::fs::read_to_string(&log).ok()?)?;
            let reply = get(address, "/readyz").await.ok()?;
            reply.starts_with("HTTP/1.1 200").then_some(address)
        };
        self.until("200 of /readyz", patience, look).await
    }

    /// SIGKILL, and waits for the end: afterwards nothing of it runs.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).map_err(io("kill"))
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(&mut self, patience: Duration) -> Result<ExitStatus, ProcessError> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        kill(pid, Signal::SIGTERM).map_err(|errno| io("SIGTERM")(errno.into()))?;
        match self.until("end after SIGTERM", patience, async || None::<()>).await {
            Err(ProcessError::Ended { status, .. }) => Ok(status),
            Err(other) => Err(other),
            Ok(()) => unreachable!("nothing is looked for"),
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in MiB (`VmRSS`).
    pub fn resident_mib(&self) -> std::io::Result<f64> {
        resident_mib(self.id())
    }

    /// CPU seconds that it has used so far.
    pub fn cpu_seconds(&self) -> std::io::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // After the name in brackets: field 14 and 15 of proc(5), the 12th and 13th from here.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
        Ok((ticks(11) + ticks(12)) / TICKS)
    }

    fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself already.
        let _ = self.kill();
    }
}

/// A process's resident memory in MiB (`VmRSS`).
pub fn resident_mib(pid: u32) -> std::io::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok());
    Ok(kib.unwrap_or(0.0) / 1024.0)
}

/// The address in the newest line of `serve::admin` about its port.
pub fn admin_address(log: &str) -> Option<SocketAddr> {
    let line = log.lines().rev().find(|line| line.contains("Admin port"))?;
    let (_, rest) = line.split_once("bound")?;
    let address = rest.trim_start_matches(['=', '"', ':']);
    address.split([' ', '"', ',']).next()?.parse().ok()
}

/// What the admin port answers, head and body.
pub async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_found_in_both_log_forms() {
        let address: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        let text = "INFO serve::admin: Admin port: /livez /readyz /metrics bound=127.0.0.1:4711\n";
        let json =
            r#"{"message":"Admin port: /livez /readyz /metrics","bound":"127.0.0.1:4711","target":"x"}"#;
        assert_eq!(admin_address(text), Some(address));
        assert_eq!(admin_address(json), Some(address));
        assert_eq!(admin_address("nothing"), None);
    }

    #[tokio::test]
    async fn a_program_that_ends_says_how_and_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo why; exit 3"]);
        let mut process = Process::start(command, &folder.path().join("log")).unwrap();
        let error = process.until("sense", Duration::from_secs(60), async || None::<()>).await.unwrap_err();
        assert!(matches!(&error, ProcessError::Ended { .. }) && error.to_string().contains("why"), "{error}");
    }
}
