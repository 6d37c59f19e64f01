//! The signature base (RFC 9421 section 2.5).

use super::component::{Component, Message};
use super::{SIGNATURE_INPUT, SignatureError};

/// Longest signature base in bytes, the parameters apart.
const MAX_BASE: usize = 64 * 1024;

/// One line for each component, then the parameters, without a line feed at the end.
pub(super) fn signature_base(
    components: &[Component],
    params: &str,
    message: &Message<'_>,
) -> Result<String, SignatureError> {
    let mut base = String::with_capacity(params.len().saturating_add(1024));
    for (position, component) in components.iter().enumerate() {
        let value = message.value(component, position)?;
        component.write(&mut base);
        base.push_str(": ");
        base.push_str(&value);
        base.push('\n');
        if base.len() > MAX_BASE {
            return Err(SignatureError::TooLarge {
                field: SIGNATURE_INPUT,
            });
        }
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(params);
    Ok(base)
}
