//! What an attacker tries, and the error that refuses it.
use super::report::Report;
use super::story::Story;
use super::world::{Failure, World};
pub(super) async fn play(_: &World, _: &Story, _: &mut Report) -> Result<(), Failure> { Ok(()) }
