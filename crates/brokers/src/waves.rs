//! Many messages at a time, but of each object one after the other.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::{Error, Message, Sent};

/// Messages that may be on their way at the same time.
const MOST: usize = 256;

/// Sends messages with `publish`, which is done when the broker has stored its message.
pub(crate) async fn send<'m, F>(
    messages: &'m [Message],
    timeout: Duration,
    publish: impl Fn(&'m Message) -> F,
) -> Sent
where
    F: Future<Output = Result<(), Error>>,
{
    // What waits for the one before it of the same object.
    let mut queues: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (at, message) in messages.iter().enumerate() {
        queues.entry(&message.key).or_default().push_back(at);
    }
    let mut first: Vec<usize> = queues.values_mut().filter_map(VecDeque::pop_front).collect();
    first.sort_unstable();
    let mut ready: VecDeque<usize> = first.into();
    let mut stored = vec![false; messages.len()];
    let mut under_way = FuturesUnordered::new();
    let mut error = None;
    loop {
        while error.is_none() && under_way.len() < MOST {
            let Some(at) = ready.pop_front() else { break };
            let publish = tokio::time::timeout(timeout, publish(&messages[at]));
            under_way.push(async move { (at, publish.await) });
        }
        let Some((at, done)) = under_way.next().await else { break };
        match done {
            Ok(Ok(())) => {
                stored[at] = true;
                let next = queues.get_mut(messages[at].key.as_str()).and_then(VecDeque::pop_front);
                ready.extend(next);
            }
            Ok(Err(failed)) => error = error.or(Some(failed)),
            Err(_) => error = error.or(Some(Error::TooSlow(timeout))),
        }
    }
    let taken = stored.iter().take_while(|stored| **stored).count();
    Sent { taken, error }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn message(n: usize, key: &str) -> Message {
        Message {
            key: key.to_owned(),
            topic: String::new(),
            id: n.to_string(),
            headers: Vec::new(),
            priority: None,
            body: String::new(),
        }
    }

    fn messages(keys: &str) -> Vec<Message> {
        keys.chars().enumerate().map(|(n, key)| message(n, &key.to_string())).collect()
    }

    #[tokio::test]
    async fn of_an_object_one_is_under_way() {
        let all = messages("abacbbaa");
        let (open, ended) = (RefCell::new(Vec::<String>::new()), RefCell::new(Vec::new()));
        let sent = send(&all, Duration::from_secs(9), |message| {
            let (open, ended) = (&open, &ended);
            async move {
                assert!(!open.borrow().contains(&message.key), "two of {}", message.key);
                open.borrow_mut().push(message.key.clone());
                for _ in 0..message.id.len() + usize::from(message.key == "a") {
                    tokio::task::yield_now().await;
                }
                open.borrow_mut().retain(|key| *key != message.key);
                ended.borrow_mut().push((message.key.clone(), message.id.clone()));
                Ok(())
            }
        })
        .await;
        assert!(sent.taken == 8 && sent.error.is_none());
        for key in ["a", "b", "c"] {
            let of = |(k, id): &(String, String)| (k == key).then(|| id.clone());
            let ids: Vec<String> = ended.borrow().iter().filter_map(of).collect();
            assert!(ids.is_sorted(), "{ids:?}");
        }
    }

    #[tokio::test]
    async fn after_a_failure_nothing_more_is_begun() {
        let all = messages("abcabc");
        let tried = RefCell::new(Vec::new());
        let sent = send(&all, Duration::from_secs(9), |message| {
            tried.borrow_mut().push(message.id.clone());
            let fails = message.id == "1";
            async move { if fails { Err(Error::Refused("b".to_owned())) } else { Ok(()) } }
        })
        .await;
        assert_eq!(sent.taken, 1, "0 is stored, 2 as well, and it will be repeated");
        assert!(matches!(sent.error, Some(Error::Refused(_))));
        assert!(
            !tried.borrow().contains(&"4".to_owned()),
            "nothing after what failed of its object"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_broker_ends_it() {
        let all = messages("ab");
        let sent = send(&all, Duration::from_secs(9), |message| {
            let silent = message.key == "b";
            async move { if silent { std::future::pending().await } else { Ok(()) } }
        })
        .await;
        assert!(sent.taken == 1 && matches!(sent.error, Some(Error::TooSlow(_))));
    }
}
