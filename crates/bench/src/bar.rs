//! What a measurement has to meet.

use serde::{Deserialize, Serialize};

use crate::harness::{Allocated, Samples, Times};

/// A limit on one case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Ours, as a share of a peer's time.
    Ratio {
        /// The peer.
        peer: &'static str,
        /// The limit.
        at_most: f64,
    },
    /// What ours adds to its floor, as a share of what a peer adds to its own.
    ShareOfOverhead {
        /// The peer.
        peer: &'static str,
        /// The limit.
        at_most: f64,
    },
    /// What ours adds to its floor, in nanoseconds of a machine on which [`YARDSTICK`] adds [`YARDSTICK_NS`].
    OverFloor {
        /// The limit.
        at_most: f64,
    },
    /// How much longer than a peer ours takes, in the same nanoseconds.
    OverPeer {
        /// The peer.
        peer: &'static str,
        /// The limit.
        at_most: f64,
    },
    /// Allocations of one call, without those of the floor and of a copy of what the caller asks for.
    Allocations {
        /// The limit.
        at_most: u64,
    },
}

/// What tells how fast the machine is at this moment: `jsonwebtoken` on AWS-LC verifying the ES256 token of the other
/// cases, in the same rounds as the case. A limit in nanoseconds means nothing without it.
pub const YARDSTICK: &str = "yardstick: jsonwebtoken-aws-lc verifies";

/// What [`YARDSTICK`] adds to the bare verification on the machine that the limits were set for.
pub const YARDSTICK_NS: f64 = 3300.0;

/// How many nanoseconds of that machine one nanosecond of this run is, and how to say so.
fn scale(times: &Times) -> (f64, String) {
    let yardstick = times.peers.iter().find(|peer| peer.0 == YARDSTICK);
    let adds = yardstick.and_then(|(_, whole, floor)| Some(whole.minus(floor.as_ref()?)));
    match adds {
        Some(adds) if adds > 0.0 => (
            YARDSTICK_NS / adds,
            format!("ns where jsonwebtoken adds {YARDSTICK_NS}"),
        ),
        _ => (1.0, "ns".to_owned()),
    }
}

/// A bar and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The bar in words.
    pub bar: String,
    /// The limit.
    pub at_most: f64,
    /// What was measured.
    pub measured: f64,
    /// Whether the limit is kept.
    pub met: bool,
}

impl Bar {
    /// What the times say; nothing if this bar is of another kind.
    #[must_use]
    pub fn judge_times(&self, times: &Times) -> Option<Verdict> {
        let peer = |name: &str| times.peers.iter().find(|peer| peer.0 == name);
        let (bar, measured, at_most) = match self {
            Self::Ratio {
                peer: name,
                at_most,
            } => {
                let ratio = times.ours.ratio_to(&peer(name)?.1);
                (format!("share of {name}"), ratio, *at_most)
            }
            Self::ShareOfOverhead {
                peer: name,
                at_most,
            } => {
                let (_, samples, own_floor) = peer(name)?;
                let floor = times.floor.as_ref()?;
                let theirs = samples.minus(own_floor.as_ref().unwrap_or(floor));
                let share = times.ours.minus(floor) / theirs;
                (format!("over the floor, share of {name}"), share, *at_most)
            }
            Self::OverFloor { at_most } => {
                let (scale, unit) = scale(times);
                let over = times.ours.minus(times.floor.as_ref()?) * scale;
                (format!("over the floor, {unit}"), over, *at_most)
            }
            Self::OverPeer {
                peer: name,
                at_most,
            } => {
                let (scale, unit) = scale(times);
                let over = times.ours.minus(&peer(name)?.1) * scale;
                (format!("over {name}, {unit}"), over, *at_most)
            }
            Self::Allocations { .. } => return None,
        };
        Some(Verdict::new(bar, measured, at_most))
    }

    /// What the allocations say; nothing if this bar is of another kind.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "nobody allocates that often")]
    pub fn judge_allocations(&self, ours: Allocated, floor: Allocated) -> Option<Verdict> {
        let Self::Allocations { at_most } = self else {
            return None;
        };
        let measured = ours.count.saturating_sub(floor.count);
        Some(Verdict::new(
            "allocations".to_owned(),
            measured as f64,
            *at_most as f64,
        ))
    }
}

impl Verdict {
    fn new(bar: String, measured: f64, at_most: f64) -> Self {
        Self {
            bar,
            at_most,
            measured,
            met: measured <= at_most,
        }
    }
}

/// The difference of two medians of pairs: what something adds.
#[must_use]
pub fn over(upper: &Samples, lower: Option<&Samples>) -> Option<f64> {
    lower.map(|lower| upper.minus(lower))
}
