//! Times every case; `jsonwebtoken` stands on AWS-LC.

use bench::cases::Peers;

fn main() -> anyhow::Result<()> {
    bench::run::print_times(Peers::AwsLc)
}
