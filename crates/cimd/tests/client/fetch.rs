use std::{
    net::Ipv4Addr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use cimd::{
    Error, FetchPolicy,
    client::{Fetcher, Resolve},
    guard::AddressPolicy,
};
use tokio_rustls::rustls::ClientConfig;

use crate::server::{Answer, Answers, HEAD, Server, document, fetch, good};

/// Covers: CIMD-5-5, CIMD-5.2-2
#[tokio::test]
async fn fetches_a_document() {
    let (server, url) = Server::start("client.test", good).await;
    let fetched = fetch(&server.fetcher(), &url).await.unwrap();
    assert_eq!(fetched.metadata.client_name(), Some("Example"));
    assert_eq!(
        fetched.freshness.expires().unwrap().as_secs(),
        1_800_000_600
    );
    let request = server.requests.lock().unwrap()[0].to_ascii_lowercase();
    let mut lines: Vec<_> = request.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "get /client.json http/1.1");
    lines.sort_unstable();
    let host = format!("host: client.test:{}", server.port);
    assert_eq!(
        lines,
        [
            "accept-encoding: identity",
            "accept: application/json",
            host.as_str()
        ]
    );
}

/// Covers: CIMD-5-5
#[tokio::test]
async fn the_certificate_is_verified() {
    let (other, url) = Server::start("other.test", good).await;
    assert_eq!(fetch(&other.fetcher(), &url).await.unwrap_err(), Error::Tls);
    let (server, url) = Server::start("client.test", good).await;
    let config = ClientConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_root_certificates(other.roots.clone())
    .with_no_client_auth();
    let loopback =
        AddressPolicy::for_development().dangerous_allow_loopback(Ipv4Addr::LOCALHOST.into());
    let stranger = Fetcher::new(Arc::new(config))
        .resolver(Answers::new(&[&["127.0.0.1"]]))
        .fetch_policy(FetchPolicy::new().addresses(loopback.unwrap()));
    assert_eq!(fetch(&stranger, &url).await.unwrap_err(), Error::Tls);
    assert!(server.requests.lock().unwrap().is_empty());
}

/// Not one byte goes to an address that is refused, whatever else the name resolves to, now or at a second query.
///
/// Covers: CIMD-8.6-1, CIMD-8.6-4, CIMD-A1, CIMD-A2, CIMD-A3
#[tokio::test]
async fn refused_addresses_are_never_connected_to() {
    let (server, url) = Server::start("client.test", good).await;
    let production = server.fetcher().fetch_policy(FetchPolicy::new());
    assert_eq!(
        fetch(&production, &url).await.unwrap_err(),
        Error::AddressRefused
    );
    let mixed = production.resolver(Answers::new(&[&["8.8.8.8", "127.0.0.1"]]));
    assert_eq!(
        fetch(&mixed, &url).await.unwrap_err(),
        Error::AddressRefused
    );
    let none = server.fetcher().resolver(Answers::new(&[&[]]));
    assert_eq!(fetch(&none, &url).await.unwrap_err(), Error::NoAddress);
    assert_eq!(server.connections(), 0);

    // The name is resolved once: the second, different answer is never asked for.
    let flipping = Answers::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let resolver: Arc<dyn Resolve> = Arc::clone(&flipping) as _;
    assert!(
        fetch(&server.fetcher().resolver(resolver), &url)
            .await
            .is_ok()
    );
    assert_eq!(flipping.queries.load(Ordering::SeqCst), 1);
    assert_eq!(
        fetch(&server.fetcher().resolver(flipping), &url)
            .await
            .unwrap_err(),
        Error::AddressRefused
    );
    assert_eq!(server.connections(), 1);
}

/// Covers: CIMD-5-4, CIMD-A4, CIMD-3-10
#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let answer = |url: &str| {
            Answer::Once(format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n"
            ))
        };
        let (server, url) = Server::start("client.test", answer).await;
        assert_eq!(
            fetch(&server.fetcher(), &url).await.unwrap_err(),
            Error::Status { status }
        );
        assert_eq!(server.connections(), 1);
    }
}

/// Covers: CIMD-8.7-1, CIMD-8.7-2, CIMD-A8
#[tokio::test]
async fn endless_and_slow_bodies_are_cut() {
    let endless = |_: &str| Answer::Endless(format!("{HEAD}\r\n"));
    let (server, url) = Server::start("client.test", endless).await;
    assert_eq!(
        fetch(&server.fetcher(), &url).await.unwrap_err(),
        Error::TooLarge { limit: 5120 }
    );

    let endless_head = |_: &str| Answer::Endless("HTTP/1.1 200 OK\r\nx:".to_owned());
    let (server, url) = Server::start("client.test", endless_head).await;
    assert_eq!(
        fetch(&server.fetcher(), &url).await.unwrap_err(),
        Error::Http
    );

    let drip = |_: &str| Answer::Drip(format!("{HEAD}content-length: 5000\r\n\r\n"));
    let (server, url) = Server::start("client.test", drip).await;
    let fetcher = server
        .fetcher()
        .timeouts(Duration::from_millis(300), Duration::from_millis(600));
    assert_eq!(fetch(&fetcher, &url).await.unwrap_err(), Error::Timeout);
}

/// A body that ends before its announced length is no document, even when what came is valid JSON.
#[tokio::test]
async fn a_body_cut_short_is_an_error() {
    let cut = |url: &str| {
        let body = document(url);
        Answer::Once(format!(
            "{HEAD}content-length: {}\r\n\r\n{body}",
            body.len() + 1
        ))
    };
    let (server, url) = Server::start("client.test", cut).await;
    assert_eq!(
        fetch(&server.fetcher(), &url).await.unwrap_err(),
        Error::Http
    );
}

/// Covers: CIMD-4-2, CIMD-A12
#[tokio::test]
async fn a_document_for_another_client_is_refused() {
    let answer = |_: &str| {
        let body = document("https://good.example/c");
        Answer::Once(format!(
            "{HEAD}content-length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let (server, url) = Server::start("client.test", answer).await;
    assert_eq!(
        fetch(&server.fetcher(), &url).await.unwrap_err(),
        Error::ClientIdMismatch
    );
}
