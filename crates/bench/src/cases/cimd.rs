//! The metadata document of a client that is known already, alone and beside a writer.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cimd::{CachePolicy, ClientIdUrl, ClientMetadata, DocumentCache, DocumentPolicy, Freshness};
use http::HeaderMap;
use pki_types::UnixTime;
use serde_json::json;

use super::{Planned, with_yardstick};
use crate::bar::Bar;
use crate::harness::{Case, Work};

/// How many documents are kept.
const DOCUMENTS: usize = 1000;

pub(super) fn plan(cases: &mut Vec<Planned>) {
    cases.push(Planned::new("cimd-cache-hit", hit));
    cases.push(Planned::new("cimd-cache-hit-beside-writer", contended));
}

fn now() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000))
}

fn client_id(number: usize) -> String {
    format!("https://app-{number:04}.clients.example.com/oauth/client.json")
}

fn document(number: usize) -> (Arc<ClientMetadata>, Freshness) {
    let client_id = client_id(number);
    let url = ClientIdUrl::parse(&client_id).expect("a client identifier");
    let callback = client_id.replace("client.json", "callback");
    let body = json!({"client_id": client_id, "client_name": "App", "redirect_uris": [callback]});
    let body = body.to_string();
    let metadata = ClientMetadata::parse(&url, body.as_bytes(), &DocumentPolicy::default());
    let freshness = CachePolicy::new().freshness(&HeaderMap::new(), now());
    (Arc::new(metadata.expect("a good document")), freshness)
}

fn cache() -> Arc<DocumentCache> {
    let cache = DocumentCache::new(DOCUMENTS);
    for number in 0..DOCUMENTS {
        let (metadata, freshness) = document(number);
        cache.insert(metadata, freshness);
    }
    Arc::new(cache)
}

/// One document after the other, far apart from each other.
fn reads(cache: Arc<DocumentCache>) -> impl FnMut() -> Arc<ClientMetadata> {
    let names: Vec<String> = (0..DOCUMENTS).map(client_id).collect();
    let mut at = 0;
    move || {
        at = (at + 409) % DOCUMENTS;
        let name = names.get(at).expect("it is within");
        cache.get(black_box(name), now()).expect("it is there")
    }
}

fn hit(name: &str) -> Case {
    let case = Case::new(name, Work::new(reads(cache()))).floor("nothing", Work::new(|| ()));
    with_yardstick(case)
        .bar(Bar::OverFloor { at_most: 1000.0 })
        .bar(Bar::Allocations { at_most: 0 })
}

/// A writer that never pauses: it can hold no lock, but what it wrote last is in no reader's cache yet.
fn contended(name: &str) -> Case {
    let shared = cache();
    let writer = Writer::start(Arc::clone(&shared));
    let mut read = reads(shared);
    let ours = Work::new(move || {
        let _at_work = &writer;
        read()
    });
    let quiet = Work::new(reads(cache()));
    let case = Case::new(name, ours)
        .floor("nothing", Work::new(|| ()))
        .peer("no writer", quiet);
    with_yardstick(case).bar(Bar::OverFloor { at_most: 1000.0 })
}

/// A thread that replaces one document again and again until this is dropped.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(cache: Arc<DocumentCache>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (metadata, freshness) = document(0);
            while !until.load(Ordering::Relaxed) {
                cache.insert(Arc::clone(&metadata), freshness.clone());
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A thread that panicked has nothing to say here.
        _ = self.thread.take().map(JoinHandle::join);
    }
}
