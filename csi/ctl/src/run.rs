//! One command from its flags to its exit code.

use std::io::Write as _;
use std::process::ExitCode;

use eck_csi_kubernetes::now;

use crate::agreement::{self, Disagreement};
use crate::args::{Args, Command};
use crate::console::{self, Console, Ended};
use crate::settings::{self, SettingsError};
use crate::{adopt, audit, bundle, cloud_check, explain};

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Cluster or cloud is not known.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Something was to be changed, and flags and cluster disagree.
    #[error("nothing is changed")]
    Disagreement(#[from] Disagreement),
    /// `audit`.
    #[error(transparent)]
    Audit(#[from] audit::AuditError),
    /// `adopt`.
    #[error(transparent)]
    Adopt(#[from] adopt::AdoptError),
    /// `explain`.
    #[error(transparent)]
    Explain(#[from] explain::ExplainError),
    /// `cloud-check`.
    #[error(transparent)]
    CloudCheck(#[from] cloud_check::CloudCheckError),
    /// `support-bundle`.
    #[error(transparent)]
    Bundle(#[from] bundle::BundleError),
    /// Output.
    #[error("the answer cannot be written")]
    Write(#[from] std::io::Error),
}

impl CommandError {
    /// 1 where the answer is no; 3 where there is none.
    fn code(&self) -> u8 {
        match self {
            Self::Adopt(error) if error.is_refusal() => 1,
            Self::Explain(explain::ExplainError::NoClaim { .. }) => 1,
            Self::Disagreement(disagreement) if disagreement.is_refusal() => 1,
            Self::Settings(_)
            | Self::Disagreement(_)
            | Self::Audit(_)
            | Self::Adopt(_)
            | Self::Explain(_)
            | Self::CloudCheck(_)
            | Self::Bundle(_)
            | Self::Write(_) => 3,
        }
    }
}

/// Runs the program.
pub fn main(args: Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(3, &error),
    };
    let mut out = std::io::stdout();
    let mut console = Console { out: &mut out, ask: &mut console::ask, now: &now };
    match runtime.block_on(run(&args, &mut console)) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Found) => ExitCode::from(1),
        Err(error) => failed(error.code(), &error),
    }
}

fn failed(code: u8, error: &dyn std::error::Error) -> ExitCode {
    // Where even stderr is gone, the exit code remains.
    let _ = writeln!(std::io::stderr(), "eckctl: {}", serve::chain::chain(error));
    ExitCode::from(code)
}

/// Runs one command.
pub async fn run(args: &Args, console: &mut Console<'_>) -> Result<Ended, CommandError> {
    // The first command that is run with an account: there may be no cluster yet.
    if let (Command::CloudCheck(command), Some(cloud)) = (&args.command, settings::account(&args.cloud)?) {
        return Ok(cloud_check::cloud_check(&cloud, command, console).await?);
    }
    let kubernetes = settings::kubernetes(args).await?;
    match &args.command {
        Command::Audit(command) => {
            let cloud = settings::cloud(&args.cloud, &kubernetes).await?;
            if command.changes() {
                agreement::check(&cloud, &kubernetes).await?;
            }
            Ok(audit::audit(&kubernetes, &cloud, command, console).await?)
        }
        Command::Adopt(command) => {
            let cloud = settings::cloud(&args.cloud, &kubernetes).await?;
            Ok(adopt::adopt(&kubernetes, &cloud, command, console).await?)
        }
        Command::Explain(command) => {
            // Without the cloud the cluster alone still explains most.
            let cloud = settings::cloud(&args.cloud, &kubernetes).await;
            Ok(explain::explain(
                &kubernetes,
                cloud.as_ref().map_err(|e| serve::chain::chain(e)),
                command,
                console,
            )
            .await?)
        }
        Command::CloudCheck(command) => {
            let cloud = settings::cloud(&args.cloud, &kubernetes).await?;
            Ok(cloud_check::cloud_check(&cloud, command, console).await?)
        }
        Command::SupportBundle(command) => {
            let cloud = settings::cloud(&args.cloud, &kubernetes).await;
            Ok(bundle::bundle(
                &kubernetes,
                cloud.as_ref().map_err(|e| serve::chain::chain(e)),
                command,
                console,
            )
            .await?)
        }
    }
}
