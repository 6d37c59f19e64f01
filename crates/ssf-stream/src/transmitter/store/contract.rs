//! What every [`StreamStore`] has to fulfil, as a check that its tests run.

use std::time::Duration;

use pki_types::UnixTime;
use ssf_set::ssf::StreamStatus;
use ssf_set::{ComplexSubject, Error, Subject, SubjectIdentifier};

use crate::queue::Sequence;
use crate::stream::{AuthorizationHeader, Delivery, StreamConfiguration};
use crate::transmitter::{StoreError, StreamRecord, StreamStore, SubjectEntry};

/// A rule of the contract that an implementation breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store breaks its contract: {0}")]
pub struct Violation(pub &'static str);

impl From<StoreError> for Violation {
    fn from(_: StoreError) -> Self {
        Self("an operation failed that must not fail")
    }
}

impl From<Error> for Violation {
    fn from(_: Error) -> Self {
        Self("a subject cannot be made")
    }
}

fn demand(rule: bool, text: &'static str) -> Result<(), Violation> {
    if rule { Ok(()) } else { Err(Violation(text)) }
}

fn record(id: &str, receiver: &str) -> StreamRecord {
    let configuration = StreamConfiguration {
        stream_id: id.to_owned(),
        iss: "https://signals.example.com".to_owned(),
        aud: vec!["https://receiver.example.com".to_owned()],
        events_supported: None,
        events_requested: None,
        events_delivered: Vec::new(),
        delivery: Delivery::Poll {
            endpoint_url: "https://signals.example.com/poll".to_owned(),
        },
        min_verification_interval: None,
        inactivity_timeout: None,
        description: None,
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
    StreamRecord::new(receiver, configuration, now)
}

/// A record with something in every place.
fn changed(record: &StreamRecord) -> StreamRecord {
    let mut record = record.clone();
    let events = || Some(vec!["https://example.com/event".to_owned()]);
    let configuration = &mut record.configuration;
    configuration.aud.push("another".to_owned());
    configuration.events_supported = events();
    configuration.events_requested = events();
    configuration.events_delivered = events().unwrap_or_default();
    configuration.delivery = Delivery::Push {
        endpoint_url: "https://receiver.example.com/events".to_owned(),
        authorization_header: AuthorizationHeader::new("Bearer \"secret\""),
    };
    configuration.min_verification_interval = Some(60);
    configuration.inactivity_timeout = Some(u64::MAX);
    configuration.description = Some("ein Strom, \u{1f310}".to_owned());
    record.group = Some("group".to_owned());
    record.status = StreamStatus::Paused;
    record.reason = Some("reason".to_owned());
    record.last = Some(Sequence(7));
    record.active_at = 1;
    record.verification_at = Some(2);
    record.verification = Some("jti".to_owned());
    record.verified = true;
    record.dropped = 3;
    record
}

/// Checks an empty store, and leaves it empty.
///
/// # Errors
///
/// The first rule that is broken.
pub async fn check(store: &dyn StreamStore) -> Result<(), Violation> {
    streams(store).await?;
    changes(store).await?;
    subjects(store).await?;
    matching(store).await?;
    demand(
        store.page(None, 1).await?.is_empty(),
        "a deleted stream is listed",
    )
}

async fn ids(
    store: &dyn StreamStore,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let page = store.page(after, limit).await?;
    let id = |record: &std::sync::Arc<StreamRecord>| record.configuration.stream_id.clone();
    Ok(page.iter().map(id).collect())
}

async fn streams(store: &dyn StreamStore) -> Result<(), Violation> {
    let b = record("b", "one");
    demand(
        store.read("b").await?.is_none(),
        "an empty store has a stream",
    )?;
    store.create(b.clone(), 2).await?;
    demand(
        store.read("b").await?.as_deref() == Some(&b),
        "a stream is not what it was made as",
    )?;
    demand(
        store.create(record("b", "two"), 2).await == Err(StoreError::Conflict),
        "two streams have one identifier",
    )?;
    store.create(record("a", "one"), 2).await?;
    demand(
        store.create(record("c", "one"), 2).await == Err(StoreError::TooMany),
        "a receiver has more streams than allowed",
    )?;
    demand(
        store.create(record("d", "on"), 0).await == Err(StoreError::TooMany),
        "a receiver that may have no stream has one",
    )?;
    store.create(record("c", "on"), 1).await?;
    let own = store.of_receiver("one").await?;
    demand(
        own.len() == 2
            && own.is_sorted_by_key(|record| record.configuration.stream_id.clone())
            && own.iter().all(|record| record.receiver == "one"),
        "the streams of a receiver are not its own, in order",
    )?;
    demand(
        ids(store, None, 2).await? == ["a", "b"]
            && ids(store, Some("a"), 9).await? == ["b", "c"]
            && ids(store, Some("aa"), 1).await? == ["b"]
            && ids(store, Some("c"), 9).await?.is_empty(),
        "pages are not all streams, in order, each once",
    )?;
    demand(
        store.delete("a").await? && !store.delete("a").await?,
        "deleting does not tell whether there was a stream",
    )?;
    demand(
        store.read("a").await?.is_none() && store.of_receiver("one").await?.len() == 1,
        "a deleted stream is there",
    )?;
    store.create(record("a", "one"), 2).await?;
    for id in ["a", "b", "c"] {
        store.delete(id).await?;
    }
    Ok(())
}

async fn changes(store: &dyn StreamStore) -> Result<(), Violation> {
    let first = record("s", "one");
    demand(
        store.replace(first.clone()).await == Err(StoreError::Conflict),
        "a stream that was never made is replaced",
    )?;
    store.create(first.clone(), 1).await?;
    let mut wanted = changed(&first);
    store.replace(wanted.clone()).await?;
    demand(
        store.replace(changed(&first)).await == Err(StoreError::Conflict),
        "a change is lost",
    )?;
    let Some(second) = store.read("s").await? else {
        return Err(Violation("a replaced stream is gone"));
    };
    demand(second.version > first.version, "the version does not grow")?;
    wanted.version = second.version;
    demand(*second == wanted, "a stream is not what it was changed to")?;
    let back = StreamRecord {
        version: second.version,
        ..first.clone()
    };
    store.replace(back).await?;
    demand(
        store.replace(StreamRecord::clone(&second)).await == Err(StoreError::Conflict),
        "the version is not compared",
    )?;
    store.delete("s").await?;
    demand(
        store.replace(wanted).await == Err(StoreError::Conflict),
        "a deleted stream comes back",
    )
}

/// One of each kind.
fn all_kinds() -> Result<Vec<Subject>, Error> {
    let email = || SubjectIdentifier::email("a@example.com");
    let custom = [
        (
            "b".to_owned(),
            serde_json::json!({"d": 1.5, "c": [null, true, -1]}),
        ),
        ("a".to_owned(), "\u{0}\"\\".into()),
    ];
    let simple = [
        SubjectIdentifier::account("acct:a@example.com")?,
        email()?,
        SubjectIdentifier::iss_sub("https://idp.example.com", "a")?,
        SubjectIdentifier::opaque("a")?,
        SubjectIdentifier::phone_number("+123456789")?,
        SubjectIdentifier::did("did:example:a")?,
        SubjectIdentifier::uri("spiffe://example.org/a")?,
        SubjectIdentifier::aliases([email()?, SubjectIdentifier::opaque("a")?])?,
        SubjectIdentifier::jwt_id("https://idp.example.com", "a")?,
        SubjectIdentifier::saml_assertion_id("https://idp.example.com", "a")?,
        SubjectIdentifier::ip_addresses([[192, 0, 2, 1].into()])?,
        SubjectIdentifier::custom("example.com", custom.into_iter().collect())?,
    ];
    let complex =
        ComplexSubject::new("user", email()?)?.with("tenant", SubjectIdentifier::opaque("t")?)?;
    let simple = simple.into_iter().map(Subject::from);
    Ok(simple.chain([complex.into()]).collect())
}

fn entry(subject: Subject) -> SubjectEntry {
    SubjectEntry {
        subject,
        verified: true,
        removed_at: None,
    }
}

async fn subjects(store: &dyn StreamStore) -> Result<(), Violation> {
    let kinds = all_kinds()?;
    let limit = kinds.len();
    let stray = entry(SubjectIdentifier::opaque("stray")?.into());
    demand(
        store.put_subject("s", stray.clone(), limit).await == Err(StoreError::Conflict),
        "a stream that is not there has a subject",
    )?;
    for id in ["s", "t"] {
        store.create(record(id, id), 1).await?;
    }
    for subject in &kinds {
        let plain = entry(subject.clone());
        store.put_subject("s", plain.clone(), limit).await?;
        let removed = SubjectEntry {
            verified: false,
            removed_at: Some(9),
            ..plain.clone()
        };
        store.put_subject("s", removed.clone(), limit).await?;
        demand(
            store.subject("s", subject).await? == Some(removed),
            "an entry does not take the place of the one about the same subject",
        )?;
        demand(
            store.subject("t", subject).await?.is_none(),
            "streams have their subjects in common",
        )?;
        store.put_subject("s", plain, limit).await?;
    }
    demand(
        store.put_subject("s", stray.clone(), limit).await == Err(StoreError::TooMany)
            && store.subject("s", &stray.subject).await?.is_none(),
        "a stream has more subjects than allowed",
    )?;
    for subject in &kinds {
        demand(
            store.subject("s", subject).await? == Some(entry(subject.clone()))
                && store.matching("s", subject).await? == [entry(subject.clone())],
            "a subject is not found again",
        )?;
    }
    store.put_subject("t", stray.clone(), 1).await?;
    store.delete("s").await?;
    store.create(record("s", "s"), 1).await?;
    demand(
        store.subject("t", &stray.subject).await?.is_some(),
        "deleting a stream takes the subjects of another",
    )?;
    for subject in &kinds {
        demand(
            store.subject("s", subject).await?.is_none()
                && store.matching("s", subject).await?.is_empty(),
            "a deleted stream leaves its subjects behind",
        )?;
    }
    store.put_subject("s", stray, 1).await?;
    for id in ["s", "t"] {
        store.delete(id).await?;
    }
    Ok(())
}

async fn matching(store: &dyn StreamStore) -> Result<(), Violation> {
    let opaque = |id: &str| SubjectIdentifier::opaque(id);
    let user = |id: &str| ComplexSubject::new("user", opaque(id)?);
    let both = |id: &str, tenant: &str| user(id)?.with("tenant", opaque(tenant)?);
    // The names of the streams are next to each other.
    for id in ["s", "s0"] {
        store.create(record(id, id), 1).await?;
        for subject in [user("a")?, user("b")?, both("a", "t")?] {
            store.put_subject(id, entry(subject.into()), 9).await?;
        }
        store.put_subject(id, entry(opaque("a")?.into()), 9).await?;
    }
    let subject = Subject::from(both("a", "t")?);
    let mut found = store.matching("s", &subject).await?;
    found.sort_by_key(|entry| entry.subject == subject);
    demand(
        found == [entry(user("a")?.into()), entry(subject)],
        "not the entries that match a complex subject",
    )?;
    demand(
        store
            .matching("s", &both("c", "t")?.into())
            .await?
            .is_empty()
            && store.matching("s", &opaque("b")?.into()).await?.is_empty(),
        "an entry matches another subject",
    )?;
    for id in ["s", "s0"] {
        store.delete(id).await?;
    }
    Ok(())
}
