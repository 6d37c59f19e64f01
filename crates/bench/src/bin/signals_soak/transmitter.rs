//! The transmitter: it emits what it is told to, and pushes from its durable queue.

use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jose_x509::SigningKey;
use jose_x509::provider::ring;
use ssf_set::caep::SessionRevoked;
use ssf_set::{SetIssuer, SubjectIdentifier};
use ssf_stream::Error;
use ssf_stream::address::AddressPolicy;
use ssf_stream::client::{Client, Pusher, Resolve, Resolving};
use ssf_stream::queue::{QueueError, RedbEventQueue};
use ssf_stream::server::Wakeup;
use ssf_stream::transmitter::{
    Backoff, MemoryStreamStore, Occurrence, Peers, Settings, StreamRecord, StreamStore as _,
    Transmitter,
};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::plan::{ISSUER, Plan, clock, loopback, tls_provider};

/// How long a push may take.
const PUSH: Duration = Duration::from_secs(1);

struct Loopback;

impl Resolve for Loopback {
    fn resolve<'a>(&'a self, _: &'a str, port: u16) -> Resolving<'a> {
        let found: Vec<SocketAddr> = vec![loopback(port)];
        Box::pin(async move { Ok(found) })
    }
}

/// A line with a number asks for that event, and the number comes back when the queue has it; the line `?` asks how many SETs wait.
pub(crate) fn run(dir: &Path, hold: u64) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let plan = Plan::read(dir)?;
    let wakeup = Wakeup::new();
    let (transmitter, streams) = runtime.block_on(open(dir, &plan, &wakeup))?;
    let client = client(&plan)?;
    for stream in &streams {
        let pushing = push(
            Duration::from_secs(hold),
            transmitter.clone(),
            client.clone(),
            stream.clone(),
            wakeup.clone(),
        );
        runtime.spawn(async move {
            if let Err(error) = pushing.await {
                eprintln!("a pusher gave up: {error:#}");
                std::process::exit(1);
            }
        });
    }
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = if line == "?" {
            let mut pending = 0;
            for stream in &streams {
                pending += runtime.block_on(transmitter.queue().pending(stream))?;
            }
            format!("? {pending}")
        } else {
            let subject = SubjectIdentifier::opaque(&line)?;
            let event = Occurrence::new(subject, SessionRevoked::default()).with_transaction(&line);
            let emitted = runtime.block_on(transmitter.emit(&event, clock()))?;
            anyhow::ensure!(
                emitted.streams == streams.len() && emitted.overflowed == 0,
                "an event did not reach all queues"
            );
            line
        };
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    // Nobody asks any more. Pushers end with the process.
    std::process::exit(0);
}

type Signed = Transmitter<SigningKey>;

async fn open(dir: &Path, plan: &Plan, wakeup: &Wakeup) -> Result<(Arc<Signed>, Vec<String>)> {
    let provider = ring::provider();
    let addresses = AddressPolicy::public().with_allowed([127, 0, 0, 1].into());
    let settings = Settings::new(
        ISSUER,
        &format!("{ISSUER}/ssf"),
        &format!("{ISSUER}/jwks"),
        [SessionRevoked::URI],
    )?
    .with_addresses(addresses);
    let store = MemoryStreamStore::new();
    let mut streams = Vec::new();
    for index in 0..plan.ports.len() {
        let configuration = plan.stream(index)?;
        streams.push(configuration.stream_id.clone());
        let record = StreamRecord::new(&format!("rx-{index}"), configuration, clock());
        store.create(record, 1).await?;
    }
    let transmitter = Transmitter::new(
        SetIssuer::new(plan.signing_key()?, provider, ISSUER)?,
        provider,
        settings,
        Arc::new(store),
        Arc::new(RedbEventQueue::open(dir.join("queue.redb"), 20_000)?),
        Arc::new(Peers::new()),
    )?;
    Ok((Arc::new(transmitter.with_wake(wakeup.hook())), streams))
}

fn client(plan: &Plan) -> Result<Client> {
    let mut roots = RootCertStore::empty();
    roots.add(plan.certificate())?;
    let tls = ClientConfig::builder_with_provider(tls_provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::new(Arc::new(tls))
        .with_addresses(AddressPolicy::public().with_allowed([127, 0, 0, 1].into()))
        .with_resolver(Arc::new(Loopback))
        .with_timeouts(PUSH, PUSH))
}

async fn push(
    hold: Duration,
    transmitter: Arc<Signed>,
    client: Client,
    stream: String,
    wakeup: Wakeup,
) -> Result<()> {
    let pusher = loop {
        let (transmitter, client) = (transmitter.clone(), client.clone());
        let claim = Pusher::claim_for(
            hold,
            transmitter,
            client,
            &stream,
            ring::provider(),
            clock(),
        );
        match claim.await {
            Err(Error::Queue(QueueError::Claimed)) => sleep(Duration::from_millis(100)).await,
            claimed => break claimed.context("the stream cannot be claimed")?,
        }
    };
    let pusher = pusher.with_backoff(Backoff::new(Duration::from_secs(1), Duration::from_secs(2)));
    loop {
        match pusher.run(clock).await? {
            Some(until) => {
                let left = until.as_secs().saturating_sub(clock().as_secs());
                sleep(Duration::from_secs(left.min(1))).await;
            }
            // Something may have come before the wait began.
            None => drop(timeout(Duration::from_millis(20), wakeup.wait()).await),
        }
    }
}
