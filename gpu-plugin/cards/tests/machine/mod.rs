//! A machine with the simulated library: a directory with a copy of it and the file that describes the cards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cards::Nvml;
use tempfile::TempDir;

/// A card's UUID.
pub(crate) fn uuid(number: u32) -> String {
    format!("GPU-8f3a0c1e-0000-1111-2222-{number:012}")
}

/// A card as the file has it; more lines may follow.
pub(crate) fn card(number: u32) -> String {
    format!(
        "[[cards]]\nuuid = \"{}\"\nmodel = \"NVIDIA H100 80GB HBM3\"\nmemory_mib = 81559\nreserved_mib = 569\nminor = {}\n\
         numa = {}\n",
        uuid(number),
        number + 100,
        number % 2
    )
}

/// An error on a card as the file has it. Comes after all cards.
pub(crate) fn xid(event: u32, number: u32, xid: u32) -> String {
    format!("[[events]]\nid = {event}\ncard = \"{}\"\nxid = {xid}\n", uuid(number))
}

/// Writes a file so that nobody reads half of it.
pub(crate) fn write(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    fs::rename(&next, path).unwrap();
}

/// The machine.
pub(crate) struct Machine {
    directory: TempDir,
}

impl Machine {
    /// Each has a copy of the library of its own, which the loader takes for another library: tests do not meet.
    pub(crate) fn new(config: &str) -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        fs::copy(built(), machine.library()).unwrap();
        machine.write(config);
        machine
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.directory.path().join(cards::nvml::LIBRARY)
    }

    pub(crate) fn write(&self, config: &str) {
        write(&self.library().with_added_extension("toml"), config);
    }

    pub(crate) fn driver(&self) -> Nvml {
        Nvml::new([self.library()])
    }
}

/// Where the library is: in the folder that is handed over (`hack/build`), else it is built, once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(folder) = std::env::var_os("ECK_PROGRAMS") {
            return Path::new(&folder).join("libfake_driver.so");
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
        cargo.args(["build", "--quiet", "--message-format=json", "-p", "fake-driver"]);
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).unwrap();
        let mut files = messages.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message["filenames"][0].as_str().map(PathBuf::from)
        });
        files.rfind(|file| file.ends_with("libfake_driver.so")).unwrap()
    })
}
