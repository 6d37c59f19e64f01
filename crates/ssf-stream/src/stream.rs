//! Streams as documents: the configuration, the status, and the requests of the management API, for both roles
//! (SSF 1.0 section 8.1).

mod configuration;
mod member;
mod request;

pub use configuration::{AuthorizationHeader, Delivery, StreamConfiguration};
pub use member::Member;
pub use request::{
    ConfigurationRequest, DeliveryRequest, StreamStatusDocument, SubjectRequest,
    VerificationRequest,
};
pub use ssf_set::ssf::StreamStatus;

/// The largest body of a management request or response, in bytes, except for a list of streams.
pub const MAX_BODY: usize = 512 * 1024;
/// The longest `stream_id` that is read, in bytes.
pub const MAX_STREAM_ID: usize = 256;
/// The most event types in one list.
pub const MAX_EVENTS: usize = 200;
/// The longest URI of an event type, in bytes.
pub const MAX_EVENT_URI: usize = 2048;
/// The longest `state` of a verification, in bytes.
pub const MAX_STATE: usize = 4096;
/// The longest `reason` and `description`, in bytes.
pub const MAX_TEXT: usize = 4096;
/// The longest `authorization_header`, in bytes.
pub const MAX_AUTHORIZATION: usize = 8192;
