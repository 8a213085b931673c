//! `ecx-sim`: the simulated cloud as a program, for people and for tests with real processes.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use ecx_sim::config::PlaneKind;
use ecx_sim::{Config, Sim};

/// The ECX cloud, simulated: disks, instances, orders, jobs, stock, faults. Prints one line of JSON when it is ready.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Loopback address and port to listen on; port 0 takes a free one
    #[arg(long, env = "ECX_SIM_LISTEN", default_value = "127.0.0.1:0")]
    listen: String,
    /// TOML file with regions, instances, stock, keys, latencies; the built-in cloud without it
    #[arg(long, env = "ECX_SIM_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for the state (survives a restart) and the disks' files
    #[arg(long, env = "ECX_SIM_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// Whether disks are real: `loop` makes sparse files and loop devices (needs root)
    #[arg(long, env = "ECX_SIM_DATA_PLANE", value_enum)]
    data_plane: Option<PlaneKind>,
    /// Folder for the instances' sysfs-like trees: `<nodes-dir>/<instance>/sys`
    #[arg(long, env = "ECX_SIM_NODES_DIR")]
    nodes_dir: Option<PathBuf>,
    /// Bytes of one "GiB" on the data plane; small values make small disks for quick tests
    #[arg(long, env = "ECX_SIM_UNIT_BYTES")]
    unit_bytes: Option<u64>,
    /// Seed of random faults; none without it
    #[arg(long, env = "ECX_SIM_FAULT_SEED")]
    fault_seed: Option<u64>,
    /// Detach every loop device over our files and exit
    #[arg(long)]
    cleanup: bool,
    /// Keep the loop devices when the program ends
    #[arg(long)]
    keep_devices: bool,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "ecx-sim ends");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let mut config = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    config.listen = args.listen;
    config.state_dir = args.state_dir.or(config.state_dir);
    config.nodes_dir = args.nodes_dir.or(config.nodes_dir);
    config.data_plane = args.data_plane.unwrap_or(config.data_plane);
    config.unit_bytes = args.unit_bytes.unwrap_or(config.unit_bytes);
    config.fault_seed = args.fault_seed.or(config.fault_seed);
    let sim = Sim::start(config)?;
    if args.cleanup {
        return Ok(sim.clean()?);
    }
    let mut out = std::io::stdout();
    writeln!(out, "{{\"url\":\"{}\"}}", sim.url())?;
    out.flush()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = term.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok::<_, std::io::Error>(())
    })?;
    if !args.keep_devices {
        sim.clean()?;
    }
    Ok(())
}
