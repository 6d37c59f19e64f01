//! A receiver: it finds or makes its stream, stores what is pushed to its endpoint or what it polls, and the application works on what is stored.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jose_x509::KeySet;
use ssf_set::SecurityEventToken;
use ssf_set::caep::SessionRevoked;
use ssf_stream::client::{Client, ensure_stream};
use ssf_stream::poll;
use ssf_stream::receiver::{
    Credentials, Management, Poller, PollerStep, StreamReceiver, Taken, discovery,
};
use ssf_stream::server::{Handling, Inbox as Endpoint, NotStored, SignatureAlone, push_endpoint};
use ssf_stream::stream::{ConfigurationRequest, DeliveryRequest, StreamConfiguration};
use ssf_stream::transmitter::Backoff;
use tokio::time::sleep;

use crate::faults::Faults;
use crate::inbox::Inbox;
use crate::net::{self, Loopback};
use crate::plan::{self, ISSUER, LONG_POLL, Plan, Random, clock};

/// How often the application works.
const PACE: Duration = Duration::from_millis(50);

/// Stores SETs, and notes those that are handed over as new.
#[derive(Clone)]
struct Kept {
    inbox: Arc<Inbox>,
    new: Arc<Mutex<Vec<String>>>,
}

impl Kept {
    fn keep(&self, set: &SecurityEventToken) -> Result<()> {
        let number = set.transaction().and_then(|text| text.parse().ok());
        let number = number.context("a SET without its number")?;
        self.inbox.keep(set.id(), number)
    }

    /// Tells whether the SET is one that was not handed over before.
    fn hand_over(&self, taken: &Taken) -> bool {
        let Taken::Event(set) = taken else {
            return false;
        };
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.push(set.id().to_owned());
        true
    }
}

impl Endpoint for Kept {
    fn store<'a>(&'a self, set: &'a SecurityEventToken) -> Handling<'a, Result<(), NotStored>> {
        Box::pin(std::future::ready(self.keep(set).map_err(|_| NotStored)))
    }

    fn act(&self, taken: Taken) -> Handling<'static, ()> {
        self.hand_over(&taken);
        Box::pin(std::future::ready(()))
    }
}

/// Writes how many events the application has worked on, again and again, until its input ends; first when there is a stream.
pub(crate) fn run(dir: &Path, index: usize, seed: u64) -> Result<ExitCode> {
    let plan = Plan::read(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let kept = Kept {
        inbox: Arc::new(Inbox::open(&plan::inbox(dir, index))?),
        new: Arc::default(),
    };
    let ended = Arc::new(AtomicBool::new(false));
    let end = ended.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        end.store(true, Ordering::SeqCst);
    });
    let client = net::client(&plan, Loopback(Some(plan.port)), LONG_POLL * 2)?;
    let (management, stream) = runtime.block_on(subscribe(&plan, index, &client))?;
    let keys = KeySet::new(vec![plan.signing_key()?.verifying_key()?])?;
    let receiver = StreamReceiver::new(management.metadata(), &stream, Arc::new(keys))?;
    let random = Random(seed);
    match plan.ports.get(index) {
        Some(port) => {
            let endpoint = push_endpoint(
                "/events",
                Arc::new(receiver),
                kept.inbox.clone(),
                Arc::new(kept.clone()),
                Arc::new(SignatureAlone),
                clock,
            );
            let faults = Faults::between(random, true);
            runtime.block_on(net::serve(&plan, *port, endpoint, faults))?;
        }
        None => {
            let polling = poll(client, management, receiver, stream, kept.clone(), random);
            runtime.spawn(async move {
                if let Err(error) = polling.await {
                    eprintln!("polling ended: {error:#}");
                    std::process::exit(1);
                }
            });
        }
    }
    loop {
        let last = ended.load(Ordering::SeqCst);
        let noted = std::mem::take(&mut *kept.new.lock().unwrap_or_else(PoisonError::into_inner));
        let count = kept.inbox.work(&noted)?;
        let mut output = std::io::stdout().lock();
        // Nobody reads any more when the run has failed.
        let told = writeln!(output, "{count}").and_then(|()| output.flush());
        if last || told.is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        drop(output);
        std::thread::sleep(PACE);
    }
}

/// Finds the transmitter and the stream, which is made if there is none, however often that fails.
async fn subscribe(
    plan: &Plan,
    index: usize,
    client: &Client,
) -> Result<(Management, StreamConfiguration)> {
    let delivery = match plan.endpoint(index) {
        Some(endpoint) => DeliveryRequest::push(&endpoint, None)?,
        None => DeliveryRequest::Poll,
    };
    let wanted = ConfigurationRequest::new()
        .with_events([SessionRevoked::URI])?
        .with_delivery(delivery);
    let subscribe = async || {
        let metadata = client.send(discovery::request(ISSUER)?).await?;
        let metadata = discovery::parse_response(&metadata, ISSUER)?;
        let credentials = Credentials::bearer(&plan::token(index)).context("no token")?;
        let management = Management::new(metadata, credentials)?;
        let stream = ensure_stream(client, &management, &wanted).await?;
        anyhow::Ok((management, stream))
    };
    loop {
        match subscribe().await {
            Ok(found) => return Ok(found),
            Err(_) => sleep(PACE).await,
        }
    }
}

async fn poll(
    client: Client,
    management: Management,
    receiver: StreamReceiver,
    stream: StreamConfiguration,
    kept: Kept,
    mut random: Random,
) -> Result<()> {
    let second = Duration::from_secs(1);
    let mut poller = Poller::new().with_backoff(Backoff::new(second, 2 * second));
    let endpoint = stream.delivery.endpoint_url();
    loop {
        let request = match poller.next(random.next(), clock()) {
            PollerStep::Poll(request) => request,
            _ => {
                sleep(PACE).await;
                continue;
            }
        };
        let authorization = management.credentials().authorization();
        let Ok(response) = client
            .send(poll::request(&request, endpoint, authorization)?)
            .await
        else {
            poller.failed();
            continue;
        };
        let Ok(answer) = poller.answered(&response, clock()) else {
            continue;
        };
        let polled = receiver.verify(&answer, clock());
        ensure!(
            polled.refused.is_empty() && polled.undecided.is_empty(),
            "a SET is refused"
        );
        for set in polled.sets {
            kept.keep(&set)?;
            let id = set.id().to_owned();
            let taken = receiver.record(set, kept.inbox.as_ref(), clock())?;
            poller.stored(&id, kept.hand_over(&taken));
        }
    }
}
