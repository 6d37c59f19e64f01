//! Stores of sessions, open as long as their epoch lives.

use std::sync::Arc;

use pki_types::ServerName;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

use crate::epoch::Epoch;

/// A client's sessions.
#[derive(Debug)]
pub(crate) struct ClientSessions {
    epoch: Arc<Epoch>,
    cache: ClientSessionMemoryCache,
}

impl ClientSessions {
    pub(crate) fn new(epoch: Arc<Epoch>, capacity: usize) -> Self {
        Self {
            epoch,
            cache: ClientSessionMemoryCache::new(capacity),
        }
    }
}

impl ClientSessionStore for ClientSessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.cache.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.cache.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        if self.epoch.is_live() {
            self.cache.set_tls12_session(server_name, value);
        }
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.cache
            .tls12_session(server_name)
            .filter(|_| self.epoch.is_live())
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.cache.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(
        &self,
        server_name: ServerName<'static>,
        value: Tls13ClientSessionValue,
    ) {
        if self.epoch.is_live() {
            self.cache.insert_tls13_ticket(server_name, value);
        }
    }

    fn take_tls13_ticket(
        &self,
        server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        self.cache
            .take_tls13_ticket(server_name)
            .filter(|_| self.epoch.is_live())
    }
}

/// A server's sessions, kept by the server.
#[derive(Debug)]
pub(crate) struct ServerSessions {
    epoch: Arc<Epoch>,
    cache: Arc<ServerSessionMemoryCache>,
}

impl ServerSessions {
    pub(crate) fn new(epoch: Arc<Epoch>, capacity: usize) -> Self {
        Self {
            epoch,
            cache: ServerSessionMemoryCache::new(capacity),
        }
    }
}

impl StoresServerSessions for ServerSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.epoch.is_live() && self.cache.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache.get(key).filter(|_| self.epoch.is_live())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache.take(key).filter(|_| self.epoch.is_live())
    }

    fn can_cache(&self) -> bool {
        self.epoch.is_live()
    }
}

/// A server's sessions, kept by its clients.
#[derive(Debug)]
pub(crate) struct ServerTickets {
    epoch: Arc<Epoch>,
    ticketer: Arc<dyn ProducesTickets>,
}

impl ServerTickets {
    pub(crate) fn new(epoch: Arc<Epoch>, ticketer: Arc<dyn ProducesTickets>) -> Self {
        Self { epoch, ticketer }
    }
}

impl ProducesTickets for ServerTickets {
    fn enabled(&self) -> bool {
        self.ticketer.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.ticketer.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.epoch.is_live().then(|| self.ticketer.encrypt(plain))?
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.epoch
            .is_live()
            .then(|| self.ticketer.decrypt(cipher))?
    }
}
