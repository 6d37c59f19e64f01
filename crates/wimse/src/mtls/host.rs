//! Server names (RFC 9525 section 6.3), for `dNSName` alone.

/// Whether the presented name is that of the host. A wildcard is the whole left-most label, stands for one label,
/// and has at least two labels behind it, so that it does not span a public suffix of one label.
pub(super) fn matches(presented: &str, host: &str) -> bool {
    let presented = presented.strip_suffix('.').unwrap_or(presented);
    let host = host.strip_suffix('.').unwrap_or(host);
    if presented.is_empty() || host.is_empty() {
        return false;
    }
    let Some(parent) = presented.strip_prefix("*.") else {
        return !presented.contains('*') && presented.eq_ignore_ascii_case(host);
    };
    if parent.contains('*') || !parent.contains('.') {
        return false;
    }
    match host.split_once('.') {
        Some((label, rest)) => !label.is_empty() && rest.eq_ignore_ascii_case(parent),
        None => false,
    }
}
