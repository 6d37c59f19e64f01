//! Whether an authorization server reads Client ID Metadata Documents (section 6).

use serde_json::{Map, Value};

/// The member of authorization server metadata (RFC 8414).
pub const SUPPORTED: &str = "client_id_metadata_document_supported";

/// Says in authorization server metadata whether this server reads documents.
pub fn advertise(metadata: &mut Map<String, Value>, supported: bool) {
    metadata.insert(SUPPORTED.to_owned(), Value::Bool(supported));
}

/// Whether a server's metadata says that it reads documents: only `true` does. Use a URL as `client_id` only then.
#[must_use]
pub fn is_advertised(metadata: &Map<String, Value>) -> bool {
    metadata.get(SUPPORTED) == Some(&Value::Bool(true))
}
