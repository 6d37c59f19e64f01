//! The client of the MCP SDK, whose identifier is the URL of its document, at our authorization server.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::net::Tls;
use super::server::{KEYED, Server, USER};
use crate::interop::peers::Peer;
use crate::interop::report::{Direction, Report, Tally};
use crate::interop::tokens::{answers, text};

const REDIRECT: &str = "http://127.0.0.1:49152/callback";

pub(super) fn run(peer: &Peer, server: &Server, tls: &Tls, report: &mut Report) -> Result<()> {
    // The first two are good.
    let jobs = [
        json!({"name": "client"}),
        // A native client takes whatever port is free.
        json!({"name": "port", "uri": "http://127.0.0.1:50000/callback"}),
        json!({"name": "foreign", "change": {"client_id": "https://localhost/client.json"}}),
        json!({"name": "secret", "change": {"client_secret": "secret"}}),
        json!({"name": "method", "change": {"token_endpoint_auth_method": "client_secret_post"}}),
        json!({"name": "redirects", "status": 302, "headers": {"location": "/client.json"}}),
        json!({"name": "missing", "status": 404}),
        json!({"name": "html", "headers": {"content-type": "text/html"}}),
        json!({"name": "large", "fill": 5120}),
        json!({"name": "elsewhere", "uri": "http://127.0.0.1:49152/other"}),
    ];
    let pem = server.keyed.expose_pkcs8_pem()?;
    let request = json!({
        "server": server.resource(), "redirect": REDIRECT, "jobs": jobs,
        "certificate": tls.certificate, "key": tls.key, "keyed": {"client_id": KEYED, "pem": *pem},
    });
    let mut command = peer.command("clients");
    command.env("NODE_EXTRA_CA_CERTS", &tls.ca);
    let answer = peer.ask(&mut command, &request)?;
    let list = answers(&answer, "answers", jobs.len())?;
    let metadata = "OAuth client id metadata document";
    report.exchange(metadata, peer.name, Direction::Theirs, |tally| {
        for (index, (job, answer)) in jobs.iter().zip(list).enumerate() {
            judge(text(job, "name")?, index < 2, answer, server, tally)?;
        }
        Ok(())
    });
    let subject = "OAuth private_key_jwt";
    report.exchange(subject, peer.name, Direction::Theirs, |tally| {
        let tokens = answer.get("keyed").context("no tokens")?;
        let claims = server.read(text(tokens, "access_token")?, &server.issuer)?;
        let sub = claims.get("sub").context("no sub")?;
        tally.accepts("an assertion", Ok::<_, String>(sub.clone()), &KEYED.into())
    });
    Ok(())
}

fn judge(name: &str, good: bool, answer: &Value, server: &Server, tally: &mut Tally) -> Result<()> {
    let why = answer.get("refused").and_then(Value::as_str);
    if !good {
        let why = why.map_or(Ok(()), Err);
        tally.refuses(name, &why)?;
        // Ours said no, and nothing else went wrong.
        return match why {
            Err(why) if why.starts_with("400: ") && why.contains("invalid_") => Ok(()),
            _ => bail!("{name}: {answer}"),
        };
    }
    let claims = server.read(text(answer, "token")?, &server.resource())?;
    let of = |name: &str| claims.get(name).cloned().unwrap_or_default();
    let heard = json!([
        answer.get("client_id"),
        of("client_id"),
        of("sub"),
        answer.get("result")
    ]);
    let url = answer.get("expected").context("no identifier")?;
    let expected = json!([url, url, USER, "AUTHORIZED"]);
    tally.accepts(name, Ok::<_, String>(heard), &expected)
}
