//! Sizes of the programs, and what others publish.

use std::path::Path;

use sanity_tests::rig::{Error, io};

use crate::figures::{Goals, MIB};

/// The goal for one program, stripped (`strip = true` of the release profile), in MiB: the images of other drivers are 28 to
/// 63 MB, of which the program is the greater part (see [`PEERS`]).
const GOAL_MIB: f64 = 12.0;

/// What drivers of other clouds publish, and where.
const PEERS: [&str; 3] = [
    "azuredisk at 10,000 volumes: node driver 13 Mi, registrar 8 Mi, livenessprobe 11 Mi (azuredisk-csi-driver#129)",
    "GCP PD: node driver 18 MB on 2 to 4 cores, more than 40 MB on 32 (gcp-compute-persistent-disk-csi-driver#968)",
    "images: outscale 121, later 63 MB (osc-bsu-csi-driver#881); linode 58.7, later 28.2 MB (linode-blockstorage-csi-driver#317)",
];

pub(crate) fn report(programs: &[&Path], goals: &mut Goals) -> Result<(), Error> {
    println!("\n4. Size of the programs, as shipped");
    for program in programs {
        let bytes = std::fs::metadata(program).map_err(io(program.display().to_string()))?.len();
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let mib = bytes as f64 / MIB;
        let verdict = goals.note(&format!("size of {name}"), &format!("< {GOAL_MIB} MiB"), mib < GOAL_MIB);
        println!("   {name:<20} {bytes:>10} bytes  {mib:>5.1} MiB   {verdict}");
    }
    println!("   Published by others about their own drivers, NOT measured here:");
    PEERS.iter().for_each(|peer| println!("     {peer}"));
    Ok(())
}
