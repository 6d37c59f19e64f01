//! Mutual TLS over loopback: our server with clients of OpenSSL and of Python's `ssl`, our client with their servers.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use jose_x509::{Algorithm, SigningKey};
use pki_types::ServerName;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConnection, ServerConnection, Stream};
use serde_json::{Value, json};
use spiffe_bundle::SharedBundleSet;
use spiffe_id::{SpiffeId, TrustDomain};
use svid::x509::{CertificateAuthority, X509Svid};
use svid_rustls::{
    Sessions, SvidResolver, SvidVerifier, TlsClient, TlsOptions, TlsServer, peer_identity,
};

use super::Context;
use super::peers::Running;
use super::report::{Direction, Report, Tally};
use super::svid::{OpensslCa, P256, PROVIDER, certificate_pem, now, x509_bundle};

const OURS: &str = "spiffe://ours.example/us";
const THEIRS: &str = "spiffe://theirs.example/them";
const PATIENCE: Duration = Duration::from_secs(10);
const VERSIONS: [&str; 2] = ["1.3", "1.2"];

/// What a peer shows: the names of its files, and whether it may connect.
const SHOWN: [(&str, bool); 5] = [
    ("good", true),
    // Another workload of the same trust domain.
    ("other", false),
    // The right name, by a root of that name that is not in the bundle.
    ("impostor", false),
    // The certificate of another trust domain's CA for this one.
    ("foreign", false),
    // Not for this role.
    ("purpose", false),
];

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    if !context.openssl {
        return Ok(());
    }
    let scene = Scene::new(context.work.join("tls"))?;
    report.exchange(
        "mutual TLS",
        "openssl s_client",
        Direction::Theirs,
        |tally| scene.openssl_clients(tally),
    );
    report.exchange("mutual TLS", "openssl s_server", Direction::Ours, |tally| {
        scene.openssl_servers(tally)
    });
    if let Some((python, script)) = &context.python_tls {
        let python = |mode: &str| {
            let mut command = Command::new(python);
            command.arg(script).arg(mode);
            command
        };
        report.exchange(
            "mutual TLS",
            "Python ssl, client",
            Direction::Theirs,
            |tally| scene.python_clients(&mut python("connect"), tally),
        );
        report.exchange(
            "mutual TLS",
            "Python ssl, server",
            Direction::Ours,
            |tally| scene.python_servers(&mut python("serve"), tally),
        );
    }
    Ok(())
}

struct Scene {
    folder: PathBuf,
    server: Arc<TlsServer>,
    client: TlsClient,
}

/// What became of one connection to our server.
type Served = Result<SpiffeId, String>;

impl Scene {
    /// Both sides know the roots of both trust domains, and of one more.
    fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let now = now()?;
        let key = || SigningKey::generate(&PROVIDER, Algorithm::Es256);
        let home = TrustDomain::parse("ours.example")?;
        let hour = Duration::from_secs(3600);
        let ca = CertificateAuthority::self_signed(&home, key()?, 24 * hour, now)?;
        let own = key()?;
        let leaf = ca.issue_leaf(&SpiffeId::parse(OURS)?, own.public_key(), &[], hour, now)?;
        let svid = X509Svid::new(vec![leaf], own)?;
        fs::write(folder.join("ours.pem"), certificate_pem(ca.certificate())?)?;

        let both = "serverAuth,clientAuth";
        let theirs = OpensslCa::new(&folder, "theirs.example", P256)?;
        theirs.leaf("good", THEIRS, P256, both)?;
        theirs.leaf("other", "spiffe://theirs.example/other", P256, both)?;
        theirs.leaf("purpose", THEIRS, P256, "codeSigning")?;
        let third = OpensslCa::new(&folder, "third.example", P256)?;
        third.leaf("foreign", THEIRS, P256, both)?;
        let impostors = folder.join("impostors");
        fs::create_dir_all(&impostors)?;
        let impostor = OpensslCa::new(&impostors, "theirs.example", P256)?;
        impostor.leaf("impostor", THEIRS, P256, both)?;
        for kind in ["pem", "key"] {
            let name = format!("impostor.{kind}");
            fs::copy(impostors.join(&name), folder.join(&name))?;
        }

        let bundles = SharedBundleSet::default();
        bundles.install(x509_bundle("theirs.example", &theirs.root()?)?)?;
        bundles.install(x509_bundle("third.example", &third.root()?)?)?;
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let resolver = Arc::new(SvidResolver::new(Arc::clone(&provider), &svid)?);
        let verifier = SvidVerifier::new(&provider, Arc::new(bundles), SpiffeId::parse(THEIRS)?);
        let verifier = Arc::new(verifier);
        let options = TlsOptions::default().with_sessions(Sessions::Cached(16));
        let server = TlsServer::new(
            Arc::clone(&provider),
            Arc::clone(&resolver),
            Arc::clone(&verifier),
            options.clone(),
        )?;
        Ok(Self {
            folder,
            server: Arc::new(server),
            client: TlsClient::new(provider, resolver, verifier, options)?,
        })
    }

    /// Takes so many connections, one after the other, and greets those that pass.
    fn serve(&self, connections: usize) -> Result<(u16, thread::JoinHandle<Result<Vec<Served>>>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let server = Arc::clone(&self.server);
        let served = thread::spawn(move || {
            let mut outcomes = Vec::new();
            for _ in 0..connections {
                let (tcp, _) = listener.accept()?;
                outcomes.push(greet(&server, tcp).map_err(|error| error.to_string()));
            }
            Ok(outcomes)
        });
        Ok((port, served))
    }

    fn openssl_clients(&self, tally: &mut Tally) -> Result<()> {
        // One connection shows nothing.
        let connections = VERSIONS.len() * (SHOWN.len() + 1);
        let (port, served) = self.serve(connections)?;
        let mut heard = Vec::new();
        for version in VERSIONS {
            for shown in SHOWN.map(|(name, _)| Some(name)).into_iter().chain([None]) {
                let mut client = Command::new("openssl");
                client.args(["s_client", "-quiet", "-verify_return_error"]);
                client.args(["-CAfile", "ours.pem", "-connect"]);
                client.arg(format!("127.0.0.1:{port}")).arg(flag(version));
                if let Some(name) = shown {
                    client.args(["-cert", &format!("{name}.pem")]);
                    client.args(["-key", &format!("{name}.key")]);
                }
                client.current_dir(&self.folder).stdin(Stdio::null());
                heard.push(String::from_utf8_lossy(&client.output()?.stdout).into_owned());
            }
        }
        let served = join(served)?;
        let expected = SHOWN.iter().map(|(_, good)| *good).chain([false]);
        for ((good, served), heard) in expected.cycle().zip(served).zip(heard) {
            let greeted = match heard.trim().strip_prefix("hello ") {
                Some(name) => Ok(name.to_owned()),
                None => Err(format!("heard {heard:?}")),
            };
            compare(good, served, greeted, THEIRS, tally)?;
        }
        Ok(())
    }

    fn openssl_servers(&self, tally: &mut Tally) -> Result<()> {
        for version in VERSIONS {
            for (name, good) in SHOWN {
                let mut server = Command::new("openssl");
                server.args([
                    "s_server",
                    "-accept",
                    "127.0.0.1:0",
                    "-naccept",
                    "1",
                    "-rev",
                ]);
                server.args([
                    "-Verify",
                    "2",
                    "-verify_return_error",
                    "-CAfile",
                    "ours.pem",
                ]);
                server.args([
                    "-cert",
                    &format!("{name}.pem"),
                    "-key",
                    &format!("{name}.key"),
                ]);
                server.arg(flag(version)).current_dir(&self.folder);
                let mut server = Running::start(&mut server)?;
                let port = loop {
                    let line = server.line()?;
                    if let Some(port) = line.trim().strip_prefix("ACCEPT 127.0.0.1:") {
                        break port.parse()?;
                    }
                };
                let called = self.call(port, |stream| {
                    stream.write_all(b"olleh\n")?;
                    let mut answer = [0; 6];
                    stream.read_exact(&mut answer)?;
                    Ok(answer == *b"hello\n")
                });
                match called {
                    Ok((peer, echoed)) => {
                        if !good || !echoed {
                            bail!("{name} in TLS {version}: connected to {peer}, echo {echoed}");
                        }
                        tally.accepts(
                            name,
                            Ok::<_, String>(peer.to_string()),
                            &THEIRS.to_owned(),
                        )?;
                    }
                    Err(error) if good => bail!("{name} in TLS {version}: {error:#}"),
                    refused => tally.refuses(name, &refused)?,
                }
            }
        }
        Ok(())
    }

    fn python_clients(&self, python: &mut Command, tally: &mut Tally) -> Result<()> {
        let (port, served) = self.serve(VERSIONS.len() * (SHOWN.len() + 1))?;
        let mut jobs = Vec::new();
        for version in VERSIONS {
            for (name, _) in SHOWN {
                let mut job = self.job(version, Some(name));
                put(&mut job, "port", port.into());
                jobs.push(job);
            }
            let mut job = self.job(version, None);
            put(&mut job, "port", port.into());
            jobs.push(job);
        }
        let mut python = Running::start_with(python, &Value::from(jobs))?;
        let answers: Vec<Value> = serde_json::from_str(&python.line()?)?;
        let expected = SHOWN.iter().map(|(_, good)| *good).chain([false]);
        for ((good, served), answer) in expected.cycle().zip(join(served)?).zip(answers) {
            let greeted = match answer.get("heard").and_then(Value::as_str) {
                Some(heard) => {
                    let uris = answer.get("uris").context("no names");
                    tally.accepts("our name", uris, &&json!([OURS]))?;
                    Ok(heard.trim_start_matches("hello ").to_owned())
                }
                None => Err(answer.to_string()),
            };
            compare(good, served, greeted, THEIRS, tally)?;
        }
        Ok(())
    }

    fn python_servers(&self, python: &mut Command, tally: &mut Tally) -> Result<()> {
        let jobs: Vec<Value> = VERSIONS
            .iter()
            .flat_map(|version| SHOWN.map(|(name, _)| self.job(version, Some(name))))
            .collect();
        let mut python = Running::start_with(python, &Value::from(jobs))?;
        let port = python.line()?.trim().parse()?;
        for version in VERSIONS {
            for (name, good) in SHOWN {
                let called = self.call(port, |stream| {
                    let mut line = String::new();
                    BufReader::new(stream).read_line(&mut line)?;
                    Ok(line)
                });
                match called {
                    Ok((peer, line)) if good => {
                        tally.accepts(
                            name,
                            Ok::<_, String>(peer.to_string()),
                            &THEIRS.to_owned(),
                        )?;
                        let heard = Ok::<_, String>(line.trim().to_owned());
                        tally.accepts("our name", heard, &format!("hello {OURS}"))?;
                    }
                    Err(error) if good => bail!("{name} in TLS {version}: {error:#}"),
                    other => tally.refuses(name, &other)?,
                }
            }
        }
        let answers: Vec<Value> = serde_json::from_str(&python.line()?)?;
        for (answer, (name, good)) in answers.iter().zip(SHOWN.iter().cycle()) {
            if answer.get("refused").is_some() == *good {
                bail!("{name}: the server says {answer}");
            }
        }
        Ok(())
    }

    fn job(&self, version: &str, shown: Option<&str>) -> Value {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut job = json!({"version": version, "roots": path("ours.pem")});
        if let Some(name) = shown {
            put(&mut job, "certificate", path(&format!("{name}.pem")).into());
            put(&mut job, "key", path(&format!("{name}.key")).into());
        }
        job
    }

    /// Connects as our client, and speaks.
    fn call<T>(
        &self,
        port: u16,
        speak: impl FnOnce(&mut Stream<'_, ClientConnection, TcpStream>) -> Result<T>,
    ) -> Result<(SpiffeId, T)> {
        let mut tcp = connected(TcpStream::connect(("127.0.0.1", port))?)?;
        let name = ServerName::try_from("host.example")?;
        let mut tls = ClientConnection::new(self.client.config(), name)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        let peer = peer_identity(&tls)?;
        let said = speak(&mut Stream::new(&mut tls, &mut tcp))?;
        tls.send_close_notify();
        tls.complete_io(&mut tcp)?;
        Ok((peer, said))
    }
}

fn put(job: &mut Value, name: &str, value: Value) {
    if let Some(members) = job.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

fn flag(version: &str) -> String {
    format!("-tls{}", version.replace('.', "_"))
}

fn connected(tcp: TcpStream) -> Result<TcpStream> {
    tcp.set_read_timeout(Some(PATIENCE))?;
    tcp.set_write_timeout(Some(PATIENCE))?;
    Ok(tcp)
}

fn greet(server: &TlsServer, tcp: TcpStream) -> Result<SpiffeId> {
    let mut tcp = connected(tcp)?;
    let mut tls = ServerConnection::new(server.config())?;
    while tls.is_handshaking() {
        tls.complete_io(&mut tcp)?;
    }
    let peer = peer_identity(&tls)?;
    Stream::new(&mut tls, &mut tcp).write_all(format!("hello {peer}\n").as_bytes())?;
    tls.send_close_notify();
    while tls.wants_write() {
        tls.write_tls(&mut tcp)?;
    }
    // Waits for the other side to close, or what it has not read would be lost.
    _ = tcp.read(&mut [0; 1024]);
    Ok(peer)
}

fn join(served: thread::JoinHandle<Result<Vec<Served>>>) -> Result<Vec<Served>> {
    match served.join() {
        Ok(outcomes) => outcomes,
        Err(_) => bail!("our server panicked"),
    }
}

/// Our view of a connection and theirs have to agree.
fn compare(
    good: bool,
    served: Served,
    greeted: Result<String, String>,
    name: &str,
    tally: &mut Tally,
) -> Result<()> {
    let served = served.map(|peer| peer.to_string());
    for (side, outcome) in [("our server", served), ("their client", greeted)] {
        if good {
            tally.accepts(side, outcome, &name.to_owned())?;
        } else {
            tally.refuses(side, &outcome)?;
        }
    }
    Ok(())
}
