//! The shape of a vector file; `test-vectors/schema.json` describes the same.

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// A generated file.
#[derive(Serialize)]
pub(crate) struct VectorFile {
    /// Path below `test-vectors`.
    #[serde(skip)]
    pub(crate) path: &'static str,
    /// The specifications that decide what is valid.
    pub(crate) spec: &'static str,
    generator: &'static str,
    schema: &'static str,
    pub(crate) groups: Vec<Group>,
}

impl VectorFile {
    pub(crate) fn new(path: &'static str, spec: &'static str, groups: Vec<Group>) -> Self {
        Self {
            path,
            spec,
            generator: "cargo xtask vectors (josekit on OpenSSL)",
            schema: "test-vectors/schema.json version 1",
            groups,
        }
    }

    /// The file's text: indented, with a final line break.
    pub(crate) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// Cases of one kind that share keys.
#[derive(Serialize)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// A JWK Set of public keys: what the verifier trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) keys: Option<Value>,
    pub(crate) cases: Vec<Case>,
}

/// One input and its verdict.
#[derive(Serialize)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) input: Value,
    /// Unix seconds.
    pub(crate) now: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options: Option<Value>,
    pub(crate) expected: Expected,
    pub(crate) covers: Vec<String>,
}

/// The verdict.
#[derive(Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub(crate) enum Expected {
    Valid { values: Value },
    Invalid { code: String },
}

impl Case {
    /// A case at `now` with this verdict; add options with [`Case::options`].
    pub(crate) fn new(
        name: impl Into<String>,
        comment: impl Into<String>,
        input: impl Into<Value>,
        now: u64,
        expected: Expected,
        covers: &[&str],
    ) -> Self {
        Self {
            name: name.into(),
            comment: comment.into(),
            input: input.into(),
            now,
            options: None,
            expected,
            covers: covers.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    /// The same case, with options for the verifier.
    pub(crate) fn options(mut self, options: Value) -> Self {
        self.options = Some(options);
        self
    }
}

/// The verdict "valid" with these values.
pub(crate) fn valid(values: Value) -> Expected {
    Expected::Valid { values }
}

/// The verdict "invalid" with this error code.
pub(crate) fn invalid(code: &str) -> Expected {
    Expected::Invalid {
        code: code.to_owned(),
    }
}
