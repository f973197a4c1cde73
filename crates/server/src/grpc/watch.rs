//! `toji.events.v1.Events/Watch`: replay from a number, then what happens.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use toji_proto::events::events_server::Events;
use toji_proto::events::{Event, WatchRequest};
use toji_proto::tonic::{Request, Response, Status};

use crate::{Shared, events};

pub(crate) struct Service(pub(crate) Shared);

#[toji_proto::tonic::async_trait]
impl Events for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { kinds, keys, after_seq } = request.into_inner();
        let draining = self.0.draining.clone();
        let stream = events::follow(self.0.hub.clone(), after_seq)
            .filter(move |event| {
                let wanted = events::matches(&kinds, &keys, event);
                async move { wanted }
            })
            .map(|event| {
                Ok(Event {
                    seq: event.seq,
                    kind: event.kind.to_string(),
                    key: event.key.to_string(),
                    body: event.body.to_string(),
                })
            })
            .take_until(async move { draining.cancelled().await });
        Ok(Response::new(Box::pin(stream)))
    }
}
