//! Is any disk with data ever formatted? Every content of the table meets every fault, through the real NodeStageVolume on
//! real loop devices with the real mkfs and real mounts; after each refusal every byte of the disk is what it was.
//!
//! ```text
//! content       a row: what a disk may hold      disk     the content of one row, written once
//! real, craft   the rows                         fault    what may go wrong, and what must come of it
//! lab           images, loop devices, serials    faulty   the machine with one thing wrong at one moment
//! table         outcomes, and what is wrong      bench    the disk and the service of one case
//! parts         several processes at once        case     one content meets one fault
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use eck_csi_node::fsid;

mod bench;
mod case;
mod content;
mod craft;
mod disk;
mod fault;
mod faulty;
mod lab;
mod parts;
mod real;
mod table;

use content::Content;
use disk::{VOLUME, volume};
use real::Ids;

/// The real programs' contents and the crafted ones.
fn contents() -> Vec<Content> {
    let another = volume("cd-anotherdisk000000001");
    let ids = Ids {
        ours: fsid::filesystem_uuid(&volume(VOLUME)).to_string(),
        others: fsid::filesystem_uuid(&another).to_string(),
    };
    let mut contents = real::contents(Box::leak(Box::new(ids)));
    contents.extend(craft::contents());
    contents
}

#[test]
fn disk_states_only_blank_disks_are_formatted_and_a_refused_disk_is_untouched() {
    let contents = contents();
    if let Some(part) = parts::mine() {
        return part.run(&contents);
    }
    let started = std::time::Instant::now();
    let lines = parts::run(contents.len());
    let wrong = table::print(&lines, started.elapsed());
    assert!(lines.len() >= 40 && wrong == 0, "{wrong} things are wrong, see the table");
}
