//! The receiver: discovery, the management of its streams, and what comes through them.
//!
//! 1. [`discovery`] finds the transmitter's metadata, [`Management`] makes requests out of them and reads the responses.
//! 2. A [`StreamReceiver`] is bound to one stream: it takes the stream's SETs, pushed or polled, and no others.
//! 3. A [`Poller`] is the loop of a polled stream without its I/O.

pub mod discovery;
mod flood;
pub(crate) mod management;
pub mod oauth;
mod poller;
mod stream;
mod verification;

pub use flood::{KeyRefresh, PeerRate};
pub use management::{Created, Credentials, Management, Updated};
pub use poller::{Poller, PollerStep};
pub use stream::{StreamReceiver, Taken};
pub use verification::Verifications;
