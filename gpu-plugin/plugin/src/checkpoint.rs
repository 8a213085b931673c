//! Decisions on disk: one file for each pod, so that a node that is cut off starts its containers again by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ideal_gpu::ask::{Amounts, ContainerAsk, Phase, PodAsk, Share};
use ideal_gpu::card::CardId;
use ideal_gpu::decision::Decision;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::file::{self, WriteError};

/// Version of the form. A file with another one is not read: the API server still has the decision.
const VERSION: u32 = 1;

/// A pod with its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The pod's uid.
    pub uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) created: String,
    /// What it asks for.
    pub ask: PodAsk,
    /// What was decided for it.
    pub decision: Decision,
    /// The node decided, because no scheduler of ours had.
    pub(crate) own: bool,
    /// Ids that the kubelet was steered to, by container: the pod-resources API does not show init containers.
    pub(crate) steered: BTreeMap<String, BTreeSet<String>>,
    /// Containers that were started at least once, and the cards of each as it numbers them.
    pub(crate) started: BTreeMap<String, Vec<CardId>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    uid: String,
    namespace: String,
    name: String,
    created: String,
    containers: Vec<Container>,
    decision: String,
    own: bool,
    steered: BTreeMap<String, BTreeSet<String>>,
    started: BTreeMap<String, Vec<CardId>>,
}

#[derive(Serialize, Deserialize)]
struct Container {
    name: String,
    phase: String,
    cards: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    core: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

const PHASES: [(Phase, &str); 3] = [(Phase::Init, "init"), (Phase::Sidecar, "sidecar"), (Phase::App, "app")];

impl Container {
    fn write(ask: &ContainerAsk) -> Self {
        let phase = PHASES.iter().find(|(phase, _)| *phase == ask.phase).map_or("app", |(_, name)| name);
        let (core, memory) = match ask.share {
            Share::Whole => (None, None),
            Share::Slice { core, memory_mib } => (Some(core), Some(memory_mib)),
        };
        Self { name: ask.name.clone(), phase: phase.to_owned(), cards: ask.cards, core, memory }
    }

    fn read(self) -> Option<ContainerAsk> {
        let phase = PHASES.iter().find(|(_, name)| *name == self.phase)?.0;
        let cards = Some(u64::from(self.cards));
        let amounts = match (self.core, self.memory) {
            (Some(core), memory @ Some(_)) => {
                Amounts { gpu: cards, core: Some(core.into()), memory, whole: None }
            }
            (None, None) => Amounts { whole: cards, ..Amounts::default() },
            _ => return None,
        };
        // Within the bounds of any other request: a file may be damaged.
        amounts.parse(&self.name, phase).ok()?
    }
}

impl Record {
    fn write(&self) -> File {
        File {
            version: VERSION,
            uid: self.uid.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            created: self.created.clone(),
            containers: self.ask.containers.iter().map(Container::write).collect(),
            decision: self.decision.to_text(),
            own: self.own,
            steered: self.steered.clone(),
            started: self.started.clone(),
        }
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        // Plain strings and numbers: there is nothing that could fail.
        serde_json::to_string(&self.write()).unwrap_or_default()
    }

    /// Reads the file's text.
    pub fn read(text: &str) -> Option<Self> {
        let file: File = serde_json::from_str(text).ok().filter(|file: &File| file.version == VERSION)?;
        let containers = file.containers.into_iter().map(Container::read).collect::<Option<_>>()?;
        let ask = PodAsk { containers };
        let decision = Decision::about(&file.decision, &file.uid, &ask).ok()?;
        Some(Self {
            uid: file.uid,
            namespace: file.namespace,
            name: file.name,
            created: file.created,
            ask,
            decision,
            own: file.own,
            steered: file.steered,
            started: file.started,
        })
    }
}

/// The folder of the records.
#[derive(Debug, Clone)]
pub(crate) struct Store(PathBuf);

impl Store {
    /// In the state folder.
    pub(crate) fn open(state: &Path) -> Result<Self, WriteError> {
        let folder = state.join("pods");
        file::folder(&folder)?;
        Ok(Self(folder))
    }

    fn path(&self, uid: &str) -> PathBuf {
        self.0.join(format!("{uid}.json"))
    }

    /// Every record that can be read. One that cannot is left for a person to look at.
    pub(crate) fn load(&self) -> Vec<Record> {
        let Ok(entries) = std::fs::read_dir(&self.0) else { return Vec::new() };
        let mut records = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            match Record::read(&text).filter(|record| path == self.path(&record.uid)) {
                Some(record) => records.push(record),
                None => warn!(path = %path.display(), "This record of a decision cannot be read"),
            }
        }
        records
    }

    pub(crate) fn save(&self, record: &Record) -> Result<(), WriteError> {
        file::put(&self.path(&record.uid), record.to_text().as_bytes(), 0o600)
    }

    pub(crate) fn remove(&self, uid: &str) {
        if let Err(error) = file::remove(&self.path(uid)) {
            warn!(uid, error = %error, "A record cannot be removed; it is tried again at the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use ideal_gpu::plan::Plan;

    use super::*;

    #[test]
    fn a_record_survives_and_junk_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let share = Share::Slice { core: 80, memory_mib: 200 };
        let ask = PodAsk {
            containers: vec![
                ContainerAsk { name: "i".into(), phase: Phase::Init, cards: 1, share },
                ContainerAsk { name: "w".into(), phase: Phase::App, cards: 1, share: Share::Whole },
            ],
        };
        let cards = ["GPU-a", "GPU-b"].map(|id| CardId::parse(id).unwrap());
        let record = Record {
            uid: "u1".into(),
            namespace: "ns".into(),
            name: "p".into(),
            created: "2026-01-01T00:00:00Z".into(),
            decision: Decision::new("u1", &ask, &Plan::of(&ask), &cards),
            ask,
            own: true,
            steered: [("i".to_owned(), ["0-GPU-a".to_owned()].into())].into(),
            started: [("w".to_owned(), vec![cards[1].clone()])].into(),
        };
        store.save(&record).unwrap();
        std::fs::write(dir.path().join("pods/u2.json"), "{\"version\":1").unwrap();
        let mut huge = record.write();
        huge.containers[0].cards = u32::MAX;
        assert_eq!(
            Record::read(&serde_json::to_string(&huge).unwrap()),
            None,
            "no machine has so many cards"
        );
        std::fs::copy(dir.path().join("pods/u1.json"), dir.path().join("pods/u3.json")).unwrap();
        assert_eq!(store.load(), [record]);
        store.remove("u1");
        assert!(store.load().is_empty());
        assert!(dir.path().join("pods/u2.json").exists());
    }
}
