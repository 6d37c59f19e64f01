//! temporary
/// t
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("t")]
pub struct X509Error;
impl X509Error {
    /// t
    pub fn code(&self) -> &'static str {
        "t"
    }
    /// t
    pub fn fault(&self) -> crate::Fault {
        crate::Fault::Peer
    }
    /// t
    pub fn requirement(&self) -> Option<&'static str> {
        None
    }
}
