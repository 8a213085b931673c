//! A node of its own, without a cloud; and how long it takes from exec until its socket answers.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sanity_tests::process::Process;
use sanity_tests::rig::{Error, io};
use tonic::transport::Channel;

use crate::figures::{Goals, Series, ms};

/// Starts that are timed.
const STARTS: usize = 10;

/// From exec to the first answered Probe, by the median.
const GOAL: Duration = Duration::from_millis(300);

/// How long a start may take at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the node with the words of `wrapper` (none, or `taskset …`) before it; its socket is `folder/csi.sock`.
pub(crate) async fn node(
    wrapper: &[&str],
    program: &Path,
    folder: &Path,
) -> Result<(Process, Channel), Error> {
    let root = folder.join("machine");
    std::fs::create_dir_all(root.join("sys/block")).map_err(io("the machine's folder"))?;
    let socket = folder.join("csi.sock");
    let mut command = match wrapper {
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        [] => Command::new(program),
    };
    command.arg("--csi-endpoint").arg(&socket).arg("--sysfs-root").arg(&root);
    command.args(["--region", "zj-shaoxing-2", "--instance-id", "evm-1", "--admin-address", "127.0.0.1:0"]);
    let mut process = Process::start(command, &folder.join("node.log"))?;
    let channel = process.serves(&socket, PATIENCE).await?;
    Ok((process, channel))
}

pub(crate) async fn report(program: &Path, folder: &Path, goals: &mut Goals) -> Result<(), Error> {
    let mut series = Series::default();
    for _ in 0..STARTS {
        let started = Instant::now();
        let (mut process, _) = node(&[], program, folder).await?;
        series.push_ms(started.elapsed());
        process.kill()?;
    }
    let verdict =
        goals.note("start to ready", &format!("< {} ms", GOAL.as_millis()), series.median() < ms(GOAL));
    println!("\n5. Start of the node: exec until its socket answers Probe with ready, looked at every 2 ms");
    println!(
        "   {} starts: median {:.0} ms, longest {:.0} ms   {verdict}",
        series.len(),
        series.median(),
        series.quantile(1.0)
    );
    Ok(())
}
