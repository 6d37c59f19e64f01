//! Events through streams that are pushed over kept connections, and the processor time that each side takes for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, KeySet, MemoryReplayGuard, SigningKey};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use ssf_set::caep::SessionRevoked;
use ssf_set::{SecurityEventToken, SetIssuer, SubjectIdentifier};
use ssf_stream::address::AddressPolicy;
use ssf_stream::client::{Client, Pusher, Resolve, Resolving};
use ssf_stream::metadata::TransmitterMetadata;
use ssf_stream::queue::MemoryEventQueue;
use ssf_stream::receiver::{StreamReceiver, Taken};
use ssf_stream::server::{Handling, Inbox, NotStored, SignatureAlone, push_endpoint};
use ssf_stream::stream::StreamConfiguration;
use ssf_stream::transmitter::{
    MemoryStreamStore, Occurrence, Peers, Settings, StreamRecord, StreamStore as _, Transmitter,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring::default_provider};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::clock;

const ISSUER: &str = "https://transmitter.example.com";
const HOST: &str = "receiver.example.com";
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// What was seen. Each side has one thread; `_per_core` is by the time that its thread was on a processor.
#[derive(Serialize)]
pub(crate) struct Figures {
    pushes: usize,
    streams: usize,
    seconds: f64,
    per_second: f64,
    transmitter_per_core: f64,
    receiver_per_core: f64,
}

/// Counts what is acted upon.
struct Counting(Arc<AtomicUsize>);

impl Inbox for Counting {
    fn store<'a>(&'a self, _: &'a SecurityEventToken) -> Handling<'a, Result<(), NotStored>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn act(&self, _: Taken) -> Handling<'static, ()> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
        Box::pin(std::future::ready(Ok(vec![SocketAddr::from((
            LOOPBACK, port,
        ))])))
    }
}

pub(crate) fn measure(events: usize, streams: usize) -> Result<Figures> {
    let key = SigningKey::generate(&ring::provider(), Algorithm::Es256)?.with_thumbprint_kid();
    let keys = Arc::new(KeySet::new(vec![key.verifying_key()?])?);
    let tls_key = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec![HOST.to_owned()])?.self_signed(&tls_key)?;
    let provider = Arc::new(default_provider());

    let acted = Arc::new(AtomicUsize::new(0));
    let tls = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::from(PrivatePkcs8KeyDer::from(tls_key.serialize_der())),
        )?;
    let (told, port) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let receiving = {
        let acted = Arc::clone(&acted);
        std::thread::spawn(move || receive(streams, &keys, acted, tls, &told, stopped))
    };
    let port = port.recv().context("the receiver did not start")?;
    let sent = transmit(events, streams, key, port, certificate.der(), provider);
    let (seconds, transmitter) = sent?;
    drop(stop);
    let receiver = receiving.join().ok().context("the receiver failed")??;
    let pushes = events * streams;
    let taken = acted.load(Ordering::Relaxed);
    ensure!(
        taken == pushes,
        "{taken} of {pushes} events were acted upon"
    );
    let per = |time: Duration| pushes as f64 / time.as_secs_f64();
    Ok(Figures {
        pushes,
        streams,
        seconds: seconds.as_secs_f64(),
        per_second: per(seconds),
        transmitter_per_core: per(transmitter),
        receiver_per_core: per(receiver),
    })
}

fn stream(index: usize, port: u16) -> Result<StreamConfiguration> {
    let stream = serde_json::json!({
        "stream_id": format!("s{index}"), "iss": ISSUER, "aud": format!("https://rx{index}.example.com"),
        "events_delivered": [SessionRevoked::URI],
        "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": format!("https://{HOST}:{port}/{index}")},
    });
    Ok(StreamConfiguration::parse(stream.to_string().as_bytes())?)
}

fn receive(
    streams: usize,
    keys: &Arc<KeySet>,
    acted: Arc<AtomicUsize>,
    tls: ServerConfig,
    told: &std::sync::mpsc::Sender<u16>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) -> Result<Duration> {
    let runtime = one_thread()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((LOOPBACK, 0))).await?;
        let port = listener.local_addr()?.port();
        let metadata = TransmitterMetadata::new(ISSUER, &format!("{ISSUER}/jwks"))?;
        let inbox = Arc::new(Counting(acted));
        let mut router = axum::Router::new();
        for index in 0..streams {
            let receiver = StreamReceiver::new(&metadata, &stream(index, port)?, keys.clone())?;
            router = router.merge(push_endpoint(
                &format!("/{index}"),
                Arc::new(receiver),
                Arc::new(MemoryReplayGuard::new(1 << 20)),
                Arc::clone(&inbox) as _,
                Arc::new(SignatureAlone),
                clock,
            ));
        }
        let listener = Listener(listener, TlsAcceptor::from(Arc::new(tls)));
        told.send(port)?;
        let before = on_processor()?;
        tokio::select! {
            served = axum::serve(listener, router) => served?,
            _ = stopped => {}
        }
        Ok(on_processor()? - before)
    })
}

fn transmit(
    events: usize,
    streams: usize,
    key: SigningKey,
    port: u16,
    root: &CertificateDer<'static>,
    tls: Arc<CryptoProvider>,
) -> Result<(Duration, Duration)> {
    /// Bounds the memory: so many events are signed and wait before they are pushed.
    const BATCH: usize = 500;
    let provider = ring::provider();
    let mut roots = RootCertStore::empty();
    roots.add(root.clone())?;
    let tls = ClientConfig::builder_with_provider(tls)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let addresses = AddressPolicy::public().with_allowed(LOOPBACK.into());
    let client = Client::new(Arc::new(tls))
        .with_addresses(addresses.clone())
        .with_resolver(Arc::new(Loopback));
    let (base, jwks) = (format!("{ISSUER}/ssf"), format!("{ISSUER}/jwks"));
    let settings = Settings::new(ISSUER, &base, &jwks, [SessionRevoked::URI])?;
    let store = Arc::new(MemoryStreamStore::new());
    let transmitter = Arc::new(Transmitter::new(
        SetIssuer::new(key, provider, ISSUER)?,
        provider,
        settings.with_addresses(addresses),
        Arc::clone(&store) as _,
        Arc::new(MemoryEventQueue::new(BATCH)),
        Arc::new(Peers::new()),
    )?);
    one_thread()?.block_on(async {
        let mut pushers = Vec::new();
        for index in 0..streams {
            let configuration = stream(index, port)?;
            let id = configuration.stream_id.clone();
            let record = StreamRecord::new(&id, configuration, clock());
            store.create(record, 1).await?;
            let (transmitter, client) = (Arc::clone(&transmitter), client.clone());
            pushers.push(Pusher::claim(transmitter, client, &id, provider, clock()).await?);
        }
        let pushers = Arc::new(pushers);
        let (started, before) = (Instant::now(), on_processor()?);
        let mut left = events;
        while left > 0 {
            let batch = left.min(BATCH);
            for number in 0..batch {
                let subject = SubjectIdentifier::opaque(&format!("{}", left - number))?;
                let event = Occurrence::new(subject, SessionRevoked::default());
                let emitted = transmitter.emit(&event, clock()).await?;
                ensure!(
                    emitted.streams == streams && emitted.overflowed == 0,
                    "a queue was full"
                );
            }
            let mut tasks = tokio::task::JoinSet::new();
            for index in 0..streams {
                let pushers = Arc::clone(&pushers);
                tasks.spawn(async move {
                    let pusher = pushers.get(index).context("no such stream")?;
                    let wait = pusher.run(clock).await?;
                    ensure!(wait.is_none(), "a push failed");
                    Ok(())
                });
            }
            while let Some(done) = tasks.join_next().await {
                done??;
            }
            left -= batch;
        }
        Ok((started.elapsed(), on_processor()? - before))
    })
}

fn one_thread() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime)
}

/// How long this thread has been on a processor.
fn on_processor() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .context("no schedstat: this needs Linux")?;
    let nanoseconds = text
        .split_whitespace()
        .next()
        .context("no time in schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

struct Listener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Listener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, peer)) = self.0.accept().await {
                let _ = stream.set_nodelay(true);
                if let Ok(stream) = self.1.accept(stream).await {
                    return (stream, peer);
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}
