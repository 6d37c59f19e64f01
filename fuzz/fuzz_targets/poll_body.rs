//! Poll messages that are read are written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ssf_stream::poll::{MAX_IDS, PollRequest, PollResponse};

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = PollRequest::parse(body) {
        assert!(request.ack.len() <= MAX_IDS && request.set_errs.len() <= MAX_IDS);
        assert_eq!(PollRequest::parse(&request.to_json()), Ok(request));
    }
    if let Ok(response) = PollResponse::parse(body) {
        assert!(response.unverified_sets.len() <= MAX_IDS);
        assert!(!(response.more_available && response.unverified_sets.is_empty()));
        assert_eq!(PollResponse::parse(&response.to_json()), Ok(response));
    }
});
