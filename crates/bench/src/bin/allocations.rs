//! Counts the allocations of every case. The allocator that counts is slower, so nothing is timed here.

use bench::harness::Allocated;

fn main() -> anyhow::Result<()> {
    bench::run::print_allocations(|call| {
        let info = allocation_counter::measure(call);
        Allocated {
            count: info.count_total,
            bytes: info.bytes_total,
        }
    })
}
