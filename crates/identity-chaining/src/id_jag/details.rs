//! `authorization_details` beside resources (RFC 9396 section 3).

use serde_json::Value;
use token_exchange::{Authority, Bound, ResourceIndicator};

use crate::error::Error;

/// The details that all of these permit, without those for places other than the granted resources.
///
/// # Errors
///
/// [`Error::DetailsNotGranted`] for nothing.
pub(super) fn granted(
    bounds: &[&Authority],
    resources: &[ResourceIndicator],
) -> Result<Value, Error> {
    let all = Authority::intersection(bounds.iter().copied());
    let Bound::Only(details) = &all.details else {
        return Err(Error::DetailsNotGranted);
    };
    let Value::Array(mut kept) = details.to_value() else {
        return Err(Error::DetailsNotGranted);
    };
    kept.retain(|detail| is_at(detail, resources));
    if kept.is_empty() {
        return Err(Error::DetailsNotGranted);
    }
    Ok(Value::Array(kept))
}

/// Whether every location of a detail is a granted resource, or below one.
fn is_at(detail: &Value, resources: &[ResourceIndicator]) -> bool {
    let Some(locations) = detail.get("locations").and_then(Value::as_array) else {
        return true;
    };
    let covered = |location: &Value| {
        location.as_str().is_some_and(|location| {
            resources
                .iter()
                .any(|resource| resource.as_str() == location || resource.covers(location))
        })
    };
    resources.is_empty() || locations.iter().all(covered)
}
