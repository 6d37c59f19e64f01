//! Measures a case: everything that is compared takes turns in short batches, within one process.
//!
//! The speed of a shared machine drifts by a third within minutes. Batches of a fraction of a millisecond that alternate
//! see the same machine, so the median of their pairwise ratios and differences holds where a comparison of two totals
//! would not.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::bar::Bar;

/// One way to do a piece of work, as often as is asked for.
pub struct Work(Box<dyn FnMut(u32)>);

impl Work {
    /// Work that is done by one `call`. Its result is made to be used, and its disposal is part of the work.
    pub fn new<T>(mut call: impl FnMut() -> T + 'static) -> Self {
        Self(Box::new(move |count| {
            for _ in 0..count {
                black_box(call());
            }
        }))
    }

    /// Does it once.
    pub fn once(&mut self) {
        (self.0)(1);
    }

    fn time(&mut self, count: u32) -> Duration {
        // The others have had the caches since the last turn.
        self.once();
        let started = Instant::now();
        (self.0)(count);
        started.elapsed()
    }

    /// Nanoseconds a call, of the mean over one batch.
    #[expect(clippy::cast_precision_loss, reason = "a batch is short")]
    fn sample(&mut self, count: u32) -> f64 {
        self.time(count).as_nanos() as f64 / f64::from(count)
    }

    /// How many calls make a batch of about this length.
    fn calibrate(&mut self, batch: Duration) -> u32 {
        let mut count = 1_u32;
        while count < 1 << 20 && self.time(count) < batch {
            count *= 2;
        }
        // The last step may have doubled past it.
        let taken = self.time(count);
        if taken > batch {
            let share = batch.as_secs_f64() / taken.as_secs_f64();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "below the count"
            )]
            let fitting = (f64::from(count) * share) as u32;
            fitting.max(1)
        } else {
            count
        }
    }
}

/// A named way to do the work.
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub work: Work,
}

/// Another library's way to do the work.
pub struct Peer {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub work: Work,
    /// The bare primitive below it, where that is another one than below ours.
    pub floor: Option<Work>,
}

/// One piece of work, and everybody's way to do it.
pub struct Case {
    /// Topic, what is done, and with which provider.
    pub name: String,
    /// How these crates do it.
    pub ours: Work,
    /// The bare primitive: what nobody can do without.
    pub floor: Option<Contender>,
    /// Copies what ours gives its caller to own, which is not counted as allocated beyond the floor.
    pub owned: Option<Work>,
    /// How others do it.
    pub peers: Vec<Peer>,
    /// What has to hold.
    pub bars: Vec<Bar>,
}

impl Case {
    /// A case without floor, peers and bars.
    #[must_use]
    pub fn new(name: impl Into<String>, ours: Work) -> Self {
        Self {
            name: name.into(),
            ours,
            floor: None,
            owned: None,
            peers: Vec::new(),
            bars: Vec::new(),
        }
    }

    /// Sets the floor.
    #[must_use]
    pub fn floor(mut self, name: &'static str, work: Work) -> Self {
        self.floor = Some(Contender { name, work });
        self
    }

    /// Sets how to copy what the caller asks for.
    #[must_use]
    pub fn owned(mut self, copy: Work) -> Self {
        self.owned = Some(copy);
        self
    }

    /// Adds a peer.
    #[must_use]
    pub fn peer(mut self, name: &'static str, work: Work) -> Self {
        self.peers.push(Peer {
            name,
            work,
            floor: None,
        });
        self
    }

    /// Adds a peer on another primitive than ours.
    #[must_use]
    pub fn peer_over(mut self, name: &'static str, work: Work, floor: Work) -> Self {
        self.peers.push(Peer {
            name,
            work,
            floor: Some(floor),
        });
        self
    }

    /// Adds a bar.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The length of one batch.
    pub batch: Duration,
    /// The time for one case.
    pub total: Duration,
    /// The fewest rounds, however long they take.
    pub rounds: usize,
}

impl Effort {
    /// Just proves that the work can be done.
    pub const SMOKE: Self = Self {
        batch: Duration::ZERO,
        total: Duration::ZERO,
        rounds: 1,
    };

    /// Measures each case for this long.
    #[must_use]
    pub const fn lasting(total: Duration) -> Self {
        Self {
            batch: Duration::from_micros(120),
            total,
            rounds: 25,
        }
    }
}

/// What one contender took in each round, in nanoseconds a call.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// The median.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(self.0.clone())
    }

    /// The median of how many times as long as the other it took.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    /// The median of how much longer than the other it took.
    #[must_use]
    pub fn minus(&self, other: &Self) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(a, b)| a - b).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or(f64::NAN);
    match values.len() % 2 {
        0 => {
            let lower = middle.checked_sub(1).and_then(|i| values.get(i)).copied();
            f64::midpoint(lower.unwrap_or(f64::NAN), upper)
        }
        _ => upper,
    }
}

/// What was measured of a case.
#[derive(Debug, Default)]
pub struct Times {
    /// These crates.
    pub ours: Samples,
    /// The bare primitive.
    pub floor: Option<Samples>,
    /// The peers, in the case's order, each with its own floor if it has one.
    pub peers: Vec<(&'static str, Samples, Option<Samples>)>,
}

/// Measures the time of a case.
#[must_use]
pub fn time(case: &mut Case, effort: Effort) -> Times {
    let mut turns: Vec<Turn<'_>> = vec![Turn::new(&mut case.ours)];
    let mut places = Vec::new();
    let floor_place = case.floor.as_mut().map(|floor| {
        turns.push(Turn::new(&mut floor.work));
        turns.len() - 1
    });
    for peer in &mut case.peers {
        turns.push(Turn::new(&mut peer.work));
        let place = turns.len() - 1;
        let floor = peer.floor.as_mut().map(|floor| {
            turns.push(Turn::new(floor));
            turns.len() - 1
        });
        places.push((peer.name, place, floor));
    }

    for turn in &mut turns {
        turn.count = turn.work.calibrate(effort.batch);
    }
    let started = Instant::now();
    let mut round = 0_usize;
    while round < effort.rounds || started.elapsed() < effort.total {
        // There and back again, so that nobody always follows the same one.
        if round % 2 == 0 {
            turns.iter_mut().for_each(Turn::take);
        } else {
            turns.iter_mut().rev().for_each(Turn::take);
        }
        round += 1;
    }

    let mut samples: Vec<Samples> = turns.into_iter().map(|turn| turn.samples).collect();
    let mut of = |place: usize| {
        samples
            .get_mut(place)
            .map(std::mem::take)
            .unwrap_or_default()
    };
    Times {
        ours: of(0),
        floor: floor_place.map(&mut of),
        peers: places
            .into_iter()
            .map(|(name, place, floor)| (name, of(place), floor.map(&mut of)))
            .collect(),
    }
}

/// One contender's place in the round.
struct Turn<'w> {
    work: &'w mut Work,
    count: u32,
    samples: Samples,
}

impl<'w> Turn<'w> {
    fn new(work: &'w mut Work) -> Self {
        Self {
            work,
            count: 1,
            samples: Samples::default(),
        }
    }

    fn take(&mut self) {
        let sample = self.work.sample(self.count);
        self.samples.0.push(sample);
    }
}

/// Allocations and allocated bytes of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How many times memory was asked for; growing a block counts, too.
    pub count: u64,
    /// How many bytes in total.
    pub bytes: u64,
}

/// Counts what `call` allocates on this thread.
pub type Counter = fn(call: &mut dyn FnMut()) -> Allocated;

/// Counts what ours allocates in one call, and what nobody can do without: the floor and a copy of what the caller owns
/// then. It is the second call, since a first one may set things up for all others.
#[must_use]
pub fn count(case: &mut Case, counter: Counter) -> (Allocated, Allocated) {
    let of = |work: &mut Work| {
        work.once();
        counter(&mut || work.once())
    };
    let floor = case.floor.as_mut().map(|floor| &mut floor.work);
    let needed =
        floor
            .into_iter()
            .chain(&mut case.owned)
            .map(of)
            .fold(Allocated::default(), |sum, one| Allocated {
                count: sum.count + one.count,
                bytes: sum.bytes + one.bytes,
            });
    (of(&mut case.ours), needed)
}

#[cfg(test)]
mod tests {
    use super::{Case, Effort, Samples, Work, time};
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn medians_of_pairs_withstand_drift() {
        let slow_then_fast = Samples(vec![20.0, 22.0, 10.0, 11.0, 5.0]);
        let twice_that = Samples(vec![40.0, 44.0, 20.0, 22.0, 10.0]);
        assert!((slow_then_fast.median() - 11.0).abs() < 1e-9);
        assert!((slow_then_fast.ratio_to(&twice_that) - 0.5).abs() < 1e-9);
        assert!((twice_that.minus(&slow_then_fast) - 11.0).abs() < 1e-9);
        assert!((Samples(vec![1.0, 4.0]).median() - 2.5).abs() < 1e-9);
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn everybody_has_a_turn_in_every_round() {
        let calls = Rc::new(Cell::new(0));
        let work = || {
            let calls = calls.clone();
            Work::new(move || calls.set(calls.get() + 1))
        };
        let mut case = Case::new("case", work())
            .floor("floor", work())
            .peer("one", work())
            .peer_over("two", work(), work());
        let times = time(&mut case, Effort::SMOKE);
        assert_eq!(times.ours.0.len(), 1);
        assert_eq!(times.floor.map(|floor| floor.0.len()), Some(1));
        let peers: Vec<_> = times
            .peers
            .iter()
            .map(|peer| (peer.0, peer.2.is_some()))
            .collect();
        assert_eq!(peers, [("one", false), ("two", true)]);
        assert!(calls.get() >= 10);
    }
}
