//! Containers without Kubernetes: each a mount namespace in which the files of the isolation lie where a container has them, on
//! one machine with the simulated driver. Needs root, as mounts do.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arbiter::{Arbiter, Shares};
use ideal_gpu::accounting::layout::FILE_BYTES;
use ideal_gpu::accounting::{CardAccount, read};
use ideal_gpu::limits::Limits;
use tempfile::TempDir;

/// Card time that a container may use at once after it wanted none for long: the plugin's default.
const BURST: Duration = Duration::from_millis(100);

/// splitmix64 (Steele, Lea, Flood 2014): a seed that is printed replays.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// UUID of a card by its number.
pub(crate) fn uuid(number: u32) -> String {
    format!("GPU-8f3a0c1e-0000-1111-2222-{number:012}")
}

/// A machine with cards.
pub(crate) struct Machine {
    folder: TempDir,
    cards: u32,
    arbiter: Arbiter,
}

impl Machine {
    /// Cards of so many MiB each.
    pub(crate) fn new(cards: u32, memory_mib: u64) -> Self {
        let (folder, arbiter) = (tempfile::tempdir().unwrap(), Arbiter::start().unwrap());
        let machine = Self { folder, cards, arbiter };
        let driver = machine.path("driver");
        fs::create_dir(&driver).unwrap();
        let built = built("fake-driver", "libfake_driver.so");
        for name in ["libcuda.so.1", "libnvidia-ml.so.1"] {
            fs::copy(&built, driver.join(name)).unwrap();
        }
        let card = |number| {
            format!("[[cards]]\nuuid = \"{}\"\nmodel = \"A\"\nmemory_mib = {memory_mib}\n", uuid(number))
        };
        let config: String = (0..cards).map(card).collect();
        let config = format!("state = \"{}\"\n{config}", machine.path("state").display());
        // Beside each library, where it looks: a program may have no environment at all.
        for name in ["libcuda.so.1.toml", "libnvidia-ml.so.1.toml"] {
            fs::write(driver.join(name), &config).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A container with limits as `limits.json` has them for one card: the first.
    pub(crate) fn container(&self, memory_mib: u64, core_percent: u32, more: &str) -> Container<'_> {
        let limits = limits(0, memory_mib, core_percent, more);
        self.container_with(Some(limits.as_bytes()), AccountingFile::Bytes(&vec![0; FILE_BYTES]))
    }

    /// A container with a slice of 1000 MiB of each of the first `cards` cards.
    #[allow(dead_code, reason = "only the test of gangs has more than one")]
    pub(crate) fn gang(&self, cards: u32, core_percent: u32) -> Container<'_> {
        let each: Vec<String> = (0..cards).map(|card| limit(card, card, 1000, core_percent)).collect();
        let limits = limits_of(&each.join(","), "\"virtual_memory\":false,\"work_conserving\":false,");
        self.container_with(Some(limits.as_bytes()), AccountingFile::Bytes(&vec![0; FILE_BYTES]))
    }

    /// A container with these very files, mounted as the plugin has them mounted.
    pub(crate) fn container_with(
        &self,
        limits: Option<&[u8]>,
        accounting: AccountingFile<'_>,
    ) -> Container<'_> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let files = folder.path().join("etc/ideal-gpu");
        for made in [files.join("arbiter"), folder.path().join("arbiter"), folder.path().join("work")] {
            fs::create_dir_all(made).unwrap();
        }
        if let Some(limits) = limits {
            fs::write(files.join("limits.json"), limits).unwrap();
        }
        let at = files.join("region");
        match accounting {
            AccountingFile::Bytes(bytes) => fs::write(&at, bytes).unwrap(),
            AccountingFile::ReadOnly => fs::write(&at, vec![0; FILE_BYTES]).unwrap(),
            AccountingFile::Folder => fs::create_dir(&at).unwrap(),
            AccountingFile::Missing => {}
        }
        if at.is_file() {
            fs::set_permissions(&at, fs::Permissions::from_mode(0o666)).unwrap();
        }
        fs::copy(built("vcuda", "libvcuda.so"), files.join("libvcuda.so")).unwrap();
        fs::write(folder.path().join("etc/ld.so.preload"), "/etc/ideal-gpu/libvcuda.so\n").unwrap();
        std::os::unix::fs::symlink(self.path("driver"), folder.path().join("etc/driver")).unwrap();
        let holder = self.hold(&folder, matches!(accounting, AccountingFile::ReadOnly));
        let container = Container { machine: self, folder, holder };
        container.serve();
        container
    }

    /// The namespace lives as long as the first program in it.
    fn hold(&self, folder: &TempDir, read_only: bool) -> Child {
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-ec", MOUNTS, "sh"])
            .arg(folder.path())
            .arg(if read_only { "ro" } else { "rw" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "no namespace");
        holder
    }

    /// The most bytes of a card that were ever held at one time, as its driver knows.
    pub(crate) fn most(&self, number: u32) -> u64 {
        // No program has ever come so far where there is no file.
        let bytes = fs::read(self.path("state").join(format!("{}.used", uuid(number)))).unwrap_or_default();
        bytes.get(8..16).map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().unwrap()))
    }

    /// Bytes of a card that programs which live hold.
    pub(crate) fn held(&self, number: u32) -> u64 {
        let alive = |pid: u64| Path::new(&format!("/proc/{pid}")).exists();
        self.real(number).iter().filter(|record| alive(record.pid)).map(|record| record.bytes).sum()
    }

    /// Bytes of a card that its driver really has given away, by process.
    pub(crate) fn real(&self, number: u32) -> Vec<Record> {
        assert!(number < self.cards);
        let bytes = fs::read(self.path("state").join(format!("{}.used", uuid(number)))).unwrap_or_default();
        let record = |bytes: &[u8]| {
            let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
            Record { pid: number(0), bytes: number(16), busy_ns: number(24) }
        };
        // A header, then a record for each process: fake-driver's cuda.rs.
        let (records, _) = bytes.get(4096..).unwrap_or_default().as_chunks::<32>();
        let records = records.get(..1023).unwrap_or(records);
        records.iter().map(|bytes| record(bytes)).filter(|record| record.pid != 0).collect()
    }
}

/// Each file is a mount of its own, and all but the accounting file are read-only.
const MOUNTS: &str = r#"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount --bind "$1/arbiter" /etc/ideal-gpu/arbiter
mount -o remount,bind,ro /etc/ideal-gpu/arbiter
for file in ideal-gpu/limits.json ideal-gpu/libvcuda.so ld.so.preload; do
  if [ -f "$1/etc/$file" ]; then
    mount --bind "$1/etc/$file" "/etc/$file"
    mount -o remount,bind,ro "/etc/$file"
  fi
done
if [ -f "$1/etc/ideal-gpu/region" ]; then
  mount --bind "$1/etc/ideal-gpu/region" /etc/ideal-gpu/region
  mount -o "remount,bind,$2" /etc/ideal-gpu/region
fi
echo ready
exec cat
"#;

/// What lies in a container where the accounting file should.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AccountingFile<'a> {
    Bytes(&'a [u8]),
    ReadOnly,
    Folder,
    Missing,
}

/// Limits for one card.
pub(crate) fn limits(card: u32, memory_mib: u64, core_percent: u32, more: &str) -> String {
    limits_of(&limit(0, card, memory_mib, core_percent), more)
}

fn limits_of(cards: &str, more: &str) -> String {
    let who = r#""version":1,"pod_uid":"u","pod_namespace":"n","pod_name":"p","container":"c""#;
    format!("{{{who},{more}\"cards\":[{cards}]}}")
}

fn limit(index: u32, card: u32, memory_mib: u64, core: u32) -> String {
    let (uuid, rest) = (uuid(card), format!(r#""memory_mib":{memory_mib},"context_mib":0"#));
    format!(r#"{{"index":{index},"uuid":"{uuid}","core_percent":{core},{rest}}}"#)
}

/// What one process has of a card, as the simulated driver knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) pid: u64,
    pub(crate) bytes: u64,
    #[allow(dead_code, reason = "only the tests of compute read it")]
    pub(crate) busy_ns: u64,
}

/// A container.
pub(crate) struct Container<'a> {
    machine: &'a Machine,
    folder: TempDir,
    holder: Child,
}

impl Container<'_> {
    /// The arbiter serves it, as from its start on; nothing to serve where there are no limits.
    pub(crate) fn serve(&self) {
        let text = fs::read(self.folder.path().join("etc/ideal-gpu/limits.json")).unwrap_or_default();
        let Ok(limits) = Limits::parse(&text) else { return };
        let (folder, shares) = (self.folder.path().join("arbiter"), Shares::of(&limits, BURST));
        self.machine.arbiter.serve(&self.id(), &folder, shares).unwrap();
    }

    /// The arbiter is away, as one that was killed.
    pub(crate) fn lose_arbiter(&self) {
        self.machine.arbiter.forget(&self.id());
    }

    fn id(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// A command in the container; the driver is found as a program would find it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.holder.id().to_string(), "--"]);
        command.arg(program);
        command.env("LD_LIBRARY_PATH", "/etc/driver");
        command
    }

    /// A program that is told what to do line by line.
    pub(crate) fn start(&self, program: &Path) -> Program {
        Program::start(self.command(program))
    }

    /// What is accounted for a card, by its index in the limits.
    pub(crate) fn accounted(&self, card: usize) -> CardAccount {
        read(&fs::read(self.accounting_file()).unwrap(), card + 1).unwrap()[card]
    }

    /// The accounting file as the host has it.
    pub(crate) fn accounting_file(&self) -> PathBuf {
        self.folder.path().join("etc/ideal-gpu/region")
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.lose_arbiter();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A running program.
pub(crate) struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let errors = child.stderr.take().unwrap();
        Self { child, input, output: BufReader::new(output), errors }
    }

    /// Says a line and gives the answer.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.answer()
    }

    pub(crate) fn say(&mut self, line: &str) {
        // One that was refused has ended already: its last words are the answer.
        let _ = writeln!(self.input, "{line}");
    }

    pub(crate) fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// Lets it end; what it said on standard error, and whether it ended of itself.
    pub(crate) fn end(mut self) -> (String, bool) {
        drop(self.input);
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        (said, self.child.wait().unwrap().code().is_some())
    }

    /// A signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// SIGKILL, at whatever it is doing.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A C program of `programs/` that is linked with the driver.
pub(crate) fn program(name: &str) -> PathBuf {
    let libraries = folder().join("lib");
    fs::create_dir_all(&libraries).unwrap();
    let driver = libraries.join("libcuda.so.1");
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !driver.exists() {
        fs::copy(built("fake-driver", "libfake_driver.so"), driver).unwrap();
    }
    drop(one);
    // By name and not by path: the container's is another copy, and found there without an environment too.
    let found = format!("-L{}", libraries.display());
    compile(name, name, &[&found, "-l:libcuda.so.1", "-ldl", "-lpthread", "-Wl,-rpath,/etc/driver"])
}

fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().unwrap()).path()
}

/// Compiles a C program of `programs/`, once, against NVIDIA's own header.
pub(crate) fn compile(source: &str, out: &str, options: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = folder().join(out);
    // Two tests that want it at one time must not both see half of it.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !out.exists() {
        let status = Command::new("gcc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&out)
            .arg(root.join("tests/programs").join(format!("{source}.c")))
            .arg(format!("-I{}", root.join("../../.cache/cuda/include").display()))
            .args(options)
            .status();
        assert!(
            status.unwrap().success(),
            "{source}.c does not compile; hack/cuda-headers installs the header"
        );
    }
    out
}

/// Where a C library is, which cargo does not build for tests: in the folder that is handed over (`hack/build`), else it is built, once.
pub(crate) fn built(package: &'static str, file: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("ECK_PROGRAMS") {
        return Path::new(&folder).join(file);
    }
    static BUILT: LazyLock<Mutex<HashMap<&str, PathBuf>>> = LazyLock::new(Mutex::default);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(package).or_insert_with(|| build(package, file)).clone()
}

fn build(package: &str, file: &str) -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.args(["build", "--quiet", "--message-format=json", "-p", package]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8(output.stdout).unwrap();
    let mut files = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message["filenames"][0].as_str().map(PathBuf::from)
    });
    files.rfind(|path| path.ends_with(file)).unwrap()
}
