//! Configurations: create, read, update, replace, delete (section 8.1.1).

use http::{StatusCode, request};
use jose_x509::Signer;
use pki_types::UnixTime;
use serde_json::Value;

use crate::stream::{ConfigurationRequest, Delivery, DeliveryRequest, Member, StreamConfiguration};
use crate::transmitter::answer::{Answered, Refusal, empty, ok};
use crate::transmitter::api::{required_stream_id, stream_id_of};
use crate::transmitter::{Client, StoreError, StreamRecord, Transmitter};

impl<S: Signer> Transmitter<S> {
    pub(super) async fn create(&self, client: &Client, body: &[u8], now: UnixTime) -> Answered {
        let request = ConfigurationRequest::parse_create(body)?;
        if let Some(refusal) = self.policy.create(client, &request).refusal() {
            return Err(refusal);
        }
        let stream_id = self
            .provider
            .random_id()
            .map_err(|_| Refusal::unavailable())?;
        let delivery = match &request.delivery {
            Member::Value(wanted) => self.delivery(wanted, &stream_id, None)?,
            Member::Absent => self.delivery(&DeliveryRequest::Poll, &stream_id, None)?,
            Member::Null => return Err(Refusal::bad("a stream has to have a delivery")),
        };
        let supported = self.supported(client);
        let requested = request.events_requested.value().cloned();
        let configuration = StreamConfiguration {
            iss: self.metadata.issuer.clone(),
            aud: client.audience.clone(),
            events_delivered: self.delivered(&supported, requested.as_deref()),
            events_supported: Some(supported),
            events_requested: requested,
            delivery,
            min_verification_interval: Some(self.settings.min_verification_interval),
            inactivity_timeout: self.settings.inactivity.map(|(timeout, _)| timeout),
            description: request.description.value().map(|text| self.cut(text)),
            stream_id,
        };
        let response = ok(StatusCode::CREATED, &configuration.to_value());
        let mut record = StreamRecord::new(&client.id, configuration, now);
        record.group.clone_from(&client.group);
        match self
            .store
            .create(record, self.settings.streams_per_receiver)
            .await
        {
            Ok(()) => Ok(response),
            Err(StoreError::TooMany) => Err(Refusal::new(
                StatusCode::CONFLICT,
                "stream_exists",
                "this receiver has a stream already; read it and update it",
            )),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn read(
        &self,
        client: &Client,
        parts: &request::Parts,
        now: UnixTime,
    ) -> Answered {
        if let Some(stream_id) = stream_id_of(parts)? {
            let stream = self.touch(client, &stream_id, now).await?;
            return Ok(ok(StatusCode::OK, &stream.configuration.to_value()));
        }
        let streams = self.store.of_receiver(&client.id).await?;
        let all = streams.iter().map(|stream| stream.configuration.to_value());
        Ok(ok(StatusCode::OK, &Value::Array(all.collect())))
    }

    pub(super) async fn update(
        &self,
        client: &Client,
        body: &[u8],
        replaces: bool,
        now: UnixTime,
    ) -> Answered {
        let request = ConfigurationRequest::parse_update(body)?;
        let stream_id = request.stream_id.clone().unwrap_or_default();
        let supported = self.supported(client);
        let change = |stream: &mut StreamRecord| {
            request.check_asserted(&stream.configuration)?;
            if let Some(refusal) = self.policy.update(stream, &request).refusal() {
                return Err(refusal);
            }
            self.apply(stream, &request, &supported, replaces)
        };
        let ((), stream) = self.change(client, &stream_id, now, change).await?;
        self.wake(&stream_id);
        Ok(ok(StatusCode::OK, &stream.configuration.to_value()))
    }

    fn apply(
        &self,
        stream: &mut StreamRecord,
        request: &ConfigurationRequest,
        supported: &[String],
        replaces: bool,
    ) -> Result<(), Refusal> {
        let configuration = &mut stream.configuration;
        match &request.delivery {
            Member::Value(wanted) => {
                let current = (!replaces).then_some(&configuration.delivery);
                let delivery = self.delivery(wanted, &configuration.stream_id, current)?;
                if delivery.endpoint_url() != configuration.delivery.endpoint_url() {
                    stream.verified = false;
                }
                configuration.delivery = delivery;
            }
            Member::Absent if !replaces => {}
            _ => return Err(Refusal::bad("a stream has to have a delivery")),
        }
        match &request.events_requested {
            Member::Value(events) => {
                configuration.events_delivered = self.delivered(supported, Some(events));
                configuration.events_requested = Some(events.clone());
            }
            Member::Absent if !replaces => {}
            _ => {
                configuration.events_requested = None;
                configuration.events_delivered = Vec::new();
            }
        }
        match &request.description {
            Member::Value(text) => configuration.description = Some(self.cut(text)),
            Member::Absent if !replaces => {}
            _ => configuration.description = None,
        }
        Ok(())
    }

    pub(super) async fn delete(&self, client: &Client, parts: &request::Parts) -> Answered {
        let stream_id = required_stream_id(parts)?;
        self.own(client, &stream_id).await?;
        if !self.forget(&stream_id).await? {
            return Err(Refusal::not_found());
        }
        Ok(empty(StatusCode::NO_CONTENT))
    }

    pub(super) async fn forget(&self, stream_id: &str) -> Result<bool, Refusal> {
        // The SETs go first: a crash in between must not leave them behind without a stream by which they could be deleted.
        self.queue.remove(stream_id).await?;
        let deleted = self.store.delete(stream_id).await?;
        // And what came in between.
        self.queue.remove(stream_id).await?;
        self.wake(stream_id);
        Ok(deleted)
    }

    /// The delivery that a receiver gets. A secret is kept only for the same origin, and only by a PATCH.
    fn delivery(
        &self,
        wanted: &DeliveryRequest,
        stream_id: &str,
        current: Option<&Delivery>,
    ) -> Result<Delivery, Refusal> {
        const UNSUPPORTED: Refusal = Refusal::bad("this delivery method is not supported");
        match wanted {
            DeliveryRequest::Poll if self.settings.poll => Ok(Delivery::Poll {
                endpoint_url: self.settings.url(&format!("/poll/{stream_id}")),
            }),
            DeliveryRequest::Push {
                endpoint_url,
                authorization_header,
            } if self.settings.push => {
                let bad = Refusal::bad("this endpoint is not allowed here");
                let Ok(url) = url::Url::parse(endpoint_url) else {
                    return Err(bad);
                };
                if !self.settings.addresses.allows_url(&url) {
                    return Err(bad);
                }
                let kept = match current {
                    Some(Delivery::Push {
                        endpoint_url,
                        authorization_header,
                    }) if url::Url::parse(endpoint_url)
                        .is_ok_and(|current| current.origin() == url.origin()) =>
                    {
                        authorization_header.clone()
                    }
                    _ => None,
                };
                Ok(Delivery::Push {
                    endpoint_url: endpoint_url.clone(),
                    authorization_header: authorization_header.clone().or(kept),
                })
            }
            _ => Err(UNSUPPORTED),
        }
    }

    /// What this receiver may have.
    fn supported(&self, client: &Client) -> Vec<String> {
        let supported = self.settings.events_supported.iter();
        supported
            .filter(|event| {
                let own = client.events.as_ref();
                own.is_none_or(|own| own.contains(event))
            })
            .cloned()
            .collect()
    }

    /// What is both supported and requested, compared exactly.
    fn delivered(&self, supported: &[String], requested: Option<&[String]>) -> Vec<String> {
        match requested {
            Some(requested) => supported
                .iter()
                .filter(|event| requested.contains(event))
                .cloned()
                .collect(),
            None if self.settings.deliver_all => supported.to_vec(),
            None => Vec::new(),
        }
    }

    fn cut(&self, text: &str) -> String {
        let mut end = self.settings.max_description.min(text.len());
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.get(..end).unwrap_or_default().to_owned()
    }
}
