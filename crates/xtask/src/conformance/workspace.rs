//! Which targets `cargo test --workspace --all-features` builds and runs, and with which features.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// One test binary: a library's or binary's unit tests, or a file of `tests/`.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Package and target, for messages.
    pub(crate) name: String,
    /// The file the compiler starts from.
    pub(crate) root: PathBuf,
    /// Whether its `required-features` are on.
    pub(crate) built: bool,
    /// Active features of the package.
    pub(crate) features: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    targets: Vec<PackageTarget>,
}

#[derive(Deserialize)]
struct PackageTarget {
    name: String,
    src_path: PathBuf,
    test: bool,
    #[serde(default, rename = "required-features")]
    required_features: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    features: BTreeSet<String>,
}

/// Asks cargo for the test targets of the workspace at `root`.
pub(crate) fn targets(root: &Path) -> Result<Vec<Target>> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--all-features", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")?;
    let members: BTreeSet<String> = metadata.workspace_members.into_iter().collect();
    let features: BTreeMap<String, BTreeSet<String>> = metadata
        .resolve
        .nodes
        .into_iter()
        .map(|node| (node.id, node.features))
        .collect();

    let mut targets = Vec::new();
    for package in metadata.packages {
        if !members.contains(&package.id) {
            continue;
        }
        let active = features.get(&package.id).cloned().unwrap_or_default();
        for target in package.targets {
            let buildable = target
                .required_features
                .iter()
                .all(|feature| active.contains(feature));
            if target.test {
                targets.push(Target {
                    built: buildable,
                    name: format!("{}::{}", package.name, target.name),
                    root: target.src_path,
                    features: active.clone(),
                });
            }
        }
    }
    Ok(targets)
}
