//! Connecting to addresses that were checked.

use core::net::SocketAddr;
use core::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long an address has before the next one is tried beside it: what RFC 8305 section 5 recommends.
pub const HEAD_START: Duration = Duration::from_millis(250);
/// How many addresses of a host are tried.
pub const MAX_ADDRESSES: usize = 16;

/// Connects to the first of these addresses that answers, tried in their order: the next one when one fails, or has not
/// answered for [`HEAD_START`]. So an address that is silent does not keep a host with others out of reach.
///
/// Nothing when none of the first [`MAX_ADDRESSES`] can be connected to. How long a silent one is waited for is for the
/// caller to limit. What is written is sent at once (`TCP_NODELAY`).
pub async fn connect_any(addresses: &[SocketAddr]) -> Option<TcpStream> {
    let mut addresses = addresses.iter().copied().take(MAX_ADDRESSES);
    let mut attempts = JoinSet::new();
    loop {
        match addresses.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
            }
            None if attempts.is_empty() => return None,
            None => {}
        }
        tokio::select! {
            Some(attempt) = attempts.join_next() => {
                if let Ok(Ok(stream)) = attempt {
                    // Small requests: waiting to fill a segment only adds delay.
                    let _ = stream.set_nodelay(true);
                    return Some(stream);
                }
            }
            () = sleep(HEAD_START) => {}
        }
    }
}
