//! Logs: one subscriber, two flags.

use clap::{Args, ValueEnum};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The log flags every program has.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// What is logged: a level (error, warn, info, debug, trace) or filter directives such as `info,eck_csi_node=debug`
    #[arg(long, env = "LOG_LEVEL", default_value = "info", value_parser = parse_filter)]
    pub log_level: String,
    /// How log lines look
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|e| e.to_string())
}

impl LogArgs {
    /// Starts logging to stderr; the first line is the build. A second call in one process changes nothing.
    pub fn init(&self, component: &str, version: &str) {
        let filter = EnvFilter::new(&self.log_level);
        let builder =
            tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
        let started = match self.log_format {
            LogFormat::Text => builder.try_init(),
            LogFormat::Json => builder.json().flatten_event(true).try_init(),
        };
        if started.is_ok() {
            info!(component, version, "Starting");
        }
    }
}
