//! The `agent-fabric` command.

use std::path::PathBuf;
use std::process::ExitCode;

use agent_fabric::demo::{self, DemoOptions};
use agent_fabric::inspect::{self, InspectOptions, Kind};
use clap::{Args, Parser, Subcommand};

/// Identity, delegation, transaction tokens and signals for AI agents.
#[derive(Debug, Parser)]
#[command(version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play the whole story on loopback: delegation, agents, tools, revocation, and the attacks on it.
    Demo(DemoArgs),
    /// Tell what a token, certificate chain, bundle or document is; with --as, verify it.
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// Show decoded tokens, with secrets and signatures cut.
    #[arg(short, long)]
    verbose: bool,
    /// Print one JSON object per line.
    #[arg(long)]
    json: bool,
    /// Listen on this loopback port at the gateway; by default any free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    gateway_port: u16,
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// What to inspect; `-` or nothing reads standard input.
    file: Option<PathBuf>,
    /// Verify it as this kind.
    #[arg(long = "as", value_name = "KIND", value_enum)]
    kind: Option<Kind>,
    /// The bundle of a trust domain (repeatable).
    #[arg(long, value_name = "TRUST_DOMAIN=FILE")]
    bundle: Vec<String>,
    /// The WIT that a WPT belongs to.
    #[arg(long, value_name = "FILE")]
    wit: Option<PathBuf>,
    /// The issuer's key set.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The audience that the verifier is.
    #[arg(long)]
    audience: Option<String>,
    /// The issuer that is expected; for a client assertion, the client id.
    #[arg(long)]
    issuer: Option<String>,
    /// Where a metadata document was fetched from.
    #[arg(long)]
    url: Option<String>,
    /// The time of verification: RFC 3339 or seconds since the epoch; by default now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            // One line that says what is wrong; `--help` has the rest.
            let text = error.to_string();
            let line = text
                .lines()
                .map(str::trim)
                .find(|line| !line.is_empty())
                .unwrap_or("error: wrong use");
            eprintln!("{line} (see `agent-fabric --help`)");
            return ExitCode::from(2);
        }
        Err(help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    match cli.command {
        Command::Demo(args) => {
            let options = DemoOptions {
                verbose: args.verbose,
                json: args.json,
                gateway_port: args.gateway_port,
            };
            match demo::run(&options) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => ExitCode::FAILURE,
                Err(error) => wrong_use(&error.to_string()),
            }
        }
        Command::Inspect(args) => {
            let json = args.json;
            let options = InspectOptions {
                file: args.file,
                kind: args.kind,
                bundles: args.bundle,
                wit: args.wit,
                jwks: args.jwks,
                audience: args.audience,
                issuer: args.issuer,
                url: args.url,
                at: args.at,
            };
            match inspect::run(&options) {
                Ok(report) => {
                    if json {
                        println!("{}", report.to_json());
                    } else {
                        print!("{}", report.to_text());
                    }
                    if report.refused() {
                        ExitCode::FAILURE
                    } else {
                        ExitCode::SUCCESS
                    }
                }
                Err(error) => wrong_use(&error.to_string()),
            }
        }
    }
}

fn wrong_use(message: &str) -> ExitCode {
    eprintln!("error: {message}");
    ExitCode::from(2)
}
