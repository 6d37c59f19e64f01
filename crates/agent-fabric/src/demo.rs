//! The whole story on loopback: real sockets, certificates and tokens, and the attacks on them.

mod agent;
mod attacks;
mod inhabitants;
mod report;
mod revocation;
mod services;
mod story;
#[cfg(test)]
mod tests;
mod web;
mod world;

use report::Report;
use story::Story;
use world::{Failure, World};

/// How to play.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoOptions {
    /// Show decoded tokens.
    pub verbose: bool,
    /// One JSON object per line.
    pub json: bool,
    /// The gateway's port; 0 is any free one.
    pub gateway_port: u16,
}

/// Why the story could not be played at all.
#[derive(Debug, thiserror::Error)]
#[error("the demo cannot start: {0}")]
pub struct DemoError(String);

/// Plays the story. Tells whether every expectation held.
///
/// # Errors
///
/// [`DemoError`] when it cannot start, for example because a port is occupied.
pub fn run(options: &DemoOptions) -> Result<bool, DemoError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| DemoError(error.to_string()))?;
    runtime.block_on(async {
        let mut report = Report::new(options.json, options.verbose);
        let world = World::start(options.gateway_port)
            .await
            .map_err(|error| DemoError(error.to_string()))?;
        if let Err(error) = play(&world, &mut report).await {
            report.failure(format!("the story stopped: {error}"));
        }
        Ok(report.finish())
    })
}

async fn play(world: &World, report: &mut Report) -> Result<(), Failure> {
    let story = Story::play(world, report).await?;
    attacks::play(world, &story, report).await
}
