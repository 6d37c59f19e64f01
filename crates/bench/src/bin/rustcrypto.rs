//! Times the cases of `jsonwebtoken` again; it stands on RustCrypto.

use bench::cases::Peers;

fn main() -> anyhow::Result<()> {
    bench::run::print_times(Peers::RustCrypto)
}
