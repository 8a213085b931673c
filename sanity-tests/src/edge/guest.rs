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

use crate::kubelet::Kubelet;
use crate::rig::Error;

/// Without KVM a machine has booted after 3 to 6 s on two idle cores.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
/// Memory of a machine in MiB: the initramfs, and what mkfs and xfs_repair take.
const MEMORY_MIB: usize = 640;
/// More memory for each root port in MiB: the kernel's own for the port, the disk and its queues.
const MEMORY_PER_PORT_MIB: usize = 4;
/// Disks for which one CPU has interrupt vectors. A CPU of an x86 machine has about 200; a root port takes one, a virtio disk
/// one and one more on each CPU (Linux 6.1, `kernel/irq/matrix.c`). With none left, virtio-blk fails with -28 (ENOSPC).
const DISKS_PER_CPU: usize = 30;
/// Root ports of one PCI slot.
const FUNCTIONS_PER_SLOT: usize = 8;
/// The first slot that q35 leaves free.
const FIRST_SLOT: usize = 3;
/// Ports inside of the machine: the node program's socket, and a shell (`edge-agent`).
const CSI_PORT: u16 = 7000;
const SHELL_PORT: u16 = 7001;

/// What every machine boots from.
#[derive(Debug, Clone)]
pub struct Image {
    /// Debian's cloud kernel.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
}

/// A disk that is attached when the machine boots.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct BootDisk {
    pub disk: String,
    pub file: PathBuf,
    pub serial: String,
}

/// A machine's configuration.
#[derive(Debug, Clone)]
pub struct GuestConfig {
    /// The Kubernetes name of the node.
    pub node: String,
    /// Its folder: QEMU's socket and the console's log.
    pub folder: PathBuf,
    /// How many disks can be attached.
    pub ports: usize,
}

/// A running machine; dropping it cuts its power.
pub struct Guest {
    qemu: Child,
    folder: PathBuf,
    csi_port: u16,
    shell_port: u16,
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Guest {
    /// Boots a machine with these disks in this order, and waits until its node program serves.
    pub fn boot(image: &Image, config: &GuestConfig, disks: &[BootDisk]) -> Result<Self, Error> {
        let (csi_port, shell_port) = (free_port()?, free_port()?);
        let _ = std::fs::remove_file(socket(&config.folder));
        let mut command = qemu(image, config);
        let forward = |outside: u16, inside: u16| format!("hostfwd=tcp:127.0.0.1:{outside}-:{inside}");
        let network = format!(
            "user,id=net,restrict=on,{},{}",
            forward(csi_port, CSI_PORT),
            forward(shell_port, SHELL_PORT)
        );
        command.args(["-netdev", &network, "-device", "virtio-net-pci,netdev=net,addr=0x2,romfile="]);
        add_root_ports(&mut command, config.ports);
        for (port, disk) in disks.iter().enumerate() {
            add_disk(&mut command, port, disk);
        }
        let log = std::fs::File::create(config.folder.join("qemu.log"))?;
        let qemu = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let mut guest = Self { qemu, folder: config.folder.clone(), csi_port, shell_port };
        guest.wait_until_serving()?;
        Ok(guest)
    }

    fn wait_until_serving(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + BOOT_TIMEOUT;
        loop {
            if self.sh("test -S /csi/csi.sock").is_ok() {
                return Ok(());
            }
            if let Some(status) = self.qemu.try_wait()? {
                let log = std::fs::read_to_string(self.folder.join("qemu.log")).unwrap_or_default();
                return Err(Error::check(format!("QEMU ended with {status}: {log}")));
            }
            if Instant::now() >= deadline {
                let console = std::fs::read_to_string(self.folder.join("console.log")).unwrap_or_default();
                return Err(Error::check(format!("the machine does not boot: {console}")));
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Runs a script inside; returns its output, or an error with output and status if it failed.
    pub fn sh(&self, script: &str) -> Result<String, Error> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.shell_port))?;
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        stream.write_all(script.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut output = String::new();
        stream.read_to_string(&mut output)?;
        match output.rsplit_once('\n') {
            Some((output, "0")) => Ok(output.trim_end().to_owned()),
            Some((output, status)) => {
                Err(Error::check(format!("{script:?} ended with status {status}: {output}")))
            }
            None => Err(Error::check(format!("{script:?}: no answer"))),
        }
    }

    /// Size in MiB of the file system at this path.
    pub fn file_system_mib(&self, path: &Path) -> Result<u64, Error> {
        let size = format!("busybox df -m {} | busybox awk 'NR == 2 {{print $2}}'", path.display());
        self.sh(&size)?.parse().map_err(Error::check)
    }

    /// A connection to the node program.
    pub async fn kubelet(&self) -> Result<Kubelet, Error> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.csi_port))?;
        let channel: Channel = endpoint.connect().await?;
        Ok(Kubelet::new(channel))
    }

    /// Cuts the power as soon as the disk has completed this many more writes, or after `timeout`. Returns the completed
    /// writes.
    pub fn power_off_after_writes(
        mut self,
        disk: &str,
        writes: u64,
        timeout: Duration,
    ) -> Result<u64, Error> {
        let qmp = Qmp::connect(&socket(&self.folder))?;
        let mut qmp = qmp.ok_or_else(|| Error::check("the machine is off"))?;
        let at_start = completed_writes(&mut qmp, disk)?;
        let deadline = Instant::now() + timeout;
        let mut completed = 0;
        while completed < writes && Instant::now() < deadline {
            completed = completed_writes(&mut qmp, disk)?.saturating_sub(at_start);
        }
        self.kill();
        Ok(completed)
    }

    /// Cuts the power.
    pub fn power_off(mut self) {
        self.kill();
    }

    /// Cuts the power of a machine that another thread still uses.
    pub fn power_off_shared(&self) {
        if let Ok(id) = i32::try_from(self.qemu.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
        }
    }

    fn kill(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// QEMU with everything but network and disks.
fn qemu(image: &Image, config: &GuestConfig) -> Command {
    let memory = MEMORY_MIB + MEMORY_PER_PORT_MIB * config.ports;
    let cpus = config.ports.div_ceil(DISKS_PER_CPU);
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max"]);
    command.args(["-m", &memory.to_string(), "-smp", &cpus.to_string()]);
    command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
    command.arg("-kernel").arg(&image.kernel).arg("-initrd").arg(&image.initrd);
    let node = &config.node;
    command.arg("-append").arg(format!("console=ttyS0 quiet panic=1 oops=panic eck.node={node}"));
    command.arg("-serial").arg(format!("file:{}", config.folder.join("console.log").display()));
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket(&config.folder).display()));
    command
}

fn add_root_ports(command: &mut Command, ports: usize) {
    for port in 0..ports {
        let (slot, function) = (FIRST_SLOT + port / FUNCTIONS_PER_SLOT, port % FUNCTIONS_PER_SLOT);
        let chassis = port + 1;
        let device = format!(
            "pcie-root-port,id=rp{port},chassis={chassis},addr={slot:#x}.{function},multifunction=on"
        );
        command.args(["-device", &device]);
    }
}

fn add_disk(command: &mut Command, port: usize, disk: &BootDisk) {
    let (node, device) = (node_name(&disk.disk), device_id(&disk.disk));
    command.arg("-blockdev").arg(block_device(&disk.disk, &disk.file).to_string());
    let serial = if disk.serial.is_empty() { String::new() } else { format!(",serial={}", disk.serial) };
    command.arg("-device").arg(format!("virtio-blk-pci,id={device},drive={node},bus=rp{port}{serial}"));
}

/// Writes that the disk has completed since the machine booted.
fn completed_writes(qmp: &mut Qmp, disk: &str) -> Result<u64, Error> {
    let all = qmp.ask("query-blockstats", &json!({"query-nodes": false}))?;
    let id = device_id(disk);
    let is_disk = |stat: &&serde_json::Value| {
        stat["qdev"].as_str().is_some_and(|qdev| qdev.split('/').any(|part| part == id))
    };
    let found = all.as_array().into_iter().flatten().find(is_disk);
    Ok(found.and_then(|stat| stat["stats"]["wr_operations"].as_u64()).unwrap_or_default())
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The machine ended by itself: print its logs, which are deleted with its folder.
        if let Ok(Some(status)) = self.qemu.try_wait()
            && status.signal().is_none_or(|signal| signal != nix::libc::SIGKILL)
        {
            let log = |file: &str| std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
            eprintln!("A machine ended by itself ({status}): {}{}", log("qemu.log"), log("console.log"));
        }
        self.kill();
    }
}
