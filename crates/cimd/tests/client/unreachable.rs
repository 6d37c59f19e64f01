//! Hosts that give no response, seen through a directory.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cimd::{
    ClientIdUrl, Error, FetchLimiter, Rate, UnreachableHosts,
    client::{Directory, Resolve, Resolving},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Notify,
};

use crate::{
    directory::{KEPT, NOW, find, response, script},
    server::{Answer, HEAD, Server, document, good},
};

#[derive(Clone)]
enum Found {
    Failure,
    Never,
    At(&'static [&'static str]),
    /// The server, once somebody says so.
    Later(Arc<Notify>),
}

const HERE: Found = Found::At(&["127.0.0.1"]);

/// Answers a query by its host and its number, which begins with one.
struct Names<A> {
    answer: A,
    queries: AtomicUsize,
}

impl<A: Fn(&str, usize) -> Found + Send + Sync + 'static> Names<A> {
    fn new(answer: A) -> Arc<Self> {
        let queries = AtomicUsize::new(0);
        Arc::new(Self { answer, queries })
    }

    fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }
}

impl<A: Fn(&str, usize) -> Found + Send + Sync> Resolve for Names<A> {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> Resolving<'a> {
        let query = self.queries.fetch_add(1, Ordering::SeqCst) + 1;
        let found = (self.answer)(host, query);
        let address = move |text: &&str| SocketAddr::new(text.parse().unwrap(), port);
        Box::pin(async move {
            match found {
                Found::Failure => Err(io::Error::other("no such name")),
                Found::Never => std::future::pending().await,
                Found::At(addresses) => Ok(addresses.iter().map(address).collect()),
                Found::Later(signal) => {
                    signal.notified().await;
                    Ok(vec![address(&"127.0.0.1")])
                }
            }
        })
    }
}

fn url(text: &str) -> ClientIdUrl {
    ClientIdUrl::parse(text).unwrap()
}

fn on_port(port: u16) -> ClientIdUrl {
    url(&format!("https://client.test:{port}/client.json"))
}

/// So many fetches from a host, and no more for a long time.
fn only(fetches: u32) -> FetchLimiter {
    let free = Rate::new(1000, Duration::from_secs(1));
    FetchLimiter::new(Rate::new(fetches, Duration::from_secs(3600)), free, 16)
}

/// Each kind once in its time and once again after it; meanwhile nobody is asked and the limiter counts nothing. What the
/// client is told is the same for all of them, for the first and for the remembered one.
///
/// Covers: CIMD-5.1-1
#[tokio::test]
async fn no_response_is_remembered() {
    let (server, there) = Server::start("client.test", good).await;
    let (impostor, elsewhere) = Server::start("other.test", good).await;
    // Bound, so that nobody else gets the port, and not listening.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let refused = on_port(closed.local_addr().unwrap().port());
    let mixed = Found::At(&["127.0.0.1", "10.0.0.1"]);
    let second = Duration::from_secs(1);
    for (url, found, connect, expected) in [
        (&there, Found::Failure, 5 * second, Error::Resolve),
        (&there, Found::At(&[]), 5 * second, Error::NoAddress),
        (&there, mixed, 5 * second, Error::AddressRefused),
        (&refused, HERE, 5 * second, Error::Connect),
        (&there, Found::Never, second / 10, Error::ConnectTimeout),
        (&elsewhere, HERE, 5 * second, Error::Tls),
    ] {
        let names = Names::new(move |_, _| found.clone());
        let fetcher = server.fetcher().resolver(Arc::clone(&names) as _);
        let clients = Directory::new(fetcher.timeouts(connect, 10 * second)).limiter(only(2));
        for (seconds, queries) in [(NOW, 1), (NOW, 1), (NOW + 9, 1), (NOW + 10, 2)] {
            let error = find(&clients, url, seconds).await.unwrap_err();
            assert_eq!((&error, names.queries()), (&expected, queries));
            assert_eq!(error.oauth_error(), "invalid_client");
            let status = Error::Status { status: 404 };
            assert_eq!(error.oauth_description(), status.oauth_description());
        }
    }
    assert_eq!((server.connections(), impostor.connections()), (0, 2));
}

/// Covers: CIMD-5.2-3
#[tokio::test]
async fn the_total_time_may_have_seen_a_response() {
    for head in [
        "HTTP/1.1 200 OK\r\nx:".to_owned(),
        format!("{HEAD}content-length: 5000\r\n\r\n"),
    ] {
        let (server, url) = Server::start("client.test", |_| Answer::Drip(head)).await;
        let total = Duration::from_millis(400);
        let clients = Directory::new(server.fetcher().timeouts(Duration::from_secs(5), total));
        for connections in [1, 2] {
            let error = find(&clients, &url, NOW).await.unwrap_err();
            assert_eq!((error, server.connections()), (Error::Timeout, connections));
        }
    }

    // Nor is a handshake remembered that does not end.
    let (server, _) = Server::start("client.test", good).await;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let names = Names::new(|_, _| HERE);
    let fetcher = server.fetcher().resolver(Arc::clone(&names) as _);
    let fetcher = fetcher.timeouts(Duration::from_secs(5), Duration::from_millis(400));
    let clients = Directory::new(fetcher);
    let url = on_port(silent.local_addr().unwrap().port());
    for queries in [1, 2] {
        let error = find(&clients, &url, NOW).await.unwrap_err();
        assert_eq!((error, names.queries()), (Error::Timeout, queries));
    }
}

/// It is the host and port that gives no response, whatever is asked of it.
#[tokio::test]
async fn one_entry_for_a_host_and_port() {
    let (server, _) = Server::start("client.test", good).await;
    let names = Names::new(|_, _| Found::Failure);
    let clients = Directory::new(server.fetcher().resolver(Arc::clone(&names) as _));
    for (client_id, queries) in [
        ("https://client.test/a", 1),
        ("https://client.test/b?c", 1),
        ("https://CLIENT.test:443/", 1),
        ("https://client.test:8443/a", 2),
        ("https://other.test/a", 3),
        ("https://client.test/a", 3),
    ] {
        let error = find(&clients, &url(client_id), NOW).await.unwrap_err();
        assert_eq!((error, names.queries()), (Error::Resolve, queries));
    }
}

/// The entry is for those for whom something would have to be fetched. A refresh that fails so does not bring the stale
/// document back.
///
/// Covers: CIMD-5.2-5
#[tokio::test]
async fn what_needs_no_fetch_is_found() {
    let (server, there) = script(|url| {
        vec![
            response("200 OK", KEPT, &document(url)),
            "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
        ]
    })
    .await;
    let other = url(&there.as_str().replace("client.json", "other"));
    let registered = url(&there.as_str().replace("client.json", "registered"));
    let names = Names::new(|_, query| match query {
        1 | 4 => HERE,
        _ => Found::Failure,
    });
    let clients = Directory::new(server.fetcher().resolver(Arc::clone(&names) as _))
        .register(registered.as_str(), None);
    for (url, seconds, expected, queries) in [
        (&there, NOW, None, 1),
        (&other, NOW + 595, Some(Error::Resolve), 2),
        (&there, NOW + 596, None, 2),
        (&registered, NOW + 596, None, 2),
        // Fresh no more.
        (&there, NOW + 600, Some(Error::Resolve), 2),
        (&there, NOW + 605, Some(Error::Resolve), 3),
        (&there, NOW + 614, Some(Error::Resolve), 3),
        (&registered, NOW + 614, None, 3),
        (&there, NOW + 615, None, 4),
    ] {
        let outcome = find(&clients, url, seconds).await;
        assert_eq!((outcome.err(), names.queries()), (expected, queries));
    }
    assert!(server.requests.lock().unwrap()[1].contains("if-none-match: \"one\""));
}

/// One fetch finds no name while another one, for another path, is on its way. What that one hears is the last word,
/// also when it is a refusal.
///
/// Covers: CIMD-5.2-3
#[tokio::test]
async fn a_response_ends_it() {
    for status in ["200 OK", "503 Service Unavailable"] {
        let (server, there) = script(|url| vec![response(status, KEPT, &document(url))]).await;
        let other = url(&there.as_str().replace("client.json", "other"));
        let signal = Arc::new(Notify::new());
        let later = Arc::clone(&signal);
        let names = Names::new(move |_, query| match query {
            1 => Found::Later(Arc::clone(&later)),
            _ => Found::Failure,
        });
        let clients = Directory::new(server.fetcher().resolver(Arc::clone(&names) as _));
        let failing = async {
            for _ in 0..2 {
                let error = find(&clients, &other, NOW).await.unwrap_err();
                assert_eq!((error, names.queries()), (Error::Resolve, 2));
            }
            signal.notify_one();
        };
        let (outcome, ()) = tokio::join!(find(&clients, &there, NOW), failing);
        assert_eq!(outcome.is_ok(), status == "200 OK");
        assert!(find(&clients, &other, NOW).await.is_err());
        assert_eq!(names.queries(), 3);
    }
}

/// Covers: CIMD-5.2-5
#[tokio::test]
async fn no_flood_costs_a_document() {
    let (server, there) = Server::start("client.test", good).await;
    let names = Names::new(|host, _| match host {
        "client.test" => HERE,
        _ => Found::Failure,
    });
    let clients = Directory::new(server.fetcher().resolver(Arc::clone(&names) as _))
        .capacity(1, 16)
        .unreachable_hosts(UnreachableHosts::new(2, Duration::from_secs(10)))
        .limiter(only(1000));
    let nobody = |n: usize| url(&format!("https://nobody-{n}.test/client.json"));
    assert!(find(&clients, &there, NOW).await.is_ok());
    for n in 0..50 {
        assert!(find(&clients, &nobody(n), NOW).await.is_err());
        // The newest is always kept.
        assert!(find(&clients, &nobody(n), NOW).await.is_err());
    }
    assert_eq!(names.queries(), 51);
    assert!(find(&clients, &there, NOW).await.is_ok());
    assert_eq!((names.queries(), server.connections()), (51, 1));
    for n in 0..50 {
        assert!(find(&clients, &nobody(n), NOW).await.is_err());
    }
    // Forty-eight at least were forgotten.
    assert!(names.queries() >= 51 + 48, "{}", names.queries());
}

#[tokio::test]
async fn zero_turns_it_off() {
    let (server, there) = Server::start("client.test", good).await;
    let seconds = Duration::from_secs;
    for hosts in [(1024, seconds(0)), (0, seconds(10))] {
        let names = Names::new(|_, _| Found::Failure);
        let clients = Directory::new(server.fetcher().resolver(Arc::clone(&names) as _))
            .unreachable_hosts(UnreachableHosts::new(hosts.0, hosts.1));
        for queries in 1..4 {
            assert!(find(&clients, &there, NOW).await.is_err());
            assert_eq!(names.queries(), queries);
        }
    }
}

/// The lifetime does not run while the fetch does: here the failure is seen a second after the request.
#[tokio::test]
async fn the_time_counts_from_the_failure() {
    let (server, there) = Server::start("client.test", good).await;
    let names = Names::new(|_, _| Found::Never);
    let fetcher = server.fetcher().resolver(Arc::clone(&names) as _);
    let clients =
        Directory::new(fetcher.timeouts(Duration::from_millis(1100), Duration::from_secs(10)));
    for seconds in [NOW, NOW + 10] {
        let error = find(&clients, &there, seconds).await.unwrap_err();
        assert_eq!((error, names.queries()), (Error::ConnectTimeout, 1));
    }
}
