//! A decision that the node kept on its disk.

use ideal_gpu::decision::Decision;
use ideal_gpu_plugin::checkpoint::Record;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(record) = Record::read(text) else { return };
    assert_eq!(Record::read(&record.to_text()).as_ref(), Some(&record), "written and read");
    let decision = record.decision.to_text();
    assert!(Decision::about(&decision, &record.uid, &record.ask).is_ok(), "it is about its pod");
    assert!(record.ask.containers.iter().all(|container| (1..=16).contains(&container.cards)));
}
