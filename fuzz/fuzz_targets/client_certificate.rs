//! Certificates and names that come as text: what is accepted says one thing, and says it again.
//!
//! The first line names the reader: `dn`, `der`, `client-cert`, `xfcc`, `authorization` or `challenge`.
#![no_main]

use jose_x509::base64url;
use jose_x509::binding::Authorization;
use jose_x509::dpop::{Nonce, ReceivedChallenge};
use jose_x509::mtls::Forwarded;
use jose_x509::x509::{Certificate, DistinguishedName, MAX_DN};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (reader, input) = (&data[..at], &data[at + 1..]);
    match reader {
        b"dn" => {
            let Ok(text) = core::str::from_utf8(input) else {
                return;
            };
            if let Ok(name) = text.parse::<DistinguishedName>() {
                assert!(!name.is_empty());
                let written = name.to_string();
                // Escaping what was plain can make a name too long to be read again.
                if written.len() <= MAX_DN {
                    assert_eq!(written.parse().as_ref(), Ok(&name));
                }
            }
        }
        b"der" => {
            if let Some(name) = DistinguishedName::from_der(input) {
                // What has no unambiguous text (an odd object identifier) is not read again.
                if let Ok(again) = name.to_string().parse::<DistinguishedName>() {
                    assert_eq!(again, name);
                }
            }
        }
        b"client-cert" => {
            let forwarded = Forwarded::rfc9440(|trusted: &bool| *trusted);
            let mut lines = input.splitn(2, |byte| *byte == b'\n');
            let fields: Vec<_> = ["client-cert", "client-cert-chain"]
                .into_iter()
                .zip(&mut lines)
                .collect();
            check(&forwarded.read(&true, fields.iter().copied()));
            assert!(matches!(forwarded.read(&false, fields), Ok(None)));
        }
        b"xfcc" => {
            let forwarded = Forwarded::envoy(|trusted: &bool| *trusted);
            let fields = [("X-Forwarded-Client-Cert", input)];
            check(&forwarded.read(&true, fields));
            assert!(matches!(forwarded.read(&false, fields), Ok(None)));
        }
        b"authorization" => {
            if let Ok(authorization) = Authorization::read([input]) {
                let token = authorization.token().as_bytes();
                assert!(!token.is_empty() && input.ends_with(token));
                assert!(
                    token
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() && *byte != b',')
                );
            }
        }
        b"challenge" => {
            let _ = Nonce::from_fields([input]);
            if let Ok(challenges) = ReceivedChallenge::parse_all([input]) {
                assert!(challenges.len() <= 16);
                for challenge in &challenges {
                    assert!(!challenge.scheme().is_empty());
                    assert!(
                        challenge.token68().is_none() || challenge.parameter("error").is_none()
                    );
                }
            }
        }
        _ => {}
    }
});

/// The leaf is one certificate in its one encoding.
fn check(found: &Result<Option<jose_x509::mtls::ClientCertificate<'static>>, jose_x509::Error>) {
    if let Ok(Some(certificate)) = found {
        let parsed = Certificate::parse(certificate.leaf()).expect("the leaf was parsed");
        assert_eq!(parsed.der(), certificate.leaf().as_ref());
        assert!(certificate.unverified_intermediates().len() <= 8);
        let hash = certificate.thumbprint(&jose_x509::provider::ring::provider());
        let text = base64url::encode(&hash);
        assert_eq!(jose_x509::mtls::parse_thumbprint(&text), Ok(hash));
    }
}
