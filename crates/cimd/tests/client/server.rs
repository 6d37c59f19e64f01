//! A TLS server on loopback, and a resolver that finds it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cimd::{
    ClientIdUrl, Error, FetchPolicy,
    client::{Fetched, Fetcher, Resolve, Resolving},
    guard::AddressPolicy,
};
use pki_types::{PrivateKeyDer, UnixTime};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, ServerConfig},
};

/// A server that answers each connection with fixed bytes, then a pause, then fixed bytes again until it is cut off.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) roots: RootCertStore,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

pub(crate) enum Answer {
    Once(String),
    Endless(String),
    Drip(String),
    /// One answer after the other, after a while; the last one for ever.
    Script(Vec<String>),
}

pub(crate) const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

impl Server {
    pub(crate) async fn start(
        name: &str,
        answer: impl FnOnce(&str) -> Answer,
    ) -> (Self, ClientIdUrl) {
        let issued = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let certificate = issued.cert.der().clone();
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://client.test:{port}/client.json");
        let answer = Arc::new(answer(&url));
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let server = Self {
            port,
            roots,
            requests: Arc::clone(&requests),
            connections: Arc::clone(&connections),
        };
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else {
                        break;
                    };
                    request.push(byte);
                }
                requests
                    .lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                match &*answer {
                    Answer::Once(text) => {
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    Answer::Script(answers) => {
                        let answer = connections.load(Ordering::SeqCst).min(answers.len()) - 1;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        let _ = stream.write_all(answers[answer].as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    Answer::Endless(head) => {
                        let _ = stream.write_all(head.as_bytes()).await;
                        while stream.write_all(&[b' '; 512]).await.is_ok() {}
                    }
                    Answer::Drip(head) => {
                        let _ = stream.write_all(head.as_bytes()).await;
                        while stream.write_all(b" ").await.is_ok() && stream.flush().await.is_ok() {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            }
        });
        (server, ClientIdUrl::parse(&url).unwrap())
    }

    /// A fetcher that trusts this server and may reach 127.0.0.1.
    pub(crate) fn fetcher(&self) -> Fetcher {
        let config = ClientConfig::builder_with_provider(Arc::new(
            tokio_rustls::rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(self.roots.clone())
        .with_no_client_auth();
        let loopback =
            AddressPolicy::for_development().dangerous_allow_loopback(Ipv4Addr::LOCALHOST.into());
        Fetcher::new(Arc::new(config))
            .resolver(Answers::new(&[&["127.0.0.1"]]))
            .fetch_policy(FetchPolicy::new().addresses(loopback.unwrap()))
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Gives one list of addresses per query; the last one for ever.
pub(crate) struct Answers {
    lists: Vec<Vec<SocketAddr>>,
    pub(crate) queries: AtomicUsize,
}

impl Answers {
    pub(crate) fn new(lists: &[&[&str]]) -> Arc<Self> {
        // The port of a resolver's answer means nothing.
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 1);
        let lists = lists
            .iter()
            .map(|list| list.iter().map(address).collect())
            .collect();
        Arc::new(Self {
            lists,
            queries: AtomicUsize::new(0),
        })
    }
}

impl Resolve for Answers {
    fn resolve<'a>(&'a self, host: &'a str, _port: u16) -> Resolving<'a> {
        assert_eq!(host, "client.test");
        let query = self.queries.fetch_add(1, Ordering::SeqCst);
        let list = self.lists[query.min(self.lists.len() - 1)].clone();
        Box::pin(async move { Ok(list) })
    }
}

pub(crate) fn document(url: &str) -> String {
    format!("{{\"client_id\":\"{url}\",\"client_name\":\"Example\"}}")
}

pub(crate) fn good(url: &str) -> Answer {
    let body = document(url);
    Answer::Once(format!(
        "{HEAD}cache-control: max-age=600\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

pub(crate) async fn fetch(fetcher: &Fetcher, url: &ClientIdUrl) -> Result<Fetched, Error> {
    fetcher
        .fetch(
            url,
            UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000)),
        )
        .await
}
