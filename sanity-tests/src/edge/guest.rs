//! One virtual machine.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ecx_sim::plane::guest::{block_device, device_id, node_name, socket};
use ecx_sim::plane::qmp::Qmp;
use serde_json::json;
use tonic::transport::{Channel, Endpoint};

use super::site::Trouble;
use crate::kubelet::Kubelet;

/// Without KVM a machine is there after 3 to 6 s on two cores that have nothing else to do.
const START: Duration = Duration::from_secs(120);
/// Megabytes of a machine: the initramfs, and what mkfs and xfs_repair take.
const MEMORY: usize = 640;
/// Megabytes more for each root port: the kernel's own for the port, the disk and its queues.
const MEMORY_OF_A_PORT: usize = 4;
/// Disks for which one CPU has interrupt vectors. A CPU of an x86 machine has about 200; a root port takes one, a virtio disk one and one
/// more on each CPU (Linux 6.1, `kernel/irq/matrix.c`). When there are none left, virtio-blk gives up with -28 (ENOSPC).
const DISKS_OF_ONE_CPU: usize = 30;
/// Root ports of one PCI slot.
const FUNCTIONS: usize = 8;
/// The first slot that q35 leaves free.
const FIRST_SLOT: usize = 3;

/// What every machine starts from.
#[derive(Debug, Clone)]
pub struct Image {
    /// Debian's cloud kernel.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
}

/// A disk that is in the machine when it starts.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct Cold {
    pub disk: String,
    pub file: PathBuf,
    pub serial: String,
}

/// What a machine is.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The Kubernetes name of the node.
    pub node: String,
    /// Its folder: QEMU's socket and the console.
    pub folder: PathBuf,
    /// How many disks can be plugged in.
    pub ports: usize,
}

/// A machine that runs; dropping it cuts its power.
pub struct Guest {
    qemu: Child,
    folder: PathBuf,
    csi: u16,
    shell: u16,
}

/// A port that nobody has now.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Guest {
    /// Switches a machine on, with these disks in it in this order, and waits until its node program answers.
    pub fn boot(image: &Image, plan: &Plan, disks: &[Cold]) -> Result<Self, Trouble> {
        let (csi, shell) = (free_port()?, free_port()?);
        let socket = socket(&plan.folder);
        let _ = std::fs::remove_file(&socket);
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-machine",
            "q35",
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-m",
            &(MEMORY + MEMORY_OF_A_PORT * plan.ports).to_string(),
        ]);
        let cpus = plan.ports.div_ceil(DISKS_OF_ONE_CPU);
        command.args(["-smp", &cpus.to_string()]);
        command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
        command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initrd);
        let node = &plan.node;
        command.arg("-append").arg(format!("console=ttyS0 quiet panic=1 oops=panic eck.node={node}"));
        command.arg("-serial").arg(format!("file:{}", plan.folder.join("console.log").display()));
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        let forward = |outside: u16, inside: u16| format!("hostfwd=tcp:127.0.0.1:{outside}-:{inside}");
        let network = format!("user,id=net,restrict=on,{},{}", forward(csi, 7000), forward(shell, 7001));
        command.args(["-netdev", &network, "-device", "virtio-net-pci,netdev=net,addr=0x2,romfile="]);
        for port in 0..plan.ports {
            let (slot, function) = (FIRST_SLOT + port / FUNCTIONS, port % FUNCTIONS);
            let chassis = port + 1;
            let device = format!(
                "pcie-root-port,id=rp{port},chassis={chassis},addr={slot:#x}.{function},multifunction=on"
            );
            command.args(["-device", &device]);
        }
        for (port, cold) in disks.iter().enumerate() {
            plug(&mut command, port, cold);
        }
        let said = std::fs::File::create(plan.folder.join("qemu.log"))?;
        let qemu = command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said).spawn()?;
        let mut guest = Self { qemu, folder: plan.folder.clone(), csi, shell };
        guest.wait()?;
        Ok(guest)
    }

    fn wait(&mut self) -> Result<(), Trouble> {
        let until = Instant::now() + START;
        loop {
            if self.sh("test -S /csi/csi.sock").is_ok() {
                return Ok(());
            }
            if let Some(status) = self.qemu.try_wait()? {
                let said = std::fs::read_to_string(self.folder.join("qemu.log")).unwrap_or_default();
                return Err(Trouble::new(format!("QEMU ended with {status}: {said}")));
            }
            if Instant::now() >= until {
                let console = std::fs::read_to_string(self.folder.join("console.log")).unwrap_or_default();
                return Err(Trouble::new(format!("the machine does not start: {console}")));
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Runs a script inside; what it said, or that and its status if it failed.
    pub fn sh(&self, script: &str) -> Result<String, Trouble> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.shell))?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        stream.write_all(script.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        match said.rsplit_once('\n') {
            Some((said, "0")) => Ok(said.trim_end().to_owned()),
            Some((said, status)) => Err(Trouble::new(format!("{script:?} ended with {status}: {said}"))),
            None => Err(Trouble::new(format!("{script:?}: no answer"))),
        }
    }

    /// MiB of the file system at this path.
    pub fn mib(&self, path: &Path) -> Result<u64, Trouble> {
        let size = format!("busybox df -m {} | busybox awk 'NR == 2 {{print $2}}'", path.display());
        self.sh(&size)?.parse().map_err(Trouble::new)
    }

    /// The node program.
    pub async fn kubelet(&self) -> Result<Kubelet, Trouble> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.csi));
        let channel: Channel = endpoint.map_err(Trouble::new)?.connect().await.map_err(Trouble::new)?;
        Ok(Kubelet::new(channel))
    }

    /// Cuts the power when the disk has been written to so many more times, or after `at_most`. Gives the writes that were seen.
    pub fn cut_after(mut self, disk: &str, writes: u64, at_most: Duration) -> Result<u64, Trouble> {
        let mut qmp =
            Qmp::connect(&socket(&self.folder))?.ok_or_else(|| Trouble::new("the machine is off"))?;
        let begun = written(&mut qmp, disk)?;
        let until = Instant::now() + at_most;
        let mut seen = 0;
        while seen < writes && Instant::now() < until {
            seen = written(&mut qmp, disk)?.saturating_sub(begun);
        }
        self.kill();
        Ok(seen)
    }

    /// Cuts the power now.
    pub fn cut(mut self) {
        self.kill();
    }

    /// Cuts the power of a machine that others still hold.
    pub fn off(&self) {
        if let Ok(id) = i32::try_from(self.qemu.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        }
    }

    fn kill(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }

    /// The machine's own words, for a case that failed.
    pub fn log(&self) -> String {
        self.sh("busybox tail -n 20 /run/node.log").unwrap_or_default()
    }
}

fn plug(command: &mut Command, port: usize, cold: &Cold) {
    let (node, device) = (node_name(&cold.disk), device_id(&cold.disk));
    command.arg("-blockdev").arg(block_device(&cold.disk, &cold.file).to_string());
    let serial = if cold.serial.is_empty() { String::new() } else { format!(",serial={}", cold.serial) };
    command.arg("-device").arg(format!("virtio-blk-pci,id={device},drive={node},bus=rp{port}{serial}"));
}

/// Writes that the disk has taken.
fn written(qmp: &mut Qmp, disk: &str) -> Result<u64, Trouble> {
    let all = qmp.ask("query-blockstats", &json!({"query-nodes": false}))?;
    let id = device_id(disk);
    let ours = |stat: &&serde_json::Value| {
        stat["qdev"].as_str().is_some_and(|qdev| qdev.split('/').any(|part| part == id))
    };
    let found = all.as_array().into_iter().flatten().find(ours);
    Ok(found.and_then(|stat| stat["stats"]["wr_operations"].as_u64()).unwrap_or_default())
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Nobody cut its power: what it said last is gone with its folder.
        if let Ok(Some(status)) = self.qemu.try_wait()
            && status.signal().is_none_or(|signal| signal != nix::libc::SIGKILL)
        {
            let said = |file: &str| std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
            eprintln!("A machine ended by itself ({status}): {}{}", said("qemu.log"), said("console.log"));
        }
        self.kill();
    }
}
