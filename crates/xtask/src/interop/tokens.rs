//! What the scenarios about tokens have in common.

use anyhow::{Context, Result, bail};
use jose_x509::base64url;
use serde_json::{Map, Value};

/// What is signed and encrypted.
pub(crate) const PAYLOAD: &str = r#"{"iss":"https://interop.example","sub":"é"}"#;

/// The token with one bit of a segment changed, so that it stays well formed.
pub(crate) fn flip(token: &str, segment: usize) -> Result<String> {
    let mut segments: Vec<String> = token.split('.').map(str::to_owned).collect();
    let text = segments.get_mut(segment).context("too few segments")?;
    let mut bytes = base64url::decode(text, "segment")?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty segment")? ^= 1;
    *text = base64url::encode(&bytes);
    Ok(segments.join("."))
}

/// The token with another `alg` in its header.
pub(crate) fn with_alg(token: &str, alg: &str) -> Result<String> {
    let (header, rest) = token.split_once('.').context("no header")?;
    let mut header: Map<String, Value> =
        serde_json::from_slice(&base64url::decode(header, "header")?)?;
    header.insert("alg".to_owned(), alg.into());
    let header = Value::from(header);
    Ok(format!(
        "{}.{rest}",
        base64url::encode(header.to_string().as_bytes())
    ))
}

/// A text member of a peer's answer.
pub(crate) fn text<'a>(answer: &'a Value, name: &str) -> Result<&'a str> {
    match answer.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text),
        None => match answer.get("refused").and_then(Value::as_str) {
            Some(why) => bail!("the peer refused: {why}"),
            None => bail!("the peer's answer has no `{name}`"),
        },
    }
}

/// Why the peer does not do this at all.
pub(crate) fn unsupported(answer: &Value) -> Option<&str> {
    answer.get("unsupported").and_then(Value::as_str)
}

/// The peer's verdict on one token: the payload, or why it was refused.
pub(crate) fn verdict(answer: &Value) -> Result<String, String> {
    let member = |name| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    match (member("payload"), member("refused")) {
        (Some(payload), None) => Ok(payload),
        (None, Some(why)) => Err(why),
        _ => Err(format!("neither a payload nor a refusal: {answer}")),
    }
}

/// The list of answers under `name`, one for each job.
pub(crate) fn answers<'a>(answer: &'a Value, name: &str, jobs: usize) -> Result<&'a [Value]> {
    let answers = answer
        .get(name)
        .and_then(Value::as_array)
        .with_context(|| format!("the peer's answer has no `{name}`"))?;
    if answers.len() != jobs {
        bail!("the peer answered {} of {jobs} jobs", answers.len());
    }
    Ok(answers)
}
