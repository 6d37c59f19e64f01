//! An accepted request for a transaction token fulfils every rule of its profile, judged by the parameters as they were sent, and
//! survives being written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use token_exchange::{Form, TokenType};
use txn_token::context::MAX_CONTEXT;
use txn_token::{Context, TxnTokenRequest};

const DOMAIN: &str = "example.org";

fuzz_target!(|body: &[u8]| {
    let Ok(form) = Form::parse(body) else {
        return;
    };
    let Ok(request) = TxnTokenRequest::from_form(&form, DOMAIN) else {
        return;
    };
    let all = |name: &str| form.get_all(name).collect::<Vec<_>>();
    assert_eq!(
        all("grant_type"),
        ["urn:ietf:params:oauth:grant-type:token-exchange"]
    );
    assert_eq!(
        all("requested_token_type"),
        ["urn:ietf:params:oauth:token-type:txn_token"]
    );
    assert_eq!(all("audience"), [DOMAIN]);
    assert_eq!(request.trust_domain, DOMAIN);
    assert_eq!(all("subject_token"), [&*request.subject.unverified_token]);
    assert_eq!(
        all("subject_token_type"),
        [request.subject.token_type.as_str()]
    );
    assert_ne!(request.subject.token_type, TokenType::RefreshToken);
    for name in ["actor_token", "actor_token_type", "resource"] {
        assert!(all(name).is_empty(), "{name}");
    }
    let mut scopes: Vec<_> = all("scope")
        .concat()
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    scopes.sort();
    scopes.dedup();
    assert!(
        !request.scope.is_empty() && request.scope.iter().eq(scopes.iter().map(String::as_str))
    );
    for (name, context) in [
        ("request_context", &request.unverified_request_context),
        ("request_details", &request.unverified_request_details),
    ] {
        check_context(&all(name), context);
    }

    let written = request.to_form().expect("its contexts were parsed");
    // The escapes of the written form may need more room than those that were read.
    let Ok(form) = Form::parse(written.as_bytes()) else {
        assert!(written.len() > token_exchange::form::MAX_FORM);
        return;
    };
    let again = TxnTokenRequest::from_form(&form, DOMAIN).expect("a request that was written");
    assert_eq!(again.subject, request.subject);
    assert_eq!(again.scope, request.scope);
    assert_eq!(
        again.unverified_request_context,
        request.unverified_request_context
    );
    assert_eq!(
        again.unverified_request_details,
        request.unverified_request_details
    );
    TxnTokenRequest::from_form(&form, "other.example").expect_err("it is for another domain");
});

/// A context has the members that were sent, each with its text.
fn check_context(sent: &[&str], context: &Context) {
    let [text] = sent else {
        assert!(sent.is_empty() && context.is_empty());
        return;
    };
    assert!(text.len() <= MAX_CONTEXT);
    let members: Map<String, Value> = serde_json::from_str(text).expect("an object");
    assert_eq!(context.names().count(), members.len());
    for (name, value) in &members {
        let raw = context.raw(name).expect("each member is kept");
        assert!(text.contains(raw));
        assert_eq!(context.get(name).as_ref(), Some(value));
    }
}
