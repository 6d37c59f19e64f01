//! What the programs of this crate share: their options.

use clap::Parser;

/// Measures these crates and their peers.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench")]
pub struct Options {
    /// Prints one JSON array instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Measures only the cases whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub filter: String,
    /// Seconds for each case.
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
}
