//! Logs and, if they are wanted, traces: one subscriber.

use clap::{Args, ValueEnum};
use tracing::info;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

#[cfg(feature = "traces")]
use crate::traces::{self, Exporter, NoTraces};

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

/// The flags of traces.
#[derive(Debug, Clone, Default, Args)]
pub struct TraceArgs {
    /// OpenTelemetry collector that gets traces, by OTLP over gRPC: http://HOST:PORT. Only in a build with the cargo feature `traces`,
    /// which the published images are not; another, or with another kind of URL, says so in its log and sends nothing
    #[arg(long = "traces-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// The name of this program in traces, instead of its own
    #[arg(long = "traces-service-name", env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub service_name: Option<String>,
}

/// Held while the program runs; traces that are left are sent when it is dropped.
#[must_use]
pub struct Telemetry {
    #[cfg(feature = "traces")]
    _exporter: Option<Exporter>,
}

/// Starts logging to stderr, and traces; the first line is the build. A second call in one process changes nothing.
pub fn start(log: &LogArgs, args: &TraceArgs, component: &str, version: &str) -> Telemetry {
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match log.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let subscriber = registry().with(lines.with_filter(EnvFilter::new(&log.log_level)));
    #[cfg(feature = "traces")]
    let (exporter, failed) = exporter(args, component, version);
    #[cfg(feature = "traces")]
    let subscriber = subscriber.with(exporter.as_ref().map(|exporter| exporter.layer(traces::TARGET)));
    if subscriber.try_init().is_ok() {
        info!(component, version, "Starting");
    }
    #[cfg(feature = "traces")]
    if let Some(error) = failed {
        tracing::warn!(error = crate::chain::chain(&error), "No traces");
    }
    #[cfg(not(feature = "traces"))]
    if let Some(endpoint) = &args.endpoint {
        tracing::warn!(endpoint, "No traces: this is a build without the feature `traces`");
    }
    Telemetry {
        #[cfg(feature = "traces")]
        _exporter: exporter,
    }
}

/// What sends spans, if the flags want it, or why there is none. A program does its work without traces as well, and the endpoint may be
/// in the environment of every pod because somebody else's program wants it there.
#[cfg(feature = "traces")]
fn exporter(args: &TraceArgs, component: &str, version: &str) -> (Option<Exporter>, Option<NoTraces>) {
    let Some(endpoint) = &args.endpoint else { return (None, None) };
    if !is_plain(endpoint) {
        return (None, Some(NoTraces::Endpoint(endpoint.clone())));
    }
    match Exporter::start(endpoint, args.service_name.as_deref().unwrap_or(component), version) {
        Ok(exporter) => (Some(exporter), None),
        Err(failed) => (None, Some(failed)),
    }
}

/// There is no TLS: the node must not link it.
#[cfg(any(feature = "traces", test))]
fn is_plain(endpoint: &str) -> bool {
    endpoint.parse::<http::Uri>().is_ok_and(|url| {
        let bare = matches!(url.path(), "" | "/") && url.query().is_none();
        url.scheme_str() == Some("http") && url.port_u16().is_some() && bare
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_plain_and_has_a_port() {
        for allowed in ["http://otel-collector.monitoring:4317", "http://10.0.0.1:4317/"] {
            assert!(is_plain(allowed), "{allowed}");
        }
        for refused in
            ["", "otel:4317", "https://otel:4317", "http://otel", "http://otel:4317/v1/traces", "http://:"]
        {
            assert!(!is_plain(refused), "{refused}");
        }
    }
}
