//! An accepted token request fulfils every stated rule and survives being written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use token_exchange::{Form, GRANT_TYPE, TokenExchangeRequest};

fuzz_target!(|body: &[u8]| {
    let Ok(form) = Form::parse(body) else {
        return;
    };
    assert!(
        !form
            .pairs()
            .any(|(name, value)| name.contains('\0') || value.contains('\u{fffd}'))
    );
    let Ok(request) = TokenExchangeRequest::from_form(&form) else {
        return;
    };
    assert_eq!(form.get("grant_type"), Some(GRANT_TYPE));
    for name in [
        "grant_type",
        "subject_token",
        "subject_token_type",
        "actor_token",
        "scope",
    ] {
        assert!(form.get_all(name).count() <= 1, "{name}");
    }
    assert!(!request.subject.unverified_token.is_empty());
    assert_eq!(
        form.get("actor_token").is_some(),
        form.get("actor_token_type").is_some()
    );
    assert!(request.targets().count() <= 16);
    for resource in &request.resources {
        assert!(!resource.as_str().contains('#'));
        url::Url::parse(resource.as_str()).expect("an absolute URI");
    }
    let written = request.to_form();
    let form = Form::parse(written.as_bytes());
    // The escapes of the written form may need more room than those that were read.
    let Ok(form) = form else {
        assert!(written.len() > token_exchange::form::MAX_FORM);
        return;
    };
    let again = TokenExchangeRequest::from_form(&form).expect("a request that was written");
    assert_eq!(again.subject, request.subject);
    assert_eq!(again.actor, request.actor);
    assert_eq!(
        again.scope.unwrap_or_default(),
        request.scope.unwrap_or_default()
    );
    assert_eq!(again.resources, request.resources);
    assert_eq!(again.audiences, request.audiences);
    assert_eq!(again.requested_token_type, request.requested_token_type);
    assert_eq!(again.authorization_details, request.authorization_details);
});
