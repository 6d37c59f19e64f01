//! The transmitter: it serves its API, emits what it is told to, and pushes from its durable queue into its durable streams.

use std::collections::HashSet;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::request;
use jose_x509::SigningKey;
use jose_x509::provider::ring;
use pki_types::UnixTime;
use ssf_set::caep::SessionRevoked;
use ssf_set::{SetIssuer, SubjectIdentifier};
use ssf_stream::Error;
use ssf_stream::client::{Client, Pusher};
use ssf_stream::queue::{QueueError, RedbEventQueue};
use ssf_stream::server::{self, Wakeup};
use ssf_stream::stream::Delivery;
use ssf_stream::transmitter::{
    Authorizer, Authorizing, Backoff, Client as Receiver, Denied, Occurrence, Operation,
    RedbStreamStore, Settings, Transmitter, bearer_token,
};
use tokio::time::{sleep, timeout};

use crate::faults::Faults;
use crate::net::{self, Loopback};
use crate::plan::{self, ISSUER, LONG_POLL, Plan, Random, clock};

/// How long a push may take.
const PUSH: Duration = Duration::from_secs(1);
/// How often it looks for new streams.
const LOOK: Duration = Duration::from_millis(100);

type Signed = Transmitter<SigningKey>;

/// Receivers by their tokens.
struct Tokens(usize);

impl Authorizer for Tokens {
    fn authorize<'a>(
        &'a self,
        request: &'a request::Parts,
        _: Operation,
        _: UnixTime,
    ) -> Authorizing<'a> {
        let client = bearer_token(request).and_then(|token| {
            let index = (0..self.0).find(|index| plan::token(*index) == token);
            let index = index.ok_or(Denied::InvalidToken)?;
            Ok(Receiver::new(token, &plan::audience(index)))
        });
        Box::pin(std::future::ready(client))
    }
}

/// A line with a number asks for that event, and the number comes back when the queue has it; the line `?` asks how many SETs wait.
pub(crate) fn run(dir: &Path, hold: u64, seed: u64) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    let plan = Plan::read(dir)?;
    let hold = Duration::from_secs(hold);
    let wakeup = Wakeup::new();
    let transmitter = open(dir, &plan, hold, &wakeup)?;
    let router = server::transmitter(transmitter.clone(), wakeup.clone(), clock);
    let faults = Faults::between(Random(seed), false);
    runtime.block_on(net::serve(&plan, plan.port, router, faults))?;
    let client = net::client(&plan, Loopback(None), PUSH)?;
    let pushing = push_all(hold, transmitter.clone(), client, wakeup);
    runtime.spawn(async move {
        if let Err(error) = pushing.await {
            eprintln!("pushing ended: {error:#}");
            std::process::exit(1);
        }
    });
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = if line == "?" {
            let mut pending = 0;
            for (stream, _) in runtime.block_on(streams(&transmitter))? {
                pending += runtime.block_on(transmitter.queue().pending(&stream))?;
            }
            format!("? {pending}")
        } else {
            let subject = SubjectIdentifier::opaque(&line)?;
            let event = Occurrence::new(subject, SessionRevoked::default()).with_transaction(&line);
            let emitted = runtime.block_on(transmitter.emit(&event, clock()))?;
            anyhow::ensure!(
                emitted.streams == plan.receivers() && emitted.overflowed == 0,
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

fn open(dir: &Path, plan: &Plan, hold: Duration, wakeup: &Wakeup) -> Result<Arc<Signed>> {
    let provider = ring::provider();
    let (base, jwks) = (format!("{ISSUER}/ssf"), format!("{ISSUER}/jwks"));
    let settings = Settings::new(ISSUER, &base, &jwks, [SessionRevoked::URI])?
        .with_addresses(net::addresses())
        .with_polls_in_order()
        .with_long_poll(LONG_POLL);
    let queue = RedbEventQueue::open(dir.join("queue.redb"), 20_000)?;
    let transmitter = Transmitter::new(
        SetIssuer::new(plan.signing_key()?, provider, ISSUER)?,
        provider,
        settings,
        Arc::new(RedbStreamStore::open(plan::streams(dir))?),
        Arc::new(queue.with_visibility_timeout(hold)),
        Arc::new(Tokens(plan.receivers())),
    )?;
    Ok(Arc::new(transmitter.with_wake(wakeup.hook())))
}

/// All streams, and whether they are pushed.
async fn streams(transmitter: &Signed) -> Result<Vec<(String, bool)>> {
    let all = transmitter.store().page(None, usize::MAX).await?;
    let stream = |stream: &Arc<ssf_stream::transmitter::StreamRecord>| {
        let configuration = &stream.configuration;
        let pushed = matches!(configuration.delivery, Delivery::Push { .. });
        (configuration.stream_id.clone(), pushed)
    };
    Ok(all.iter().map(stream).collect())
}

/// Pushes every stream that is to be pushed, and those that come.
async fn push_all(
    hold: Duration,
    transmitter: Arc<Signed>,
    client: Client,
    wakeup: Wakeup,
) -> Result<()> {
    let mut pushed = HashSet::new();
    let failed = Arc::new(Mutex::new(None));
    loop {
        for (stream, is_pushed) in streams(&transmitter).await? {
            if !is_pushed || !pushed.insert(stream.clone()) {
                continue;
            }
            let pushing = push(
                hold,
                transmitter.clone(),
                client.clone(),
                stream,
                wakeup.clone(),
            );
            let failed = failed.clone();
            tokio::spawn(async move {
                if let (Err(error), Ok(mut failed)) = (pushing.await, failed.lock()) {
                    *failed = Some(error);
                }
            });
        }
        if let Some(error) = failed.lock().ok().and_then(|mut failed| failed.take()) {
            return Err(error);
        }
        sleep(LOOK).await;
    }
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
