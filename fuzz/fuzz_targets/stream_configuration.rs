//! What is read of a stream is written and read again as the same, and keeps every bound that is stated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ssf_stream::metadata::{POLL, PUSH};
use ssf_stream::stream::{
    ConfigurationRequest, Delivery, DeliveryRequest, MAX_EVENT_URI, MAX_EVENTS, MAX_STATE,
    MAX_STREAM_ID, Member, StreamConfiguration, StreamStatusDocument, SubjectRequest,
    VerificationRequest,
};

fn bounded(events: &[String]) -> bool {
    events.len() <= MAX_EVENTS && events.iter().all(|event| event.len() <= MAX_EVENT_URI)
}

fuzz_target!(|body: &[u8]| {
    if let Ok(stream) = StreamConfiguration::parse(body) {
        assert!(!stream.stream_id.is_empty() && stream.stream_id.len() <= MAX_STREAM_ID);
        assert!(!stream.aud.is_empty() && bounded(&stream.events_delivered));
        assert!(stream.delivery.endpoint_url().starts_with("https://"));
        assert!([PUSH, POLL].contains(&stream.delivery.method()));
        let written = stream.to_value().to_string();
        assert_eq!(
            StreamConfiguration::parse(written.as_bytes()),
            Ok(stream.clone())
        );
        // What a transmitter shows may be said back to it, as an update and as a replacement.
        if let Ok(update) = ConfigurationRequest::parse_update(written.as_bytes()) {
            assert_eq!(update.check_asserted(&stream), Ok(()));
        }
        let replacing = ConfigurationRequest::replacing(&stream);
        if let Ok(read) = ConfigurationRequest::parse_update(&replacing.to_json()) {
            assert_eq!(read, replacing);
        }
        if let Delivery::Push {
            authorization_header,
            ..
        } = &stream.delivery
        {
            assert_eq!(*authorization_header, None);
        }
    }
    if let Ok(request) = ConfigurationRequest::parse_create(body) {
        assert_eq!(request.stream_id, None);
        assert!(
            request
                .events_requested
                .value()
                .is_none_or(|events| bounded(events))
        );
        if let Member::Value(DeliveryRequest::Push {
            endpoint_url,
            authorization_header,
        }) = &request.delivery
        {
            assert!(endpoint_url.starts_with("https://"));
            assert!(
                authorization_header
                    .as_ref()
                    .is_none_or(|header| header.expose().is_sensitive())
            );
        }
        assert_eq!(
            ConfigurationRequest::parse_create(&request.to_json()),
            Ok(request)
        );
    }
    if let Ok(request) = ConfigurationRequest::parse_update(body) {
        assert!(request.stream_id.is_some());
        assert_eq!(
            ConfigurationRequest::parse_update(&request.to_json()),
            Ok(request)
        );
    }
    if let Ok(status) = StreamStatusDocument::parse(body) {
        assert!(
            status
                .reason
                .as_ref()
                .is_none_or(|reason| !reason.contains(['\r', '\n']))
        );
        assert_eq!(StreamStatusDocument::parse(&status.to_json()), Ok(status));
    }
    if let Ok(subject) = SubjectRequest::parse(body) {
        assert!(subject.subject.matches(&subject.subject));
        assert_eq!(SubjectRequest::parse(&subject.to_json()), Ok(subject));
    }
    if let Ok(request) = VerificationRequest::parse(body) {
        assert!(
            request
                .state
                .as_ref()
                .is_none_or(|state| state.len() <= MAX_STATE)
        );
        assert_eq!(VerificationRequest::parse(&request.to_json()), Ok(request));
    }
});
