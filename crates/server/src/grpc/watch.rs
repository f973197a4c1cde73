//! `toji.events.v1.Events/Watch`: replay from a number, then what happens.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use toji_hub::events::{End, Reader, Told, Wanted};
use toji_proto::events::events_server::Events;
use toji_proto::events::{Event, WatchRequest};
use toji_proto::tonic::{Request, Response, Status};

use crate::Shared;

pub(crate) struct Service(pub(crate) Shared);

#[toji_proto::tonic::async_trait]
impl Events for Service {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let wanted = Wanted {
            kinds: request.kinds,
            objects: request.objects,
            keys: request.keys,
            tags: request.tags,
            packages: request.packages,
            owners: request.owners,
            tasks: request.tasks,
        };
        let place = self.0.watchers.clone().try_acquire_owned();
        let place = place.map_err(|_| Status::resource_exhausted("too many readers of events"))?;
        let reader = Reader::open(self.0.hub.clone(), &wanted, request.after_seq).await;
        let reader = reader.map_err(|end| refused(&end))?;
        let begin = upto(reader.number());
        let rest = futures::stream::unfold(Some((reader, place)), |open| async move {
            let (mut reader, place) = open?;
            match reader.next().await {
                Ok(Told::Event(event)) => {
                    let event = Event {
                        seq: event.seq,
                        kind: event.kind.clone(),
                        key: event.key.clone(),
                        body: event.body.clone(),
                        created: event.created.clone(),
                    };
                    Some((Ok(event), Some((reader, place))))
                }
                Ok(Told::Upto(number)) => Some((Ok(upto(number)), Some((reader, place)))),
                Err(end) => Some((Err(refused(&end)), None)),
            }
        });
        let draining = self.0.draining.clone();
        let stream = futures::stream::once(async move { Ok(begin) }).chain(rest);
        Ok(Response::new(Box::pin(stream.take_until(async move { draining.cancelled().await }))))
    }
}

/// No event: everything up to a number was told.
fn upto(seq: i64) -> Event {
    Event { seq, ..Event::default() }
}

fn refused(end: &End) -> Status {
    match end {
        End::Gone { .. } => Status::out_of_range(end.to_string()),
        End::Filter(_) => Status::invalid_argument(end.to_string()),
        End::Failed(fault) => super::status::of_fault(fault),
    }
}
