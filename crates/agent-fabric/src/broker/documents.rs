//! Client metadata documents, fetched under guard and kept while they are fresh.

use std::sync::{Arc, Mutex, PoisonError};

use cimd::client::Fetcher;
use cimd::{ClientIdUrl, ClientMetadata, DocumentCache, Error};
use pki_types::UnixTime;

/// A fetcher with a bounded cache. No lock is held while a document is fetched.
#[derive(Debug)]
pub struct Documents {
    fetcher: Fetcher,
    cache: Mutex<DocumentCache>,
}

const CAPACITY: usize = 1024;

impl Documents {
    /// An empty cache over a fetcher.
    #[must_use]
    pub fn new(fetcher: Fetcher) -> Self {
        Self {
            fetcher,
            cache: Mutex::new(DocumentCache::new(CAPACITY)),
        }
    }

    /// The document of a client.
    ///
    /// # Errors
    ///
    /// [`Error`] of the fetch or of the document.
    pub async fn get(
        &self,
        url: &ClientIdUrl,
        now: UnixTime,
    ) -> Result<Arc<ClientMetadata>, Error> {
        if let Some(document) = self
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(url.as_str(), now)
        {
            return Ok(document);
        }
        let fetched = self.fetcher.fetch(url, now).await?;
        let document = Arc::new(fetched.metadata);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(Arc::clone(&document), fetched.freshness);
        Ok(document)
    }
}
