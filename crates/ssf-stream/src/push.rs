//! Push delivery (RFC 8935): the transmitter posts a SET, the receiver answers 202.

mod receive;
mod send;

pub(crate) use receive::description;
pub use receive::{Accepted, MAX_BODY, Receipt, Rejection, Transmitter, receive};
pub use send::{Next, Outcome, parse_response, request};
