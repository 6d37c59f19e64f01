//! Providers of cryptography and kinds of keys, each with each.

use std::sync::Arc;
use std::time::Duration;

use jose_x509::{Algorithm, SigningKey, provider::ring};
use rustls::crypto::CryptoProvider;
use svid::x509::{CertificateAuthority, X509Svid};
use svid_rustls::{
    Error, Sessions, SvidResolver, SvidVerifier, TlsClient, TlsServer, peer_identity,
};

use crate::fixture::*;

fn providers() -> Vec<(&'static str, Arc<CryptoProvider>, Sessions)> {
    let ring_tickets = Sessions::Tickets(rustls::crypto::ring::Ticketer::new);
    vec![
        ("ring", provider(), ring_tickets),
        #[cfg(feature = "aws-lc-rs")]
        (
            "aws-lc-rs",
            Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            Sessions::Tickets(rustls::crypto::aws_lc_rs::Ticketer::new),
        ),
    ]
}

fn svid_of(ca: &CertificateAuthority, name: &str, algorithm: Algorithm) -> X509Svid {
    let key = SigningKey::generate(&ring::provider(), algorithm).unwrap();
    let lifetime = Duration::from_secs(HOUR);
    let leaf = ca.issue_leaf(&id(name), key.public_key(), &[], lifetime, at(START));
    X509Svid::new(vec![leaf.unwrap()], key).unwrap()
}

#[test]
fn each_with_each() {
    let clock = Clock::new();
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Ed25519] {
        let root = SigningKey::generate(&ring::provider(), algorithm).unwrap();
        let lifetime = Duration::from_secs(100 * HOUR);
        let ca = CertificateAuthority::self_signed(&td("a.test"), root, lifetime, at(START - HOUR));
        let ca = ca.unwrap();
        let bundles = bundles(&[&ca]);
        for (client_name, client_provider, _) in providers() {
            for (server_name, server_provider, sessions) in providers() {
                let label = format!("{client_name} to {server_name} {algorithm}");
                let options = options(&clock).with_sessions(sessions);
                let side = |provider: &Arc<CryptoProvider>, name, peer| {
                    let svid = svid_of(&ca, name, algorithm);
                    let resolver = SvidResolver::new(provider.clone(), &svid).unwrap();
                    let verifier = SvidVerifier::new(provider, bundles.clone(), id(peer));
                    (Arc::new(resolver), Arc::new(verifier))
                };
                let (resolver, verifier) = side(&client_provider, CLIENT, SERVER);
                let client =
                    TlsClient::new(client_provider.clone(), resolver, verifier, options.clone());
                let (resolver, verifier) = side(&server_provider, SERVER, CLIENT);
                let server = TlsServer::new(server_provider, resolver, verifier, options);
                let (client, server) = (client.unwrap(), server.unwrap());
                for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
                    let pair = connect(client.config(), server.config());
                    let pair = pair.unwrap_or_else(|refused| panic!("{label}: {refused:?}"));
                    let kind = pair.server.handshake_kind().unwrap();
                    let full = kind != rustls::HandshakeKind::Resumed;
                    assert_eq!(full, expected == rustls::HandshakeKind::Full, "{label}");
                    assert_eq!(peer_identity(&pair.client), Ok(id(SERVER)), "{label}");
                    assert_eq!(peer_identity(&pair.server), Ok(id(CLIENT)), "{label}");
                }
            }
        }
    }
}

/// A key that the provider cannot use is an error at once, and rotation to it leaves the old one in place.
#[test]
fn keys_that_a_provider_lacks() {
    let ca = ca("a.test");
    let p521 = svid_of(&ca, CLIENT, Algorithm::Es512);
    let refused = SvidResolver::new(provider(), &p521).unwrap_err();
    assert_eq!(refused.code(), "rustls");
    assert!(matches!(refused, Error::Rustls(_)));
    let first = svid(&ca, CLIENT);
    let resolver = resolver(&first);
    assert!(resolver.rotate(&p521).is_err());
    assert_eq!(resolver.not_after(), first.not_after());
    #[cfg(feature = "aws-lc-rs")]
    {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        assert!(SvidResolver::new(provider, &p521).is_ok());
    }
}
