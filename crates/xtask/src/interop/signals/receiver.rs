//! Our receiver, towards a transmitter in Python.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::http::{Request, Response};
use jose_x509::provider::ring;
use jose_x509::{KeySet, MemoryReplayGuard};
use serde_json::{Value, json};
use ssf_set::caep::{CredentialChange, SessionRevoked};
use ssf_set::ssf::StreamStatus;
use ssf_set::{SecurityEventToken, SubjectIdentifier};
use ssf_stream::Error;
use ssf_stream::client::{Client, ensure_stream};
use ssf_stream::poll;
use ssf_stream::receiver::{
    Created, Credentials, Management, Poller, PollerStep, StreamReceiver, Taken, Updated, discovery,
};
use ssf_stream::server::{self, Handling, Inbox, NotStored, SignatureAlone};
use ssf_stream::stream::{
    ConfigurationRequest, DeliveryRequest, StreamConfiguration, StreamStatusDocument,
    SubjectRequest,
};
use ssf_stream::transmitter::Backoff;

use super::talk::Talk;
use super::{Scene, clock, listen, text};
use crate::interop::report::Tally;

const AUDIENCE: &str = "https://rx.example.org";
const SECOND: Duration = Duration::from_secs(1);
type Answer = Response<Vec<u8>>;

/// SETs with one fault each, and what our receiver has to say about them.
const FAULTS: [(&str, &str); 10] = [
    ("signature", "invalid_key"),
    ("audience", "invalid_audience"),
    ("issuer", "invalid_issuer"),
    ("exp", "invalid_request"),
    ("sub", "invalid_request"),
    ("typ", "invalid_request"),
    ("two events", "invalid_request"),
    ("no subject", "invalid_request"),
    ("none", "invalid_key"),
    ("cut", "invalid_request"),
];

struct Session<'t> {
    talk: Talk,
    tally: &'t mut Tally,
    client: Client,
    management: Management,
    keys: Arc<KeySet>,
    guard: Arc<MemoryReplayGuard>,
}

pub(super) async fn drives(scene: &Scene, mut talk: Talk, tally: &mut Tally) -> Result<()> {
    let port = talk.ask(&json!({
        "ca": scene.file("ca.pem"), "certificate": scene.file("leaf.pem"), "key": scene.file("leaf.key"),
    }))?;
    let port = port
        .get("port")
        .and_then(Value::as_u64)
        .context("no port")?;
    let origin = format!("https://127.0.0.1:{port}");
    let issuer = format!("{origin}/tenant");
    let client = scene.client();

    // The metadata of one issuer under the address of another are nobody's.
    let impostor = format!("{origin}/impostor");
    let response = client.send(discovery::request(&impostor)?).await?;
    let found = discovery::parse_response(&response, &impostor);
    tally.refuses("metadata of another issuer", &found)?;
    let nobody = format!("{origin}/nobody");
    let response = client.send(discovery::request(&nobody)?).await?;
    tally.refuses(
        "no metadata",
        &discovery::parse_response(&response, &nobody),
    )?;
    let response = client.send(discovery::request(&issuer)?).await?;
    let metadata = discovery::parse_response(&response, &issuer)?;

    let jwks_uri = metadata.jwks_uri.clone().context("no jwks_uri")?;
    let response = client
        .send(Request::get(jwks_uri).body(Vec::new())?)
        .await?;
    let keys = Arc::new(KeySet::from_jwks_slice(&ring::provider(), response.body())?);
    let credentials = |token| Credentials::bearer(token).context("no token");
    let wrong = Management::new(metadata.clone(), credentials("wrong")?)?;
    let response = client.send(wrong.list()?).await?;
    tally.refuses("a wrong token", &wrong.listed(&response))?;
    let mutual = Management::new(metadata.clone(), Credentials::MutualTls);
    tally.refuses("a scheme that is not offered", &mutual)?;

    let right = credentials("token-of-the-receiver")?;
    let management = Management::new(metadata, right)?.with_audience([AUDIENCE]);
    let guard = Arc::new(MemoryReplayGuard::new(1000));
    let mut session = Session {
        talk,
        tally,
        client,
        management,
        keys,
        guard,
    };
    let stream = session.manage().await?;
    session.polls(&stream).await?;
    session.is_pushed(scene, &stream).await?;
    session.ends(&stream).await?;
    session.talk.say(&json!({"do": "end"}))?;
    let end = session.talk.hear()?;
    Talk::count(&end, session.tally)
}

impl Session<'_> {
    async fn send(&self, request: Result<Request<Vec<u8>>, Error>) -> Result<Answer> {
        Ok(self.client.send(request?).await?)
    }

    async fn manage(&mut self) -> Result<StreamConfiguration> {
        let management = self.management.clone();
        let response = self.send(management.list()).await?;
        let none = management.listed(&response)?.len();
        self.tally.accepts("no stream", Ok::<_, Error>(none), &0)?;
        let wanted = ConfigurationRequest::new()
            .with_delivery(DeliveryRequest::Poll)
            .with_events([SessionRevoked::URI, "https://example.com/unknown"])?
            .with_description("of ours");
        let response = self.send(management.create(&wanted)).await?;
        let Created::New(stream) = management.created(&response)? else {
            bail!("the stream was not made");
        };
        let id = stream.stream_id.clone();
        let delivered = vec![SessionRevoked::URI.to_owned()];
        let found = Ok::<_, Error>(stream.events_delivered.clone());
        self.tally.accepts("what is delivered", found, &delivered)?;
        let response = self.send(management.create(&wanted)).await?;
        let exists = management.created(&response)?;
        let found = Ok::<_, Error>(exists);
        self.tally
            .accepts("a second one", found, &Created::Exists)?;
        let found = ensure_stream(&self.client, &management, &wanted).await;
        self.tally.accepts("ensured", found, &stream)?;
        let response = self.send(management.read(&id)).await?;
        let found = management.configured(&id, &response);
        self.tally.accepts("read", found, &stream)?;
        let response = self.send(management.read("unknown")).await?;
        let found = management.configured("unknown", &response);
        self.tally.refuses("an unknown stream", &found)?;
        let found = management.configured("another", &response);
        self.tally
            .refuses("the answer about another stream", &found)?;

        let both = [SessionRevoked::URI, CredentialChange::URI];
        let update = ConfigurationRequest::new().with_events(both)?;
        let response = self.send(management.update(&id, &update)).await?;
        let found = management.updated(&id, &response)?;
        let Updated::Done(updated) = found else {
            bail!("the update is pending");
        };
        let kept = Ok::<_, Error>(updated.description.clone());
        self.tally
            .accepts("what is absent stays", kept, &Some("of ours".to_owned()))?;
        let mut replaced = ConfigurationRequest::replacing(&updated);
        replaced.description = ssf_stream::stream::Member::Absent;
        let response = self.send(management.replace(&id, &replaced)).await?;
        let Updated::Done(stream) = management.updated(&id, &response)? else {
            bail!("the replacement is pending");
        };
        let gone = Ok::<_, Error>(stream.description.clone());
        self.tally.accepts("what is absent goes", gone, &None)?;

        let response = self.send(management.read_status(&id)).await?;
        let status = |status| Updated::Done(StreamStatusDocument::new(&id, status, None));
        let enabled = status(StreamStatus::Enabled);
        let found = management.status(&id, &response);
        self.tally.accepts("status", found, &enabled)?;
        let paused = StreamStatusDocument::new(&id, StreamStatus::Paused, None);
        let response = self.send(management.set_status(&paused)).await?;
        let found = management.status(&id, &response);
        self.tally
            .accepts("paused", found, &status(StreamStatus::Paused))?;
        self.talk.ask(&json!({"do": "undecided"}))?;
        let wanted = StreamStatusDocument::new(&id, StreamStatus::Enabled, None);
        for expected in [Updated::Pending, enabled] {
            let response = self.send(management.set_status(&wanted)).await?;
            let found = management.status(&id, &response);
            self.tally.accepts("enabled", found, &expected)?;
        }
        Ok(stream)
    }

    /// Polls once, as the loop of a receiver does. Tells what was taken.
    async fn poll(
        &self,
        poller: &mut Poller,
        receiver: &StreamReceiver,
        stream: &StreamConfiguration,
    ) -> Result<Vec<Taken>> {
        let request = loop {
            match poller.next(0, clock()) {
                PollerStep::Poll(request) => break request,
                _ => tokio::time::sleep(SECOND / 4).await,
            }
        };
        let authorization = self.management.credentials().authorization();
        let endpoint = stream.delivery.endpoint_url();
        let response = self.send(poll::request(&request, endpoint, authorization));
        let response = poller.answered(&response.await?, clock())?;
        let polled = receiver.verify(&response, clock());
        if let Some((_, error)) = polled.undecided.first_key_value() {
            bail!("a SET could not be judged: {error}");
        }
        let mut taken = Vec::new();
        for set in polled.sets {
            let id = set.id().to_owned();
            let one = receiver.record(set, self.guard.as_ref(), clock())?;
            poller.stored(&id, !matches!(one, Taken::Repeated(_)));
            taken.push(one);
        }
        for (id, report) in polled.refused {
            poller.refused(&id, report);
        }
        Ok(taken)
    }

    async fn polls(&mut self, stream: &StreamConfiguration) -> Result<()> {
        let management = self.management.clone();
        let id = &stream.stream_id;
        let receiver = StreamReceiver::new(management.metadata(), stream, self.keys.clone())?;
        let mut poller = Poller::new()
            .with_short_polls()
            .with_backoff(Backoff::new(SECOND, SECOND));
        let subject = |name: &str| json!({"format": "opaque", "id": name});
        let emit = |talk: &mut Talk, name: &str, fault: Option<&str>| -> Result<String> {
            let order =
                json!({"do": "emit", "stream": id, "subject": subject(name), "fault": fault});
            let emitted = talk.ask(&order)?;
            Ok(emitted
                .get("jti")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned())
        };

        // Good and bad ones among each other.
        let mut good = vec![emit(&mut self.talk, "first", None)?];
        let mut bad = serde_json::Map::new();
        for (fault, code) in FAULTS {
            bad.insert(emit(&mut self.talk, "bad", Some(fault))?, json!(code));
        }
        good.push(emit(&mut self.talk, "last", None)?);
        let waiting = self.talk.ask(&json!({"do": "waiting", "stream": id}))?;
        let taken = self.poll(&mut poller, &receiver, stream).await?;
        let found: Vec<String> = taken.iter().filter_map(event).map(id_of).collect();
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        let found = Ok::<_, Error>(sorted(found));
        self.tally
            .accepts("good SETs", found, &sorted(good.clone()))?;
        // The next poll says what became of them.
        self.poll(&mut poller, &receiver, stream).await?;
        let saw = self.talk.ask(&json!({"do": "saw"}))?;
        let errs = Ok::<_, Error>(saw.get("errs").cloned().unwrap_or_default());
        self.tally.accepts("setErrs", errs, &Value::Object(bad))?;
        let acked: Vec<String> = serde_json::from_value(at(&saw, "/acked"))?;
        let acked = Ok::<_, Error>(sorted(acked));
        self.tally.accepts("ack", acked, &sorted(good.clone()))?;

        // A transmitter that forgets what was acknowledged: taken, and not acted upon.
        let sets: Vec<Value> = at(&waiting, "/sets")
            .as_array()
            .cloned()
            .unwrap_or_default();
        let first = good.first().map(String::as_str);
        let first = sets.into_iter().find(|set| at(set, "/0").as_str() == first);
        self.talk
            .ask(&json!({"do": "again", "stream": id, "sets": [first]}))?;
        let taken = self.poll(&mut poller, &receiver, stream).await?;
        let repeated = matches!(taken.as_slice(), [Taken::Repeated(_)]);
        self.tally
            .accepts("a repetition", Ok::<_, Error>(repeated), &true)?;

        // Subjects, and the round trip of a verification.
        let gone = SubjectRequest::new(id, SubjectIdentifier::opaque("gone")?);
        let response = self.send(management.remove_subject(&gone)).await?;
        let found = management.accepted(&response);
        self.tally.accepts("removed", found, &())?;
        let silent = emit(&mut self.talk, "gone", None)?;
        self.tally
            .accepts("silence", Ok::<_, Error>(silent), &String::new())?;
        let response = self.send(management.add_subject(&gone)).await?;
        let found = management.accepted(&response);
        self.tally.accepts("added", found, &())?;
        emit(&mut self.talk, "gone", None)?;
        let verifications = receiver.verifications();
        let request = verifications.begin(&ring::provider(), id, clock())?;
        let response = self.send(management.verify(&request)).await?;
        self.tally
            .accepts("verification", management.accepted(&response), &())?;
        let response = self.send(management.verify(&request)).await?;
        self.tally
            .refuses("too often", &management.accepted(&response))?;
        // After a round that brought nothing new the poller rests, and reports meanwhile.
        let mut taken = Vec::new();
        for _ in 0..10 {
            if !taken.is_empty() {
                break;
            }
            taken = self.poll(&mut poller, &receiver, stream).await?;
        }
        let kinds: Vec<&str> = taken.iter().map(kind).collect();
        let expected = vec!["event", "verified"];
        self.tally
            .accepts("verified", Ok::<_, Error>(sorted_names(kinds)), &expected)?;
        let open = Ok::<_, Error>(verifications.open(id, clock()));
        self.tally.accepts("nothing is open", open, &0)?;
        if let Some(last) = poller.last(clock()) {
            let authorization = management.credentials().authorization();
            let endpoint = stream.delivery.endpoint_url();
            self.send(poll::request(&last, endpoint, authorization))
                .await?;
        }
        let waiting = self.talk.ask(&json!({"do": "waiting", "stream": id}))?;
        let left = Ok::<_, Error>(at(&waiting, "/sets"));
        self.tally.accepts("nothing waits", left, &json!([]))
    }

    async fn is_pushed(&mut self, scene: &Scene, stream: &StreamConfiguration) -> Result<()> {
        let (listener, port) = listen().await?;
        let receiver = StreamReceiver::new(self.management.metadata(), stream, self.keys.clone())?;
        let inbox = Arc::new(Log::default());
        let router = server::push_endpoint(
            "/events",
            Arc::new(receiver),
            self.guard.clone(),
            Arc::clone(&inbox) as _,
            Arc::new(SignatureAlone),
            clock,
        );
        scene.serve(listener, router);
        let endpoint = format!("https://127.0.0.1:{port}/events");
        let push = |fault: Option<&str>, times: u32| {
            json!({
                "do": "push", "endpoint": endpoint, "fault": fault, "times": times,
                "subject": {"format": "opaque", "id": "pushed"},
            })
        };
        let accepted = json!({"status": 202, "err": null, "length": 0});
        let pushed = self.talk.ask(&push(None, 3))?;
        let answers = Ok::<_, Error>(at(&pushed, "/answers"));
        let expected = json!([accepted, accepted, accepted]);
        self.tally.accepts("the same answer", answers, &expected)?;
        let stored = inbox
            .stored
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let one = text(&pushed, "jti")?;
        let all = Ok::<_, Error>(stored.iter().all(|id| id == one) && !stored.is_empty());
        self.tally.accepts("stored", all, &true)?;
        tokio::time::sleep(SECOND / 5).await;
        let acted = Ok::<_, Error>(inbox.acted.load(Ordering::SeqCst));
        self.tally.accepts("acted upon once", acted, &1)?;
        for (fault, code) in FAULTS {
            let pushed = self.talk.ask(&push(Some(fault), 1))?;
            let answer = at(&pushed, "/answers/0");
            let found = (at(&answer, "/status"), at(&answer, "/err"));
            if found != (json!(400), json!(code)) {
                bail!("a pushed SET with {fault}: expected {code}, answered {found:?}");
            }
            self.tally.refuses(fault, &Err::<(), _>(code))?;
        }
        let mut odd = push(None, 1);
        if let Some(members) = odd.as_object_mut() {
            members.insert("type".to_owned(), json!("application/jwt"));
        }
        let pushed = self.talk.ask(&odd)?;
        let found = Ok::<_, Error>(at(&pushed, "/answers/0/status"));
        self.tally.accepts("another type", found, &json!(400))?;
        let acted = Ok::<_, Error>(inbox.acted.load(Ordering::SeqCst));
        self.tally.accepts("and no more", acted, &1)
    }

    async fn ends(&mut self, stream: &StreamConfiguration) -> Result<()> {
        let management = self.management.clone();
        let id = &stream.stream_id;
        let response = self.send(management.delete(id)).await?;
        self.tally
            .accepts("deleted", management.accepted(&response), &())?;
        let response = self.send(management.delete(id)).await?;
        self.tally
            .refuses("deleted twice", &management.accepted(&response))?;
        let response = self.send(management.read_status(id)).await?;
        self.tally
            .refuses("its status", &management.status(id, &response))
    }
}

/// What was pushed.
#[derive(Default)]
struct Log {
    stored: Mutex<Vec<String>>,
    acted: Arc<AtomicUsize>,
}

impl Inbox for Log {
    fn store<'a>(&'a self, set: &'a SecurityEventToken) -> Handling<'a, Result<(), NotStored>> {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.push(set.id().to_owned());
        Box::pin(core::future::ready(Ok(())))
    }

    fn act(&self, taken: Taken) -> Handling<'static, ()> {
        if event(&taken).is_some() {
            self.acted.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(core::future::ready(()))
    }
}

/// What lies in an answer of the script, by a JSON pointer.
fn at(value: &Value, pointer: &str) -> Value {
    value.pointer(pointer).cloned().unwrap_or_default()
}

fn event(taken: &Taken) -> Option<&SecurityEventToken> {
    match taken {
        Taken::Event(set) => Some(set),
        _ => None,
    }
}

fn id_of(set: &SecurityEventToken) -> String {
    set.id().to_owned()
}

fn kind(taken: &Taken) -> &'static str {
    match taken {
        Taken::Event(_) => "event",
        Taken::Verified(true) => "verified",
        Taken::Repeated(_) => "repeated",
        _ => "other",
    }
}

fn sorted_names(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}
