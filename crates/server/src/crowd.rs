//! Calls of people who have not logged in: so few at a time that those who have do not notice them.
//!
//! There are two lanes: one for calls that take long, by what calls of their name took lately, and one for all others. In
//! each the addresses take turns, so that nobody waits for more than one call of each other address.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use toji_hub::batch::{Answer, Item};
use toji_hub::{Hub, Request};
use toji_value::{Args, Fault, Value};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{door, strangers};

/// Calls that take longer go to the lane of the long ones.
const LONG: Duration = Duration::from_millis(20);
/// Short calls at a time: with the long ones, less than the connections to the database.
const SHORT_PLACES: usize = 5;
/// Calls of one address that may wait in a lane.
const WAITING: usize = 512;
/// All calls that may wait in a lane.
const ALL_WAITING: usize = 4096;
/// How long they wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Those of this process.
static CROWD: LazyLock<Crowd> = LazyLock::new(|| Crowd::new(SHORT_PLACES, long_places(), PATIENCE));

/// Where long calls are done: on threads that the system lets run when no others want to.
static BESIDE: LazyLock<Option<Runtime>> =
    LazyLock::new(|| strangers::runtime("anonymous", Some(long_places()), 10));

/// Long calls at a time.
fn long_places() -> usize {
    (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 2)
}

/// Does a call when it is its turn; the place is to be held until the answer is written.
///
/// Beyond what may wait, and after a long wait, the fault is `ServerOffline`, after which clients try again.
pub(crate) async fn call(
    hub: &Hub,
    caller: &Request,
    method: &str,
    args: Args,
) -> (Option<Place<'static>>, Result<Value, Fault>) {
    if !door::is_anonymous(caller) {
        return (None, hub.call(caller, method, args).await.inspect(|_| strangers::known()));
    }
    // Names that nobody has declared are taken for what carries other calls.
    let name = hub.declaration(method).map_or("multiCall", |known| known.signature.name);
    let (hub, who, method) = (hub.clone(), caller.clone(), method.to_owned());
    in_turn(caller, name, async move { hub.call(&who, &method, args).await }).await
}

/// Does a batch of calls, likewise.
pub(crate) async fn batch(
    hub: &Hub,
    caller: &Request,
    items: Vec<Item>,
    strict: bool,
) -> (Option<Place<'static>>, Result<Vec<Answer>, Fault>) {
    if !door::is_anonymous(caller) {
        return (None, hub.batch(caller, items, strict).await.inspect(|_| strangers::known()));
    }
    let (hub, who) = (hub.clone(), caller.clone());
    let work = async move { hub.batch(&who, items, strict).await };
    in_turn(caller, "multiCall", work).await
}

async fn in_turn<T: Send + 'static>(
    caller: &Request,
    name: &'static str,
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> (Option<Place<'static>>, Result<T, Fault>) {
    let place = match CROWD.enter(address(&caller.remote), name).await {
        Ok(place) => place,
        Err(fault) => return (None, Err(fault)),
    };
    let long = std::ptr::eq(place.lane, &CROWD.lanes[1]);
    let threads = if long { BESIDE.as_ref() } else { None };
    let done = match threads {
        Some(threads) => {
            let done = AbortOnDropHandle::new(threads.spawn(work)).await;
            done.unwrap_or_else(|error| Err(Fault::unexpected(error.to_string())))
        }
        None => work.await,
    };
    (Some(place), done)
}

/// How many calls wait in the lanes of short and of long calls.
pub(crate) fn waiting() -> [usize; 2] {
    CROWD.lanes.each_ref().map(|lane| lane.queue().waiting)
}

/// Who counts as one: an address, or with IPv6 the network that one site has.
fn address(remote: &str) -> IpAddr {
    match remote.parse() {
        Ok(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Ok(v4) => v4,
        // The hub's own web pages.
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// The lanes, and what calls cost.
struct Crowd {
    lanes: [Lane; 2],
    costs: Mutex<HashMap<&'static str, Duration>>,
    patience: Duration,
}

struct Lane(Mutex<Queue>);

/// Those who wait for a place of a lane.
struct Queue {
    free: usize,
    waiting: usize,
    by_address: HashMap<IpAddr, VecDeque<oneshot::Sender<()>>>,
    /// Addresses that wait, in the order of their turns.
    turns: VecDeque<IpAddr>,
}

/// The right to do a call now.
pub(crate) struct Place<'a> {
    crowd: &'a Crowd,
    lane: &'a Lane,
    method: &'static str,
    begun: Instant,
}

impl Crowd {
    fn new(short: usize, long: usize, patience: Duration) -> Self {
        Crowd { lanes: [short, long].map(Lane::new), costs: Mutex::default(), patience }
    }

    async fn enter(&self, address: IpAddr, method: &'static str) -> Result<Place<'_>, Fault> {
        let long = self.costs().get(method).is_some_and(|cost| *cost > LONG);
        let lane = &self.lanes[usize::from(long)];
        if let Some(turn) = lane.stand(address)? {
            let mut turn = Turn { lane, turn };
            let come = timeout(self.patience, &mut turn.turn).await;
            come.map_err(|_| busy())?.map_err(|_| busy())?;
        }
        Ok(Place { crowd: self, lane, method, begun: Instant::now() })
    }

    fn costs(&self) -> MutexGuard<'_, HashMap<&'static str, Duration>> {
        self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a call took: at once when it is more than was known, and slowly when it is less, so that cheap
    /// calls do not hide dear ones of the same name.
    fn note(&self, method: &'static str, took: Duration) {
        let mut costs = self.costs();
        match costs.get_mut(method) {
            Some(known) => *known = took.max(known.mul_f32(0.95)),
            // Only what is long has to be known.
            None if took > LONG => drop(costs.insert(method, took)),
            None => {}
        }
    }
}

fn busy() -> Fault {
    let text = "too many calls without a login are waiting; log in, or try again later";
    Fault { code: toji_value::code::OFFLINE, message: text.to_owned() }
}

impl Lane {
    fn new(free: usize) -> Self {
        let (by_address, turns) = (HashMap::new(), VecDeque::new());
        Lane(Mutex::new(Queue { free, waiting: 0, by_address, turns }))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or stands in the queue for one.
    fn stand(&self, address: IpAddr) -> Result<Option<oneshot::Receiver<()>>, Fault> {
        let mut queue = self.queue();
        if queue.free > 0 {
            queue.free -= 1;
            return Ok(None);
        }
        let mine = queue.by_address.get(&address).map_or(0, VecDeque::len);
        if mine >= WAITING || queue.waiting >= ALL_WAITING {
            return Err(busy());
        }
        let (turn, come) = oneshot::channel();
        if mine == 0 {
            queue.turns.push_back(address);
        }
        queue.by_address.entry(address).or_default().push_back(turn);
        queue.waiting += 1;
        Ok(Some(come))
    }

    /// Gives a place to whoever is next, or back.
    fn leave(&self) {
        let mut queue = self.queue();
        while let Some(address) = queue.turns.pop_front() {
            let Some(calls) = queue.by_address.get_mut(&address) else { continue };
            let next = calls.pop_front();
            if calls.is_empty() {
                queue.by_address.remove(&address);
            } else {
                queue.turns.push_back(address);
            }
            let Some(next) = next else { continue };
            queue.waiting -= 1;
            // Who has gone meanwhile does not get it.
            if next.send(()).is_ok() {
                return;
            }
        }
        queue.free += 1;
    }
}

/// A call that waits; if it goes away when its turn has come, the turn is the next one's.
struct Turn<'a> {
    lane: &'a Lane,
    turn: oneshot::Receiver<()>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turn.close();
        if self.turn.try_recv().is_ok() {
            self.lane.leave();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.crowd.note(self.method, self.begun.elapsed());
        self.lane.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn from(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let crowd = Crowd::new(1, 1, PATIENCE);
        let first = crowd.enter(from(1), "a").await.unwrap();
        let mut loud: Vec<_> = (0..3).map(|_| Box::pin(crowd.enter(from(1), "a"))).collect();
        for call in &mut loud {
            assert!(call.now_or_never().is_none());
        }
        let mut quiet = Box::pin(crowd.enter(from(2), "a"));
        assert!((&mut quiet).now_or_never().is_none());
        drop(first);
        let mut loud = loud.into_iter();
        let second = loud.next().unwrap().now_or_never().unwrap().unwrap();
        // The other address is next, although two were there before it.
        drop(second);
        let third = quiet.now_or_never().unwrap().unwrap();
        // One that has gone away gives its turn on, before it came and after.
        drop(loud.next());
        drop(third);
        drop(loud.next());
        assert!(crowd.enter(from(3), "a").now_or_never().is_some());
        assert_eq!(crowd.lanes[0].queue().waiting, 0);
    }

    #[tokio::test]
    async fn too_many_are_refused() {
        let crowd = Crowd::new(1, 1, Duration::from_millis(1));
        let _first = crowd.enter(from(1), "a").await.unwrap();
        let mut calls: Vec<_> = (0..WAITING).map(|_| Box::pin(crowd.enter(from(1), "a"))).collect();
        calls.iter_mut().for_each(|call| assert!(call.now_or_never().is_none()));
        let refused = crowd.enter(from(1), "a").now_or_never().unwrap();
        assert_eq!(refused.err().unwrap().code, toji_value::code::OFFLINE);
        // Another address may wait, but not for ever.
        assert!(crowd.enter(from(2), "a").await.is_err());
    }

    #[tokio::test]
    async fn long_calls_have_a_lane_of_their_own() {
        let crowd = Crowd::new(1, 1, PATIENCE);
        crowd.note("dear", Duration::from_secs(1));
        crowd.note("cheap", Duration::from_millis(1));
        let _dear = crowd.enter(from(1), "dear").await.unwrap();
        assert!(crowd.enter(from(1), "dear").now_or_never().is_none());
        assert!(crowd.enter(from(1), "cheap").now_or_never().is_some());
        // A few cheap ones of its name do not change that, many do.
        crowd.note("dear", Duration::ZERO);
        assert!(crowd.costs()["dear"] > LONG);
        (0..100).for_each(|_| crowd.note("dear", Duration::ZERO));
        assert!(crowd.costs()["dear"] < LONG);
        assert!(!crowd.costs().contains_key("cheap"));
    }

    #[test]
    fn networks_count_as_one() {
        assert_eq!(address("2001:db8:1:2:3::4"), address("2001:db8:1:2::5"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address(""), address("unknown"));
    }
}
