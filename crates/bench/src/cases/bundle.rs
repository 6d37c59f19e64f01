//! SPIFFE IDs, bundle documents, and the bundle of one trust domain among many.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use jose_x509::KeySet;
use spiffe_bundle::{Bundle, BundleSet, JwtBundleSource, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdRef, TrustDomain, TrustDomainRef};

use super::Planned;
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{SPIFFE_ID, bundle_document, trust_domains};
use crate::harness::{Case, Work};
#[cfg(feature = "peers")]
use crate::peers;

/// How many keys a document has.
const KEYS: usize = 1000;
/// How many trust domains a set has.
const DOMAINS: usize = 10_000;
/// How many threads look up beside the measured one, while another one writes.
const OTHER_READERS: usize = 7;

pub(super) fn plan(cases: &mut Vec<Planned>) {
    cases.push(Planned::new("spiffe-id-borrowed", |name| {
        let work = Work::new(|| SpiffeIdRef::parse(black_box(SPIFFE_ID)).expect("it is valid"));
        id(name, work, 0)
    }));
    cases.push(Planned::new("spiffe-id-owned", |name| {
        let work = Work::new(|| SpiffeId::parse(black_box(SPIFFE_ID)).expect("it is valid"));
        id(name, work, 1)
    }));
    for backend in Backend::ALL {
        let name = format!("bundle-{KEYS}/{}", backend.name());
        cases.push(Planned::new(name, move |name| document(name, *backend)));
    }
    cases.push(Planned::new(format!("bundle-of-{DOMAINS}"), |name| {
        lookup(name)
    }));
    cases.push(Planned::new(
        format!("bundle-of-{DOMAINS}-contended"),
        contended,
    ));
}

fn id(name: &str, work: Work, allocations: u64) -> Case {
    let case = Case::new(name, work);
    #[cfg(feature = "peers")]
    let case = case.peer("spiffe", peers::spiffe::id(SPIFFE_ID));
    case.bar(Bar::Ratio {
        peer: "spiffe",
        at_most: 0.26,
    })
    .bar(Bar::Allocations {
        at_most: allocations,
    })
}

/// Strict JSON, canonical base64url, a point on the curve and unique names are checked for each key.
fn document(name: &str, backend: Backend) -> Case {
    let json = bundle_document(KEYS);
    let provider = backend.provider();
    let domain = TrustDomainRef::from_static("prod.example.org").to_trust_domain();
    let text = json.to_vec();
    let case = Case::new(
        name,
        Work::new(move || {
            let bundle =
                Bundle::parse(&provider, domain.clone(), black_box(&text)).expect("it is good");
            assert_eq!(bundle.jwt_keys().keys().len(), KEYS);
            bundle
        }),
    );
    #[cfg(feature = "peers")]
    let case = case.peer("spiffe", peers::spiffe::bundle(json));
    case.bar(Bar::Ratio {
        peer: "spiffe",
        at_most: 0.25,
    })
}

/// Sets of bundles without keys: only their names matter.
fn many() -> (BundleSet, Vec<TrustDomain>) {
    let provider = jose_x509::provider::ring::provider();
    let domains = trust_domains(DOMAINS);
    let mut set = BundleSet::new();
    for domain in &domains {
        let bundle = Bundle::builder(&provider, domain.clone()).build();
        set.force_install(bundle.expect("an empty bundle"));
    }
    (set, domains)
}

/// Looks up one name after the other, far apart from each other.
struct Reader<S> {
    source: S,
    domains: Vec<TrustDomain>,
    at: usize,
}

impl<S: JwtBundleSource> Reader<S> {
    fn new(source: S, domains: &[TrustDomain]) -> Self {
        Self {
            source,
            domains: domains.to_vec(),
            at: 0,
        }
    }

    fn read(&mut self) -> Arc<KeySet> {
        self.at = (self.at + 4099) % self.domains.len();
        let domain = self.domains.get(self.at).expect("it is within");
        self.source
            .jwt_authorities(domain.as_trust_domain_ref())
            .expect("it is there")
    }
}

impl<S: JwtBundleSource + 'static> Reader<S> {
    fn work(mut self) -> Work {
        Work::new(move || self.read())
    }
}

/// A set that is replaced by copying pointers has its bundles behind one more of them than `spiffe`'s map: out of the cache that
/// is one more wait for memory, and the bar is there to notice a second one.
fn lookup(name: &str) -> Case {
    let (set, domains) = many();
    let case = Case::new(name, Reader::new(set, &domains).work());
    #[cfg(feature = "peers")]
    let case = case.peer("spiffe", peers::spiffe::lookup(&domains));
    case.bar(Bar::Ratio {
        peer: "spiffe",
        at_most: 2.0,
    })
    .bar(Bar::Allocations { at_most: 0 })
}

/// The same set shared, with other readers and a writer at work; a lock-free read costs what a quiet one costs.
fn contended(name: &str) -> Case {
    let (set, domains) = many();
    let quiet = Arc::new(SharedBundleSet::new(set.clone()));
    let shared = Arc::new(SharedBundleSet::new(set));
    let crowd = Crowd::start(&shared, &domains);
    let mut measured = Reader::new(Arc::clone(&shared), &domains);
    Case::new(
        name,
        Work::new(move || {
            let _at_work = &crowd;
            measured.read()
        }),
    )
    .peer("no writer", Reader::new(quiet, &domains).work())
    .bar(Bar::Ratio {
        peer: "no writer",
        at_most: 2.0,
    })
}

/// Threads that read and write until this is dropped.
struct Crowd {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn start(shared: &Arc<SharedBundleSet>, domains: &[TrustDomain]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..OTHER_READERS {
            let mut reader = Reader::new(Arc::clone(shared), domains);
            let stop = Arc::clone(&stop);
            threads.push(thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for _ in 0..1000 {
                        black_box(reader.read());
                    }
                    thread::yield_now();
                }
            }));
        }
        let (shared, until) = (Arc::clone(shared), Arc::clone(&stop));
        let provider = jose_x509::provider::ring::provider();
        let domain = domains.first().expect("there are many").clone();
        threads.push(thread::spawn(move || {
            let mut sequence = 1_u64;
            while !until.load(Ordering::Relaxed) {
                sequence += 1;
                let bundle = Bundle::builder(&provider, domain.clone()).with_sequence(sequence);
                let bundle = bundle.build().expect("an empty bundle");
                shared.install(bundle).expect("the numbers grow");
            }
        }));
        Self { stop, threads }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("no reader fails");
        }
    }
}
