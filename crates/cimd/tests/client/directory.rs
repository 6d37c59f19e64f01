use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cimd::{
    Client, ClientIdUrl, ClientMetadata, DocumentPolicy, Error, FetchLimiter, HostPattern, Rate,
    Reaction, Trust, Warning,
    client::{Directory, Onboarding},
};
use pki_types::UnixTime;

use crate::server::{Answer, HEAD, Server, document};

pub(crate) const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(crate) const KEPT: &str = "cache-control: max-age=600\r\netag: \"one\"\r\n";

pub(crate) async fn script(answers: impl FnOnce(&str) -> Vec<String>) -> (Server, ClientIdUrl) {
    Server::start("client.test", |url| Answer::Script(answers(url))).await
}

pub(crate) async fn find(
    clients: &Directory,
    url: &ClientIdUrl,
    seconds: u64,
) -> Result<Client, Error> {
    clients.client(url.as_str(), "192.0.2.1", at(seconds)).await
}

fn name(client: &Client) -> Option<&str> {
    client
        .metadata()
        .and_then(|metadata| metadata.client_name())
}

fn named(url: &str, name: &str) -> String {
    format!("{{\"client_id\":\"{url}\",\"client_name\":\"{name}\"}}")
}

/// Covers: CIMD-5-1, CIMD-5.2-1, CIMD-5.2-2
#[tokio::test]
async fn one_fetch_while_fresh_and_one_question_after() {
    let (server, url) = script(|url| {
        vec![
            response("200 OK", KEPT, &named(url, "one")),
            "HTTP/1.1 304 Not Modified\r\ncache-control: max-age=120\r\n\r\n".to_owned(),
            response("200 OK", KEPT, &named(url, "two")),
        ]
    })
    .await;
    let clients = Directory::new(server.fetcher());
    for seconds in [NOW, NOW + 599] {
        let client = find(&clients, &url, seconds).await.unwrap();
        assert_eq!((name(&client), server.connections()), (Some("one"), 1));
    }
    // Unchanged, and fresh for as long as the second answer says.
    for seconds in [NOW + 600, NOW + 719] {
        let client = find(&clients, &url, seconds).await.unwrap();
        assert_eq!((name(&client), server.connections()), (Some("one"), 2));
    }
    let client = find(&clients, &url, NOW + 720).await.unwrap();
    assert_eq!((name(&client), server.connections()), (Some("two"), 3));

    let requests = server.requests.lock().unwrap();
    let asks = |request: &String| request.contains("if-none-match: \"one\"");
    assert_eq!(
        requests.iter().map(asks).collect::<Vec<_>>(),
        [false, true, true]
    );
}

/// Whatever came after the request was sent, the next request fetches again, in the same second.
///
/// Covers: CIMD-5.2-3, CIMD-5.2-4, CIMD-5.1-1
#[tokio::test]
async fn responses_that_fail_are_not_kept() {
    let (server, url) = script(|url| {
        vec![
            response("503 Service Unavailable", KEPT, "{}"),
            response("404 Not Found", KEPT, &document(url)),
            response("302 Found", "location: https://client.test/\r\n", ""),
            response("200 OK", "content-encoding: gzip\r\n", &document(url)),
            response("200 OK", KEPT, &" ".repeat(5121)),
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n{KEPT}\r\n"),
            format!("{HEAD}content-length: 5000\r\n\r\n{}", document(url)),
            "HTTP/1.1 200 OK\r\ncontent-ty".to_owned(),
            "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
            // Closed without a word.
            String::new(),
            response("200 OK", KEPT, "{"),
            response("200 OK", KEPT, &document("https://other.test/")),
            // Nobody asked whether anything changed.
            "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
            response("200 OK", KEPT, &document(url)),
        ]
    })
    .await;
    let often = Rate::new(100, Duration::from_secs(1));
    let clients = Directory::new(server.fetcher()).limiter(FetchLimiter::new(often, often, 16));
    for expected in [
        "status",
        "status",
        "status",
        "content_encoding",
        "too_large",
        "content_type",
        "http",
        "http",
        "http",
        "http",
        "json_syntax",
        "client_id_mismatch",
        "status",
    ] {
        let error = find(&clients, &url, NOW).await.unwrap_err();
        assert_eq!(error.code(), expected);
        assert_eq!(error.oauth_error(), "invalid_client");
    }
    assert!(find(&clients, &url, NOW).await.is_ok());
    assert_eq!(server.connections(), 14);
}

/// Covers: CIMD-5.2-5
#[tokio::test]
async fn what_is_stale_stays_unused() {
    let (server, url) = script(|url| {
        vec![
            response("200 OK", KEPT, &document(url)),
            response("500 Internal Server Error", "", "{}"),
            response("200 OK", KEPT, "[]"),
            "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
        ]
    })
    .await;
    let clients = Directory::new(server.fetcher());
    find(&clients, &url, NOW).await.unwrap();
    for _ in 0..2 {
        assert!(find(&clients, &url, NOW + 600).await.is_err());
    }
    assert!(find(&clients, &url, NOW + 600).await.is_ok());
    clients.forget(url.as_str());
    let error = find(&clients, &url, NOW + 601).await.unwrap_err();
    assert_eq!(error, Error::Status { status: 304 });
}

/// Covers: CIMD-5.2-5
#[tokio::test]
async fn a_hundred_requests_share_one_fetch() {
    for (body, succeeds) in [("", true), ("{", false)] {
        let (server, url) = script(|url| {
            let body = if succeeds {
                document(url)
            } else {
                body.to_owned()
            };
            vec![response("200 OK", KEPT, &body)]
        })
        .await;
        let clients = Arc::new(Directory::new(server.fetcher()));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (clients, url) = (Arc::clone(&clients), url.clone());
                tokio::spawn(async move { find(&clients, &url, NOW).await.is_ok() })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), succeeds);
        }
        assert_eq!(server.connections(), 1);
    }
}

/// A request that is given up leaves nothing behind that another one would wait for.
///
/// Covers: CIMD-5.2-5
#[tokio::test]
async fn given_up_requests_leave_no_trace() {
    let (server, url) = script(|url| vec![response("200 OK", KEPT, &document(url))]).await;
    let clients = Directory::new(server.fetcher()).capacity(1024, 1);
    for _ in 0..3 {
        let given_up = tokio::time::timeout(Duration::from_millis(1), find(&clients, &url, NOW));
        assert!(given_up.await.is_err());
    }
    assert!(find(&clients, &url, NOW).await.is_ok());
}

/// Covers: CIMD-5.2-5
#[tokio::test]
async fn fetches_are_limited_and_bounded() {
    let (server, url) = script(|url| {
        let body = document(url);
        vec![response("200 OK", "cache-control: no-store\r\n", &body)]
    })
    .await;
    let rate = Rate::new(2, Duration::from_secs(10));
    let clients = Directory::new(server.fetcher()).limiter(FetchLimiter::new(rate, rate, 16));
    for expected in [true, true, false] {
        assert_eq!(find(&clients, &url, NOW).await.is_ok(), expected);
    }
    assert_eq!(server.connections(), 2);
    assert!(find(&clients, &url, NOW + 9).await.is_err());
    assert!(find(&clients, &url, NOW + 10).await.is_ok());

    let none = Directory::new(server.fetcher()).capacity(0, 0);
    let error = find(&none, &url, NOW).await.unwrap_err();
    assert_eq!(
        (error.code(), error.retryable()),
        ("too_many_fetches", true)
    );
}

/// Covers: CIMD-5-2, CIMD-7.1-2, CIMD-7.2-1, CIMD-8.9-1, CIMD-8.5-2
#[tokio::test]
async fn registered_clients_are_never_fetched() {
    let (server, url) = script(|url| vec![response("200 OK", KEPT, &document(url))]).await;
    let body = named(url.as_str(), "pinned");
    let pinned = ClientMetadata::parse(&url, body.as_bytes(), &DocumentPolicy::default()).unwrap();
    let vanity = "https://legacy.example/client?id=7#fragment";
    let clients = Directory::new(server.fetcher())
        .register(url.as_str(), Some(Arc::new(pinned)))
        .register(vanity, None);
    assert_eq!(
        name(&find(&clients, &url, NOW).await.unwrap()),
        Some("pinned")
    );

    let client = clients.client(vanity, "", at(NOW)).await.unwrap();
    let consent = client.consent("https://legacy.example/back", "en").unwrap();
    assert_eq!((consent.client_id, consent.name), (vanity, None));
    assert_eq!(consent.warnings, [Warning::NoDocument]);

    let elsewhere = HostPattern::parse("elsewhere.test").unwrap();
    for onboarding in [Onboarding::Off, Onboarding::Listed(vec![elsewhere])] {
        let clients = Directory::new(server.fetcher()).onboarding(onboarding);
        assert_eq!(
            find(&clients, &url, NOW).await.unwrap_err(),
            Error::HostRefused
        );
    }
    assert_eq!(server.connections(), 0);

    let here = HostPattern::parse("client.test").unwrap();
    let clients = Directory::new(server.fetcher()).onboarding(Onboarding::Listed(vec![here]));
    assert!(find(&clients, &url, NOW).await.is_ok());
}

/// Covers: CIMD-8.4-1, CIMD-A19
#[tokio::test]
async fn a_change_is_told_before_it_is_used() {
    let key =
        |x: &str| format!("{{\"keys\":[{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{x}\"}}]}}");
    let with = |url: &str, x: &str| {
        format!(
            "{{\"client_id\":\"{url}\",\"token_endpoint_auth_method\":\"private_key_jwt\",\"jwks\":{}}}",
            key(x)
        )
    };
    let (server, url) = script(|url| {
        vec![
            response("200 OK", KEPT, &with(url, "old")),
            response("200 OK", KEPT, &with(url, "new")),
        ]
    })
    .await;
    let revocations = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&revocations);
    let clients = Directory::new(server.fetcher()).on_change(move |old, new, reaction| {
        assert_ne!(old.jwks(), new.jwks());
        assert_eq!(reaction, Reaction::Revoke);
        seen.fetch_add(1, Ordering::SeqCst);
    });
    find(&clients, &url, NOW).await.unwrap();
    assert_eq!(revocations.load(Ordering::SeqCst), 0);
    find(&clients, &url, NOW + 600).await.unwrap();
    find(&clients, &url, NOW + 601).await.unwrap();
    assert_eq!(revocations.load(Ordering::SeqCst), 1);
}

/// Covers: CIMD-8.10-1, CIMD-A-1, CIMD-8.5-1, CIMD-A11
#[tokio::test]
async fn trust_goes_by_the_host() {
    let back = "http://localhost:8080/back";
    let (server, url) = script(|url| {
        let body = format!(
            "{{\"client_id\":\"{url}\",\"client_name\":\"Well-Known Bank\",\
             \"redirect_uris\":[\"{back}\",\"https://anywhere.example/\"]}}"
        );
        vec![response("200 OK", "cache-control: no-store\r\n", &body)]
    })
    .await;
    let here = || [HostPattern::parse("client.test").unwrap()];

    // Redirects to another origin are for clients under development.
    let clients = Directory::new(server.fetcher()).vouched_hosts(here());
    assert_eq!(
        find(&clients, &url, NOW).await.unwrap_err().code(),
        "redirect_uri"
    );

    let development = DocumentPolicy::new().development_hosts(here());
    let fetcher = server.fetcher().document_policy(development);
    let clients = Directory::new(fetcher).vouched_hosts(here());
    let client = find(&clients, &url, NOW).await.unwrap();
    assert!(matches!(
        client,
        Client::Fetched {
            trust: Trust::Development,
            ..
        }
    ));
    let consent = client.consent(back, "en").unwrap();
    assert_eq!(consent.host, Some("client.test"));
    assert_eq!(consent.name, Some("Well-Known Bank"));
    assert_eq!(consent.warnings, [Warning::Development, Warning::Loopback]);
    assert!(client.consent("https://elsewhere.example/", "en").is_err());

    let any = DocumentPolicy::new().redirects(cimd::RedirectPolicy::Any);
    let open = |listed: bool| {
        let clients = Directory::new(server.fetcher().document_policy(any.clone()));
        if listed {
            clients.vouched_hosts(here())
        } else {
            clients
        }
    };
    for (listed, trust, warnings) in [
        (false, Trust::Unknown, &[Warning::UnknownHost][..]),
        (true, Trust::Listed, &[]),
    ] {
        let client = find(&open(listed), &url, NOW).await.unwrap();
        assert!(matches!(client, Client::Fetched { trust: found, .. } if found == trust));
        let consent = client.consent("https://anywhere.example/", "en").unwrap();
        assert_eq!(consent.warnings, warnings);
    }
}

/// Covers: CIMD-8.8-1
#[tokio::test]
async fn logos_are_images_from_a_guarded_fetch() {
    let image = |media_type: &str, body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let (server, url) = script(|_| {
        vec![
            image("image/gif", "GIF89a..."),
            image("image/svg+xml", "<svg/>"),
            image("image/png", "<svg/>"),
            image("image/gif", &format!("GIF89a{}", " ".repeat(70_000))),
        ]
    })
    .await;
    let parse = |logo: &str| {
        let body = format!(
            "{{\"client_id\":\"{}\",\"logo_uri\":\"{logo}\"}}",
            url.as_str()
        );
        ClientMetadata::parse(&url, body.as_bytes(), &DocumentPolicy::default()).unwrap()
    };
    let logo_uri = url.as_str().replace("client.json", "logo");
    let (client, fetcher) = (parse(&logo_uri), server.fetcher());
    let logo = fetcher.logo(&client).await.unwrap().unwrap();
    assert_eq!(
        (logo.media_type(), logo.bytes()),
        ("image/gif", &b"GIF89a..."[..])
    );
    for expected in ["content_type", "logo", "too_large"] {
        assert_eq!(fetcher.logo(&client).await.unwrap_err().code(), expected);
    }
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.contains("accept: image/png"), "{request}");
    // The guard knows no exception for images.
    let inside = parse("https://client.test:22/logo");
    assert_eq!(
        fetcher.logo(&inside).await.unwrap_err(),
        Error::PortRefused { port: 22 }
    );
    assert_eq!(
        fetcher
            .logo(
                &ClientMetadata::parse(
                    &url,
                    document(url.as_str()).as_bytes(),
                    &DocumentPolicy::default()
                )
                .unwrap()
            )
            .await,
        Ok(None)
    );
}
