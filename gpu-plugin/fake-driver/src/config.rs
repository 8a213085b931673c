//! The file that describes the machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The machine.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default = "driver_version")]
    pub(crate) driver: String,
    #[serde(default)]
    pub(crate) cards: Vec<Card>,
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    #[serde(default = "look_ms")]
    pub(crate) look_ms: u64,
    pub(crate) state: Option<String>,
}

/// Short for a test, and cheap: one stat.
fn look_ms() -> u64 {
    2
}

/// The version that NVML's field numbers changed in last, so that the wrapper's newer path is the one that is tested.
fn driver_version() -> String {
    "580.82.07".to_owned()
}

/// A card. What each field means is written at the head of the crate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    pub(crate) uuid: String,
    pub(crate) model: String,
    pub(crate) memory_mib: u64,
    #[serde(default)]
    pub(crate) reserved_mib: u64,
    pub(crate) pci: Option<String>,
    pub(crate) minor: Option<u32>,
    pub(crate) numa: Option<u32>,
    pub(crate) mig: Option<bool>,
    #[serde(default)]
    pub(crate) context_mib: u64,
    #[serde(default)]
    pub(crate) lost: bool,
    #[serde(default)]
    pub(crate) hang: bool,
    #[serde(default)]
    pub(crate) error: u32,
    #[serde(default)]
    pub(crate) recovery: u32,
    #[serde(default = "temperature")]
    pub(crate) temperature: u32,
    #[serde(default)]
    pub(crate) utilization: u32,
    #[serde(default = "power")]
    pub(crate) power_milliwatts: u32,
    pub(crate) used_mib: Option<u64>,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
}

/// An idle card's.
fn temperature() -> u32 {
    40
}

/// An idle card's.
fn power() -> u32 {
    70_000
}

/// A program on a card.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) used_mib: u64,
    #[serde(default)]
    pub(crate) graphics: bool,
}

impl Process {
    /// One that computes: its id as it sees it, and its bytes.
    pub(crate) fn computing((pid, bytes): (u64, u64)) -> Self {
        Self { pid: u32::try_from(pid).unwrap_or(u32::MAX), used_mib: bytes >> 20, graphics: false }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) card: String,
    pub(crate) xid: Option<u32>,
    #[serde(default)]
    pub(crate) mig: bool,
}

/// By which a changed file is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

/// The file, and what was last read from it.
#[derive(Debug)]
pub(crate) struct File {
    path: Option<PathBuf>,
    stamp: Option<Stamp>,
    config: Option<Config>,
}

impl File {
    pub(crate) fn find() -> Self {
        Self { path: path(), stamp: None, config: None }
    }

    /// Folder of what programs do to the cards: as the file says, or beside it.
    pub(crate) fn state(&mut self) -> Option<PathBuf> {
        let beside = self.path.as_ref()?.with_added_extension("state");
        Some(self.read()?.state.clone().map_or(beside, PathBuf::from))
    }

    /// What the file says now. None if there is none, or never was one that could be read.
    pub(crate) fn read(&mut self) -> Option<&Config> {
        let path = self.path.as_deref()?;
        let Ok(stamp) = stamp(path) else {
            self.stamp = None;
            self.config = None;
            return None;
        };
        if self.stamp != Some(stamp) {
            // Read again next time if it changes while it is read: the stamp is the one from before.
            self.stamp = Some(stamp);
            match fs::read_to_string(path).map_err(|error| error.to_string()).and_then(|text| parse(&text)) {
                Ok(config) => self.config = Some(config),
                Err(error) => eprintln!("fake-driver: {}: {error}", path.display()),
            }
        }
        self.config.as_ref()
    }
}

fn parse(text: &str) -> Result<Config, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let meta = fs::metadata(path)?;
    let modified = (meta.mtime(), meta.mtime_nsec());
    Ok(Stamp { device: meta.dev(), inode: meta.ino(), modified, size: meta.size() })
}

fn path() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FAKE_NVML_CONFIG") {
        return Some(path.into());
    }
    let mut beside = own_path()?.into_os_string();
    beside.push(".toml");
    Some(beside.into())
}

/// Where this library was loaded from: the mapping that holds this very function.
fn own_path() -> Option<PathBuf> {
    let here = own_path as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let holds = |line: &&str| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let number = |text| usize::from_str_radix(text, 16).ok();
        range.is_some_and(|(from, to)| {
            number(from).is_some_and(|from| from <= here) && number(to).is_some_and(|to| here < to)
        })
    };
    let line = maps.lines().find(holds)?;
    line.find('/').and_then(|at| line.get(at..)).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_needs_a_name_a_model_and_memory_and_a_word_that_is_not_known_is_refused() {
        let config = parse("[[cards]]\nuuid = \"GPU-a\"\nmodel = \"A\"\nmemory_mib = 1\n").unwrap();
        assert_eq!((config.driver.as_str(), config.cards.len()), ("580.82.07", 1));
        assert!(parse("[[cards]]\nuuid = \"GPU-a\"\n").is_err());
        assert!(parse("card = 1\n").is_err());
        assert!(own_path().is_some());
    }
}
