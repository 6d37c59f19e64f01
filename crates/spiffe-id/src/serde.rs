//! SPIFFE IDs, trust domains and patterns as JSON strings (or the like), checked on the way in.

use core::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, SpiffeIdRef, TrustDomainRef};

/// Reads borrowed text only.
struct Borrowed<T>(PhantomData<T>, &'static str);

impl<'de, T: TryFrom<&'de str, Error = Error>> de::Visitor<'de> for Borrowed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<T, E> {
        T::try_from(text).map_err(E::custom)
    }
}

macro_rules! borrowed {
    ($type:ident, $what:literal) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $type<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Borrowed(PhantomData::<$type<'de>>, $what))
            }
        }

        impl Serialize for $type<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

borrowed!(SpiffeIdRef, "a SPIFFE ID");
borrowed!(TrustDomainRef, "a trust domain name");

#[cfg(feature = "alloc")]
mod owned {
    use super::{Deserialize, Deserializer, Error, PhantomData, Serialize, Serializer, de, fmt};
    use crate::{SpiffeId, SpiffeIdPattern, TrustDomain};

    struct Owned<T>(PhantomData<T>, &'static str);

    impl<T: for<'a> TryFrom<&'a str, Error = Error>> de::Visitor<'_> for Owned<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            T::try_from(text).map_err(E::custom)
        }
    }

    macro_rules! owned {
        ($type:ident, $what:literal) => {
            impl<'de> Deserialize<'de> for $type {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    deserializer.deserialize_str(Owned(PhantomData::<$type>, $what))
                }
            }
        };
    }

    owned!(SpiffeId, "a SPIFFE ID");
    owned!(TrustDomain, "a trust domain name");
    owned!(SpiffeIdPattern, "a SPIFFE ID, optionally followed by `/*`");

    impl Serialize for SpiffeId {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }

    impl Serialize for TrustDomain {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_str(self.as_str())
        }
    }
}
