//! ID-JAG.
/// profile
pub const GRANT_PROFILE: &str = "urn:ietf:params:oauth:grant-profile:id-jag";
