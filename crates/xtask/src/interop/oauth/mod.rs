//! OAuth over TLS on loopback: clients of other projects at our authorization server, and our clients at `oidc-provider`.

mod clients;
mod mcp;
mod net;
mod provider;
mod server;

use std::fs;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::Context;
use super::peers::{MCP_SDK, OIDC_PROVIDER};
use super::report::{Direction, Report};
use net::{HOST_NAME, Tls};
use server::Server;

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    if context.oauth.is_empty() {
        return Ok(());
    }
    let folder = context.work.join("oauth");
    fs::create_dir_all(&folder)?;
    let tls = Tls::new(&folder)?;
    let runtime = Runtime::new()?;
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
    let issuer = format!("https://{HOST_NAME}:{}", listener.local_addr()?.port());
    let server = Arc::new(Server::new(issuer, &tls)?);
    let shared = Arc::clone(&server);
    let answer = move |request| Server::answer(Arc::clone(&shared), request);
    runtime.spawn(tls.clone().serve(listener, answer));
    for peer in &context.oauth {
        let done = match peer.name {
            MCP_SDK => mcp::run(peer, &server, &tls, report),
            OIDC_PROVIDER => provider::run(peer, &tls, &runtime, report),
            _ => clients::run(peer, &server, &tls, report),
        };
        if let Err(error) = done {
            report.exchange("OAuth", peer.name, Direction::Theirs, |_| Err(error));
        }
    }
    Ok(())
}
