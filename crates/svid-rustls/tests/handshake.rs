//! Handshakes in memory, between workloads that are and are not who they should be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::sync::Arc;
use std::time::Duration;

use jose_x509::{Algorithm, SigningKey, provider::ring};
use pki_types::{ServerName, UnixTime};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConnection, HandshakeKind, ServerConnection};
use spiffe_bundle::{Bundle, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use svid::x509::{CertificateAuthority, X509Svid};
use svid_rustls::{
    Authorizer, SvidResolver, SvidVerifier, client_config, peer_identity, server_config,
};

const DAY: Duration = Duration::from_secs(86_400);
const CLIENT: &str = "spiffe://a.test/agents/one";
const SERVER: &str = "spiffe://a.test/tools/ledger";

fn key() -> SigningKey {
    SigningKey::generate(&ring::provider(), Algorithm::Es256).unwrap()
}

fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

fn days_ago(days: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(
        UnixTime::now().as_secs() - days * DAY.as_secs(),
    ))
}

fn ca(name: &str) -> CertificateAuthority {
    let trust_domain = TrustDomain::parse(name).unwrap();
    CertificateAuthority::self_signed(&trust_domain, key(), 30 * DAY, days_ago(10)).unwrap()
}

fn svid(ca: &CertificateAuthority, name: &str) -> X509Svid {
    svid_at(ca, name, UnixTime::now())
}

fn svid_at(ca: &CertificateAuthority, name: &str, now: UnixTime) -> X509Svid {
    let key = key();
    let leaf = ca
        .issue_leaf(&id(name), key.public_key(), &[], DAY, now)
        .unwrap();
    X509Svid::new(vec![leaf], key).unwrap()
}

fn bundles(cas: &[&CertificateAuthority]) -> Arc<SharedBundleSet> {
    let set = SharedBundleSet::default();
    for ca in cas {
        let bundle = Bundle::builder(&ring::provider(), ca.trust_domain().to_trust_domain())
            .with_x509_authority(ca.certificate())
            .build()
            .unwrap();
        set.install(bundle).unwrap();
    }
    Arc::new(set)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

struct Side {
    resolver: Arc<SvidResolver>,
    verifier: Arc<SvidVerifier>,
}

fn side(svid: &X509Svid, bundles: &Arc<SharedBundleSet>, peer: impl Authorizer + 'static) -> Side {
    Side {
        resolver: Arc::new(SvidResolver::new(provider(), svid).unwrap()),
        verifier: Arc::new(SvidVerifier::new(&provider(), bundles.clone(), peer)),
    }
}

type Pair = (ClientConnection, ServerConnection);

fn connect(client: &Side, server: &Side, name: &'static str) -> Result<Pair, rustls::Error> {
    let config = client_config(provider(), client.resolver.clone(), client.verifier.clone());
    let name = ServerName::try_from(name).unwrap();
    let mut client = ClientConnection::new(Arc::new(config.unwrap()), name)?;
    let config = server_config(provider(), server.resolver.clone(), server.verifier.clone());
    let mut server = ServerConnection::new(Arc::new(config.unwrap()))?;
    shake(&mut client, &mut server)?;
    Ok((client, server))
}

fn shake(
    client: &mut ClientConnection,
    server: &mut ServerConnection,
) -> Result<(), rustls::Error> {
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut read = wire.as_slice();
        while !read.is_empty() {
            server.read_tls(&mut read).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut read = wire.as_slice();
        while !read.is_empty() {
            client.read_tls(&mut read).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

/// The code of this crate's error inside of that of rustls.
fn refusal(result: Result<Pair, rustls::Error>) -> String {
    match result {
        Ok(_) => "connected".to_owned(),
        Err(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => other
            .0
            .downcast_ref::<svid_rustls::Error>()
            .map_or("other".to_owned(), |error| error.code().to_owned()),
        Err(other) => other.to_string(),
    }
}

/// Both sides learn who the other one is; host names play no part.
#[test]
fn both_sides_are_identified() {
    let ca = ca("a.test");
    let bundles = bundles(&[&ca]);
    let client = side(&svid(&ca, CLIENT), &bundles, id(SERVER));
    let agents = SpiffeIdPattern::parse("spiffe://a.test/agents/*").unwrap();
    let server = side(&svid(&ca, SERVER), &bundles, agents);
    let (client, server) = connect(&client, &server, "unrelated.example").unwrap();
    assert_eq!(peer_identity(client.peer_certificates()), Ok(id(SERVER)));
    assert_eq!(peer_identity(server.peer_certificates()), Ok(id(CLIENT)));
    assert_eq!(peer_identity(None).unwrap_err().code(), "no_peer");
}

/// Covers: X509-SVID-5.2-7, X509-SVID-A19
#[test]
fn authentication_is_not_authorization() {
    let ca = ca("a.test");
    let bundles = bundles(&[&ca]);
    let good = side(&svid(&ca, CLIENT), &bundles, id(SERVER));
    let server = |peer: &'static str| side(&svid(&ca, SERVER), &bundles, id(peer));
    assert_eq!(refusal(connect(&good, &server(CLIENT), "h")), "connected");
    assert_eq!(
        refusal(connect(&good, &server("spiffe://a.test/agents/two"), "h")),
        "not_authorized"
    );
    let picky = side(&svid(&ca, CLIENT), &bundles, |peer: &SpiffeId| {
        peer.path() == "/tools/other"
    });
    assert_eq!(
        refusal(connect(&picky, &server(CLIENT), "h")),
        "not_authorized"
    );
}

/// The CA of one trust domain cannot speak for another one, in either role.
///
/// Covers: X509-SVID-A4, X509-SVID-5.1-3
#[test]
fn trust_domains_are_apart() {
    let (a, b) = (ca("a.test"), ca("b.test"));
    // A CA that claims the other trust domain, with the key and certificate of a federated one.
    let claimed = TrustDomain::parse("a.test").unwrap();
    let imposter_key = key();
    let imposter =
        CertificateAuthority::self_signed(&claimed, imposter_key, 30 * DAY, days_ago(1)).unwrap();
    let federated = bundles(&[&a, &b]);
    federated
        .install(
            Bundle::builder(&ring::provider(), TrustDomain::parse("b.test").unwrap())
                .with_sequence(2)
                .with_x509_authority(imposter.certificate())
                .build()
                .unwrap(),
        )
        .unwrap();
    let any = |_: &SpiffeId| true;
    let good_server = side(&svid(&a, SERVER), &federated, any);
    let good_client = side(&svid(&a, CLIENT), &federated, any);
    let bad_client = side(&svid(&imposter, CLIENT), &federated, any);
    let bad_server = side(&svid(&imposter, SERVER), &federated, any);
    assert_eq!(
        refusal(connect(&good_client, &good_server, "h")),
        "connected"
    );
    assert_eq!(
        refusal(connect(&bad_client, &good_server, "h")),
        "unknown_issuer"
    );
    assert_eq!(
        refusal(connect(&good_client, &bad_server, "h")),
        "unknown_issuer"
    );
    let stranger = ca("c.test");
    let stranger = side(&svid(&stranger, "spiffe://c.test/x"), &federated, any);
    assert_eq!(refusal(connect(&stranger, &good_server, "h")), "no_bundle");
}

#[test]
fn expired_peers() {
    let ca = ca("a.test");
    let bundles = bundles(&[&ca]);
    let expired = side(&svid_at(&ca, CLIENT, days_ago(3)), &bundles, id(SERVER));
    let server = side(&svid(&ca, SERVER), &bundles, id(CLIENT));
    let error = connect(&expired, &server, "h").unwrap_err();
    assert_eq!(
        error,
        rustls::Error::InvalidCertificate(rustls::CertificateError::Expired)
    );
}

/// A revoked root ends the next handshake, and no earlier session stands in for it.
///
/// Covers: X509-SVID-A17
#[test]
fn revocation_and_rotation_apply_to_the_next_handshake() {
    let (old, new) = (ca("a.test"), ca("a.test"));
    let bundles = bundles(&[&old]);
    let client = side(&svid(&old, CLIENT), &bundles, id(SERVER));
    let server = side(&svid(&old, SERVER), &bundles, id(CLIENT));
    let client_tls = Arc::new(
        client_config(provider(), client.resolver.clone(), client.verifier.clone()).unwrap(),
    );
    let server_tls = Arc::new(
        server_config(provider(), server.resolver.clone(), server.verifier.clone()).unwrap(),
    );
    let again = || {
        let name = ServerName::try_from("h").unwrap();
        let mut client = ClientConnection::new(client_tls.clone(), name)?;
        let mut server = ServerConnection::new(server_tls.clone())?;
        shake(&mut client, &mut server)?;
        assert_ne!(server.handshake_kind(), Some(HandshakeKind::Resumed));
        Ok((client, server))
    };
    assert_eq!(refusal(again()), "connected");
    assert_eq!(refusal(again()), "connected");
    let renewed = Bundle::builder(&ring::provider(), TrustDomain::parse("a.test").unwrap())
        .with_sequence(2)
        .with_x509_authority(new.certificate())
        .build()
        .unwrap();
    bundles.install(renewed).unwrap();
    assert_eq!(refusal(again()), "unknown_issuer");
    client.resolver.rotate(&svid(&new, CLIENT)).unwrap();
    server.resolver.rotate(&svid(&new, SERVER)).unwrap();
    assert_eq!(refusal(again()), "connected");
}
