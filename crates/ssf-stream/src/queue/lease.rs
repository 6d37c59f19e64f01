//! What is handed out next: the same for every queue.

use std::collections::HashMap;

use crate::queue::{BatchLimit, Consumer, DELIVERIES, Gate, Sequence};

/// Whether a SET was handed out, and when it may be again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lease {
    pub(super) visible_at: u64,
    pub(super) deliveries: u32,
    /// Zero for consumers without a claim.
    fence: u64,
    put_off: bool,
}

impl Lease {
    fn hidden(&self, consumer: Consumer, now: u64) -> bool {
        self.visible_at > now
            && match consumer {
                Consumer::Shared | Consumer::InOrder => true,
                // What an earlier claim left behind is this one's to send.
                Consumer::Exclusive(fence) => self.put_off || self.fence == fence.0,
            }
    }
}

/// The leases of one stream. Lost in a crash, which makes every SET visible again.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<u64, Lease>);

/// A SET as far as it matters here.
pub(super) struct Waiting {
    pub(super) sequence: Sequence,
    pub(super) control: bool,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Selection {
    /// What goes out.
    pub(super) take: Vec<Sequence>,
    /// What was delivered too often.
    pub(super) worn: Vec<Sequence>,
    pub(super) more: bool,
    pub(super) not_before: Option<u64>,
    pub(super) deliveries: u32,
}

impl Leases {
    /// Chooses among what waits, oldest first, and hides what is chosen.
    pub(super) fn select(
        &mut self,
        waiting: impl Iterator<Item = Waiting>,
        consumer: Consumer,
        gate: Gate,
        limit: BatchLimit,
        (now, visibility): (u64, u64),
    ) -> Selection {
        let mut selection = Selection::default();
        let mut bytes = 0_usize;
        for set in waiting.filter(|set| gate.lets(set.sequence, set.control)) {
            let lease = self.0.get(&set.sequence.0).copied().unwrap_or_default();
            if lease.hidden(consumer, now) {
                if consumer == Consumer::Shared {
                    continue;
                }
                if selection.take.is_empty() {
                    selection.not_before = Some(lease.visible_at);
                }
                break;
            }
            let claimed = matches!(consumer, Consumer::Exclusive(_));
            if !claimed && lease.deliveries >= DELIVERIES {
                selection.worn.push(set.sequence);
                continue;
            }
            bytes = bytes.saturating_add(set.bytes);
            let first = selection.take.is_empty();
            if selection.take.len() >= limit.sets || (!first && bytes > limit.bytes) {
                selection.more = true;
                break;
            }
            let deliveries = lease.deliveries.saturating_add(1);
            if first {
                selection.deliveries = deliveries;
            }
            selection.take.push(set.sequence);
            self.0.insert(
                set.sequence.0,
                Lease {
                    visible_at: now.saturating_add(visibility),
                    deliveries,
                    fence: match consumer {
                        Consumer::Shared | Consumer::InOrder => 0,
                        Consumer::Exclusive(fence) => fence.0,
                    },
                    put_off: false,
                },
            );
        }
        for worn in &selection.worn {
            self.0.remove(&worn.0);
        }
        selection
    }

    pub(super) fn put_off(&mut self, sequence: Sequence, at: u64) {
        let lease = self.0.entry(sequence.0).or_default();
        lease.visible_at = at;
        lease.put_off = true;
    }

    pub(super) fn forget(&mut self, sequence: Sequence) {
        self.0.remove(&sequence.0);
    }
}

/// Who may consume a stream.
#[derive(Debug, Default)]
pub(super) struct Claim {
    pub(super) fence: u64,
    pub(super) until: u64,
}

impl Claim {
    pub(super) fn check(&self, consumer: Consumer) -> bool {
        match consumer {
            Consumer::Shared | Consumer::InOrder => true,
            Consumer::Exclusive(fence) => fence.0 == self.fence,
        }
    }
}

/// Where sequences begin: in the middle, so that there is room before the first.
pub(super) const FIRST: u64 = 1 << 62;
