//! A stream as bytes: JSON, so that a later version can add members.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use ssf_set::ssf::StreamStatus;

use crate::queue::Sequence;
use crate::stream::{AuthorizationHeader, Delivery, StreamConfiguration};
use crate::transmitter::{StoreError, StreamRecord};

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u64,
    receiver: String,
    group: Option<String>,
    configuration: Configuration,
    status: String,
    reason: Option<String>,
    last: Option<u64>,
    active_at: u64,
    verification_at: Option<u64>,
    verification: Option<String>,
    verified: bool,
    dropped: u64,
}

#[derive(Serialize, Deserialize)]
struct Configuration {
    stream_id: String,
    iss: String,
    aud: Vec<String>,
    events_supported: Option<Vec<String>>,
    events_requested: Option<Vec<String>>,
    events_delivered: Vec<String>,
    delivery: Method,
    min_verification_interval: Option<u64>,
    inactivity_timeout: Option<u64>,
    description: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    Push {
        endpoint_url: String,
        authorization_header: Option<String>,
    },
    Poll {
        endpoint_url: String,
    },
}

pub(super) fn write_record(record: &StreamRecord) -> Result<Vec<u8>, StoreError> {
    let record = record.clone();
    let stored = Stored {
        version: record.version,
        receiver: record.receiver,
        group: record.group,
        configuration: record.configuration.into(),
        status: record.status.as_str().to_owned(),
        reason: record.reason,
        last: record.last.map(|sequence| sequence.0),
        active_at: record.active_at,
        verification_at: record.verification_at,
        verification: record.verification,
        verified: record.verified,
        dropped: record.dropped,
    };
    serde_json::to_vec(&stored).map_err(|_| StoreError::Unavailable)
}

pub(super) fn read_record(bytes: &[u8]) -> Result<Arc<StreamRecord>, StoreError> {
    let stored: Stored = serde_json::from_slice(bytes).map_err(|_| StoreError::Unavailable)?;
    let status = StreamStatus::from_name(&stored.status);
    Ok(Arc::new(StreamRecord {
        version: stored.version,
        receiver: stored.receiver,
        group: stored.group,
        configuration: stored.configuration.into(),
        status: status.ok_or(StoreError::Unavailable)?,
        reason: stored.reason,
        last: stored.last.map(Sequence),
        active_at: stored.active_at,
        verification_at: stored.verification_at,
        verification: stored.verification,
        verified: stored.verified,
        dropped: stored.dropped,
    }))
}

impl From<StreamConfiguration> for Configuration {
    fn from(configuration: StreamConfiguration) -> Self {
        Self {
            stream_id: configuration.stream_id,
            iss: configuration.iss,
            aud: configuration.aud,
            events_supported: configuration.events_supported,
            events_requested: configuration.events_requested,
            events_delivered: configuration.events_delivered,
            delivery: match configuration.delivery {
                Delivery::Poll { endpoint_url } => Method::Poll { endpoint_url },
                Delivery::Push {
                    endpoint_url,
                    authorization_header: secret,
                } => Method::Push {
                    endpoint_url,
                    authorization_header: secret.map(|secret| secret.expose_text().to_owned()),
                },
            },
            min_verification_interval: configuration.min_verification_interval,
            inactivity_timeout: configuration.inactivity_timeout,
            description: configuration.description,
        }
    }
}

impl From<Configuration> for StreamConfiguration {
    fn from(stored: Configuration) -> Self {
        Self {
            stream_id: stored.stream_id,
            iss: stored.iss,
            aud: stored.aud,
            events_supported: stored.events_supported,
            events_requested: stored.events_requested,
            events_delivered: stored.events_delivered,
            delivery: match stored.delivery {
                Method::Poll { endpoint_url } => Delivery::Poll { endpoint_url },
                Method::Push {
                    endpoint_url,
                    authorization_header: secret,
                } => Delivery::Push {
                    endpoint_url,
                    authorization_header: secret
                        .and_then(|secret| AuthorizationHeader::new(&secret)),
                },
            },
            min_verification_interval: stored.min_verification_interval,
            inactivity_timeout: stored.inactivity_timeout,
            description: stored.description,
        }
    }
}
