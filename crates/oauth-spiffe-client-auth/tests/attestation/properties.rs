//! What holds for whatever comes.

use http::Request;
use oauth_spiffe_client_auth::client::encode;
use oauth_spiffe_client_auth::grant::{self, GrantIssuer, GrantRequest, GrantValidator};
use oauth_spiffe_client_auth::server::read_form;
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A form that the client writes is the one that the server reads.
    #[test]
    fn forms(pairs in prop::collection::vec(("[^\0\u{fffd}]{0,12}", "[^\0\u{fffd}]{0,40}"), 0..64)) {
        let request = Request::post("https://as.example.com/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let form = read_form(&parts, encode(&pairs).as_bytes()).unwrap();
        let read: Vec<_> = form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(read, pairs);
    }

    /// Names of methods survive, known or not, in their kinds.
    #[test]
    fn pop_methods(names in prop::collection::vec("attestation_pop_jwt|dpop_combined|none|[a-z_]{1,8}", 1..6)) {
        let methods = PopMethods::from_value(&json!(names)).unwrap();
        prop_assert_eq!(PopMethods::from_value(&methods.to_value()), Ok(methods.clone()));
        for method in PopMethod::ALL {
            prop_assert_eq!(methods.contains(method), names.iter().any(|name| name == method.name()));
        }
        // Whatever is chosen is listed, and nothing is chosen only where that is allowed.
        for uses_dpop in [false, true] {
            match methods.choose(uses_dpop) {
                Ok(Some(method)) => prop_assert!(methods.contains(method) && method != PopMethod::None),
                Ok(None) => prop_assert!(methods.contains(PopMethod::None)),
                Err(error) => prop_assert_eq!(error, Error::NoCommonMethod),
            }
        }
    }

    /// A challenge is good as it was given, for a while that begins at once and ends, and in no other form.
    ///
    /// Covers: OAUTH-ABCA-A18
    #[test]
    fn challenges_are_authentic(at_byte in 0_usize..32, other in "[A-Za-z0-9_-]", age in 0_u64..1000, guess in "[!-~]{1,64}") {
        let source = StatelessChallenges::new(&PROVIDER, [3; 32], ISSUER).unwrap();
        let challenge = source.issue(at(NOW)).unwrap();
        let current = source.is_current(&challenge, at(NOW + age));
        prop_assert!(current || age >= 150);
        prop_assert!(!current || age < 300);
        let mut text = challenge.as_str().to_owned();
        prop_assert_eq!(text.len(), 32);
        text.replace_range(at_byte..=at_byte, &other);
        let changed = Challenge::parse(&text).unwrap();
        prop_assert_eq!(source.is_current(&changed, at(NOW)), changed == challenge);
        prop_assert!(!source.is_current(&Challenge::parse(&guess).unwrap(), at(NOW)));
    }

    /// No request makes a scope wider than what was granted.
    ///
    /// Covers: RFC7523-A17
    #[test]
    fn scopes_narrow(wanted in prop::collection::vec("[a-d]", 1..6), granted in prop::collection::vec("[a-c]", 0..4)) {
        let key = key("sts");
        let issuers = [GrantIssuer::new("https://sts.example", set(&[&key]))];
        let assertion = grant::sign(&key, "https://sts.example", "user", ISSUER, at(NOW)).unwrap();
        let form = grant::request(&assertion, Some(&wanted.join(" ")));
        let grant = GrantValidator::new(ISSUER, TOKEN_ENDPOINT)
            .unwrap()
            .validate(&GrantRequest::from_form(&form).unwrap(), &issuers[..], &MemoryReplayGuard::new(1), at(NOW))
            .unwrap();
        match grant.scope(granted.iter().map(String::as_str)) {
            Ok(scope) => {
                prop_assert_eq!(&scope, &wanted);
                prop_assert!(scope.iter().all(|scope| granted.iter().any(|one| one == scope)));
            }
            Err(error) => {
                prop_assert_eq!(error, Error::Scope);
                prop_assert!(wanted.iter().any(|scope| !granted.contains(scope)));
            }
        }
    }
}
