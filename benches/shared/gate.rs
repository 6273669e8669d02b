//! What every bench with bars takes from its command line, and how it ends.

use std::process::ExitCode;

use clap::Args;

/// Whether the bars bind.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Gate {
    /// Exit with 1 when a bar is missed
    #[arg(long)]
    gate: bool,

    /// What `cargo bench` gives to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

impl Gate {
    /// How a bench ends that has missed so many bars.
    pub(crate) fn exit(self, missed: usize) -> ExitCode {
        if self.gate && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
