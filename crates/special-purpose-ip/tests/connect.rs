//! Hosts of which not every address answers.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::time::Duration;

use special_purpose_ip::connect_any;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address at which nobody listens any more.
async fn closed() -> SocketAddr {
    listener().await.1
}

#[tokio::test]
async fn an_address_that_refuses_or_is_silent_does_not_hide_the_next_one() {
    let (_good, good) = listener().await;
    // A queue of connections that nobody takes: when it is full, the next one gets no answer.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let silent = socket.listen(1).unwrap();
    let silent_address = silent.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(taken) = timeout(
        Duration::from_millis(200),
        TcpStream::connect(silent_address),
    )
    .await
    {
        queue.push(taken.unwrap());
    }
    for first in [closed().await, silent_address] {
        let stream = timeout(Duration::from_secs(10), connect_any(&[first, good])).await;
        assert_eq!(stream.unwrap().unwrap().peer_addr().unwrap(), good);
    }
}

#[tokio::test]
async fn where_nobody_answers_there_is_no_connection() {
    assert!(connect_any(&[]).await.is_none());
    assert!(
        connect_any(&[closed().await, closed().await])
            .await
            .is_none()
    );
}
