//! Libraries for clients at our token endpoint: they authenticate and exchange, and read what we answer.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use token_exchange::{GRANT_TYPE, TokenType};

use super::net::Tls;
use super::server::{AGENT, IDLE, KEYED, MAIL, Server, USER};
use crate::interop::peers::Peer;
use crate::interop::report::{Direction, Report, Tally};
use crate::interop::tokens::{answers, flip};

const CREDENTIALS: &str = "client_credentials";
const CLIENT: &str = "client authentication failed";
const SUBJECT: &str = "subject_token is not acceptable for this client";
const REQUEST: &str = "the request is not acceptable";

/// One request and what has to come of it.
struct Job {
    name: &'static str,
    client_id: &'static str,
    auth: Value,
    grant_type: &'static str,
    parameters: Vec<(&'static str, String)>,
    expected: Expected,
}

enum Expected {
    /// A token of an exchange.
    Exchanged,
    /// A token for the client itself.
    Token,
    /// `error`, its description and the status.
    Error(&'static str, &'static str, u16),
    /// A scheme in `WWW-Authenticate`, beside `invalid_client`.
    Challenge(&'static str),
}

pub(super) fn run(peer: &Peer, server: &Server, tls: &Tls, report: &mut Report) -> Result<()> {
    let mut jobs = jobs(server)?;
    if ["authlib", "requests-oauthlib"].contains(&peer.name) {
        // Their parameters are a dictionary, so nothing can stand there twice.
        jobs.retain(|job| job.name != REPEATED);
    }
    let requests: Vec<Value> = jobs.iter().map(Job::to_value).collect();
    let request = json!({
        "issuer": server.issuer, "token_endpoint": format!("{}/token", server.issuer), "ca": tls.ca, "jobs": requests,
    });
    let mut command = peer.command(peer.name);
    command.env("NODE_EXTRA_CA_CERTS", &tls.ca);
    let answer = peer.ask(&mut command, &request)?;
    let list = answers(&answer, "answers", jobs.len())?;
    // Those in JavaScript read metadata, and challenges before the body; those in Python read the body alone.
    let metadata = answer.get("metadata");
    for (subject, exchange) in [
        ("OAuth token exchange", true),
        ("OAuth private_key_jwt", false),
    ] {
        let group = || {
            let all = jobs.iter().zip(list);
            all.filter(|(job, _)| (job.grant_type != CREDENTIALS) == exchange)
        };
        let lacks = |(_, answer): (&Job, &Value)| {
            let why = answer.get("unsupported").and_then(Value::as_str);
            why.map(str::to_owned)
        };
        if let Some(why) = group().find_map(lacks) {
            report.not_there(subject, peer.name, &why);
            continue;
        }
        report.exchange(subject, peer.name, Direction::Theirs, |tally| {
            if exchange {
                if let Some(metadata) = metadata {
                    tally.accepts("metadata", methods(metadata), &true)?;
                }
            }
            group()
                .try_for_each(|(job, answer)| job.judge(answer, server, metadata.is_some(), tally))
        });
    }
    Ok(())
}

/// Whether their reading of our metadata has the methods that we advertise.
fn methods(metadata: &Value) -> Result<bool> {
    let methods = metadata
        .get("token_endpoint_auth_methods_supported")
        .and_then(Value::as_array)
        .context("no methods in the metadata")?;
    let has = |name: &str| methods.iter().any(|method| method == name);
    Ok(has("spiffe_jwt") && has("private_key_jwt"))
}

const REPEATED: &str = "a subject token twice";

fn jobs(server: &Server) -> Result<Vec<Job>> {
    let svid = |id: &str| -> Result<Value> {
        let assertion = server.svid(id, &server.issuer)?;
        Ok(json!({"kind": "jwt_svid", "assertion": assertion}))
    };
    let token = server.subject_token()?;
    let access = TokenType::AccessToken.as_str();
    let good = [
        ("subject_token", token.as_str()),
        ("subject_token_type", access),
        ("resource", MAIL),
        ("scope", "mail.read"),
    ];
    // The good request with some parameters changed, or left out.
    let with = |changes: &[(&'static str, &str)]| {
        let changed = |name: &str| changes.iter().find(|(other, _)| *other == name);
        let kept = good.iter().map(|pair| changed(pair.0).unwrap_or(pair));
        let added = changes
            .iter()
            .filter(|(name, _)| !good.iter().any(|(other, _)| other == name));
        let all = kept.chain(added).filter(|(_, value)| !value.is_empty());
        all.map(|(name, value)| (*name, (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    let agent = svid(AGENT)?;
    let job = |name, auth: &Value, parameters, expected| Job {
        name,
        client_id: "agents",
        auth: auth.clone(),
        grant_type: GRANT_TYPE,
        parameters,
        expected,
    };
    let error = |name, changes: &[(&'static str, &str)], expected: (&'static str, &'static str)| {
        let expected = Expected::Error(expected.0, expected.1, 400);
        job(name, &agent, with(changes), expected)
    };
    let refused = |name, auth: &Value| {
        job(
            name,
            auth,
            with(&[]),
            Expected::Error("invalid_client", CLIENT, 401),
        )
    };
    let elsewhere = server.svid(AGENT, "https://other.example")?;
    let mut twice = with(&[]);
    twice.push(("subject_token", token.clone()));
    let invalid = "invalid_request";
    let mut jobs = vec![
        job("exchange", &agent, with(&[]), Expected::Exchanged),
        // The same SVID and the same subject token: both are for more than one use.
        job(
            "again",
            &agent,
            with(&[("requested_token_type", access)]),
            Expected::Exchanged,
        ),
        job(
            "by audience",
            &agent,
            with(&[("resource", ""), ("audience", MAIL)]),
            Expected::Exchanged,
        ),
        refused("nobody", &json!({"kind": "none"})),
        refused(
            "an SVID for another server",
            &json!({"kind": "jwt_svid", "assertion": elsewhere}),
        ),
        refused(
            "a changed SVID",
            &json!({
                "kind": "jwt_svid", "assertion": flip(&server.svid(AGENT, &server.issuer)?, 2)?,
            }),
        ),
        refused(
            "a workload without client",
            &svid("spiffe://workloads.example/stranger")?,
        ),
        job(
            "a secret",
            &json!({"kind": "secret"}),
            with(&[]),
            Expected::Challenge("basic"),
        ),
        error(
            "another target",
            &[("resource", "https://files.example/")],
            ("invalid_target", "the target is not acceptable"),
        ),
        error(
            "a target with a fragment",
            &[("resource", "https://mail.example/#a")],
            ("invalid_target", "the target is not acceptable"),
        ),
        error(
            "another token type",
            &[("subject_token_type", TokenType::Saml2.as_str())],
            (invalid, REQUEST),
        ),
        error(
            "a wish for another type",
            &[("requested_token_type", TokenType::RefreshToken.as_str())],
            (invalid, REQUEST),
        ),
        error(
            "a changed subject token",
            &[("subject_token", &flip(&token, 2)?)],
            (invalid, SUBJECT),
        ),
        error(
            "no subject token",
            &[("subject_token", "")],
            (invalid, "a required parameter is missing"),
        ),
        error(
            "a scope too many",
            &[("scope", "mail.delete")],
            ("invalid_scope", REQUEST),
        ),
        job(
            REPEATED,
            &agent,
            twice,
            Expected::Error(invalid, "a parameter occurs more than once", 400),
        ),
    ];
    jobs.push(Job {
        grant_type: "urn:example:grant",
        ..error("another grant", &[], ("unsupported_grant_type", REQUEST))
    });
    let mut idle = job(
        "a client without permission",
        &svid(IDLE)?,
        with(&[]),
        Expected::Error("unauthorized_client", REQUEST, 400),
    );
    idle.client_id = "idle";
    jobs.push(idle);
    let keyed = |name, pem: &str, expected| Job {
        client_id: KEYED,
        auth: json!({"kind": "private_key_jwt", "pem": pem, "kid": jose_x509::Signer::kid(&server.keyed)}),
        grant_type: CREDENTIALS,
        ..job(name, &agent, Vec::new(), expected)
    };
    let stranger = jose_x509::SigningKey::generate(
        &crate::interop::svid::PROVIDER,
        jose_x509::Algorithm::Es256,
    )?;
    jobs.push(keyed(
        "an assertion",
        &server.keyed.expose_pkcs8_pem()?,
        Expected::Token,
    ));
    jobs.push(keyed(
        "an assertion by another key",
        &stranger.expose_pkcs8_pem()?,
        Expected::Error("invalid_client", CLIENT, 401),
    ));
    Ok(jobs)
}

impl Job {
    fn to_value(&self) -> Value {
        json!({
            "client_id": self.client_id, "auth": self.auth, "grant_type": self.grant_type, "parameters": self.parameters,
        })
    }

    fn judge(
        &self,
        answer: &Value,
        server: &Server,
        reads_challenges: bool,
        tally: &mut Tally,
    ) -> Result<()> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        if let Some(why) = text("refused") {
            bail!("{}: {why}", self.name);
        }
        let token = answer.get("token");
        let heard = token.ok_or_else(|| answer.to_string());
        match self.expected {
            Expected::Exchanged => {
                let claims = heard
                    .map_err(anyhow::Error::msg)
                    .and_then(|token| exchanged(token, server));
                tally.accepts(
                    self.name,
                    claims,
                    &json!([USER, AGENT, "agents", "mail.read"]),
                )
            }
            Expected::Token => {
                let claims = heard
                    .map_err(anyhow::Error::msg)
                    .and_then(|token| claims(token, server, &server.issuer));
                tally.accepts(
                    self.name,
                    claims.map(|claims| claims.get("sub") == Some(&KEYED.into())),
                    &true,
                )
            }
            Expected::Error(error, description, status) => {
                tally.refuses(self.name, &heard)?;
                let status = answer.get("status").is_none_or(|read| *read == status);
                if text("error") != Some(error)
                    || text("description") != Some(description)
                    || !status
                {
                    bail!("{}: read as {answer}", self.name);
                }
                Ok(())
            }
            Expected::Challenge(scheme) => {
                tally.refuses(self.name, &heard)?;
                let read = if reads_challenges {
                    text("challenge") == Some(scheme)
                } else {
                    text("error") == Some("invalid_client")
                };
                if !read {
                    bail!("{}: read as {answer}", self.name);
                }
                Ok(())
            }
        }
    }
}

/// Subject, actor, client and scope of what was issued, which has to be whole.
fn exchanged(token: &Value, server: &Server) -> Result<Value> {
    let whole = token.get("issued_token_type") == Some(&TokenType::AccessToken.as_str().into())
        && token.get("expires_in") == Some(&300.into())
        && token
            .get("scope")
            .is_some_and(|scope| *scope == "mail.read" || *scope == json!(["mail.read"]))
        && token
            .get("token_type")
            .and_then(Value::as_str)
            .is_some_and(|text| text.eq_ignore_ascii_case("bearer"));
    if !whole {
        bail!("the response is read as {token}");
    }
    let claims = claims(token, server, MAIL)?;
    let of = |name: &str| claims.get(name).cloned().unwrap_or_default();
    let actor = of("act").get("sub").cloned().unwrap_or_default();
    Ok(json!([of("sub"), actor, of("client_id"), of("scope")]))
}

fn claims(token: &Value, server: &Server, audience: &str) -> Result<Map<String, Value>> {
    let token = token.get("access_token").and_then(Value::as_str);
    server.read(token.context("no access token")?, audience)
}
