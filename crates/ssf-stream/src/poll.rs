//! Poll delivery (RFC 8936): the receiver asks, acknowledges and reports errors in one request.

mod message;
mod receive;
mod transmit;

pub use message::{MAX_IDS, PollRequest, PollResponse, SetErrorReport};
pub use receive::{Polled, request, verify};
pub use transmit::{PollTransmitter, Step, bad_request, response};
