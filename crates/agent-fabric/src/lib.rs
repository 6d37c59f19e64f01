//! agent-fabric

pub mod audit;
pub mod net;
pub mod policy;
pub mod registry;
