//! A bounded number of places for clients. When none is free, a holder must give its place up: one
//! of the network that holds most, so that one client may use all places only while nobody else
//! wants them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The clients that share places: one IPv4 address, or one IPv6 network of 64 bits, which is what a
/// household gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        })
    }
}

/// What the holder of a place is doing. The least active holder goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Activity {
    /// Nothing.
    Idle,
    /// We wait for the client: to send the rest of a body, or to read an answer.
    WaitsForClient,
    /// The client waits for us.
    Working,
}

/// What keeps a holder in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claim {
    pub activity: Activity,
    pub since: Instant,
}

/// Who holds a place.
pub(crate) trait Holder {
    fn claim(&self) -> Claim;
    /// The place is gone; the work in it must end.
    fn evict(&self);
}

/// The client is given this time before it counts as slow.
const PATIENCE: Duration = Duration::from_millis(100);

/// The places and their holders.
pub(crate) struct Places<H: Holder> {
    capacity: usize,
    held: Mutex<Held<H>>,
}

struct Held<H> {
    holders: HashMap<u64, (Network, Arc<H>)>,
    of_networks: HashMap<Network, usize>,
    next: u64,
}

/// A place, until it is dropped or its holder is evicted.
pub(crate) struct Place<H: Holder> {
    number: u64,
    places: Arc<Places<H>>,
}

impl<H: Holder> Places<H> {
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity,
            held: Mutex::new(Held {
                holders: HashMap::new(),
                of_networks: HashMap::new(),
                next: 0,
            }),
        })
    }

    /// Returns a place at once, if need be another holder's. `None` if nobody has to give way to
    /// this newcomer.
    pub fn enter(self: &Arc<Self>, network: Network, holder: Arc<H>) -> Option<Place<H>> {
        let mut held = self.lock();
        if held.holders.len() >= self.capacity {
            let victim = held.victim(network)?;
            if let Some(victim) = held.remove(victim) {
                victim.evict();
            }
        }
        let number = held.next;
        held.next += 1;
        held.holders.insert(number, (network, holder));
        *held.of_networks.entry(network).or_default() += 1;
        drop(held);
        Some(Place {
            number,
            places: self.clone(),
        })
    }

    /// Takes a place from the idlest holder of the network that holds most, if there is one.
    pub fn take_from_idlest(&self) {
        let mut held = self.lock();
        let nobody = Network(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let victim = held.victim(nobody);
        if let Some(victim) = victim.and_then(|victim| held.remove(victim)) {
            victim.evict();
        }
    }

    /// Calls `look` for every holder.
    pub fn for_each(&self, mut look: impl FnMut(&Arc<H>)) {
        for (_, holder) in self.lock().holders.values() {
            look(holder);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held<H>> {
        // No code under this lock panics half-way.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Holder> Held<H> {
    /// The holder that gives way to a newcomer from that network.
    fn victim(&self, newcomer: Network) -> Option<u64> {
        let most = self.of_networks.values().copied().max()?;
        let own = self.of_networks.get(&newcomer).copied().unwrap_or(0);
        let first = |only: &dyn Fn(Network) -> bool| {
            let candidates = self
                .holders
                .iter()
                .filter(|(_, (network, _))| only(*network));
            candidates
                .map(|(number, (_, holder))| (holder.claim(), *number))
                .min()
        };
        let (claim, number) = first(&|network| self.of_networks.get(&network) == Some(&most))?;
        let is_over_its_share = most > own + 1;
        let is_slow = claim.activity < Activity::Working && claim.since.elapsed() >= PATIENCE;
        if claim.activity == Activity::Idle || is_over_its_share || is_slow {
            return Some(number);
        }
        // All holders of the networks that hold most are at work, and the newcomer's network holds
        // as much.
        let (claim, number) = first(&|_| true)?;
        (claim.activity == Activity::Idle).then_some(number)
    }

    fn remove(&mut self, number: u64) -> Option<Arc<H>> {
        let (network, holder) = self.holders.remove(&number)?;
        if let Some(count) = self.of_networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.of_networks.remove(&network);
            }
        }
        Some(holder)
    }
}

impl<H: Holder> Drop for Place<H> {
    fn drop(&mut self) {
        self.places.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Fake(Claim, AtomicBool);

    impl Holder for Fake {
        fn claim(&self) -> Claim {
            self.0
        }

        fn evict(&self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    fn holder(activity: Activity, since: Instant) -> Arc<Fake> {
        Arc::new(Fake(Claim { activity, since }, AtomicBool::new(false)))
    }

    fn network(text: &str) -> Network {
        Network::from(text.parse::<IpAddr>().unwrap())
    }

    fn is_evicted(holder: &Fake) -> bool {
        holder.1.load(Ordering::Relaxed)
    }

    const FAR: &str = "10.0.0.1";
    const NEAR: &str = "10.0.0.2";

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:10.0.0.1"), network(FAR));
        assert_ne!(network(FAR), network(NEAR));
    }

    #[tokio::test(start_paused = true)]
    async fn the_idlest_goes_for_anybody() {
        let places = Places::new(3);
        let begun = Instant::now();
        let holders = [
            holder(Activity::Working, begun),
            holder(Activity::Idle, begun + Duration::from_secs(1)),
            holder(Activity::Idle, begun),
        ];
        let _places: Vec<_> = holders
            .iter()
            .map(|holder| places.enter(network(FAR), holder.clone()).unwrap())
            .collect();
        let _same = places
            .enter(network(FAR), holder(Activity::Working, begun))
            .unwrap();
        assert_eq!(
            holders.each_ref().map(|h| is_evicted(h)),
            [false, false, true]
        );
        let _other = places
            .enter(network(NEAR), holder(Activity::Working, begun))
            .unwrap();
        assert_eq!(
            holders.each_ref().map(|h| is_evicted(h)),
            [false, true, true]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_holds_most_gives_way_even_at_work_and_only_to_who_holds_less() {
        let places = Places::new(4);
        let begun = Instant::now();
        let many: Vec<_> = (0..4).map(|_| holder(Activity::Working, begun)).collect();
        let _many: Vec<_> = many
            .iter()
            .map(|holder| places.enter(network(FAR), holder.clone()).unwrap())
            .collect();
        let working = || holder(Activity::Working, begun);
        assert!(places.enter(network(FAR), working()).is_none());
        let _near = [
            places.enter(network(NEAR), working()).unwrap(),
            places.enter(network(NEAR), working()).unwrap(),
        ];
        // Two and two are fair shares.
        assert!(places.enter(network(NEAR), working()).is_none());
        assert_eq!(many.iter().filter(|holder| is_evicted(holder)).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_goes_before_one_that_is_served() {
        let places = Places::new(2);
        let slow = holder(Activity::WaitsForClient, Instant::now());
        let served = holder(Activity::Working, Instant::now());
        let _slow = places.enter(network(FAR), slow.clone()).unwrap();
        let _served = places.enter(network(FAR), served.clone()).unwrap();
        let newcomer = || holder(Activity::WaitsForClient, Instant::now());
        assert!(places.enter(network(FAR), newcomer()).is_none());
        tokio::time::advance(PATIENCE).await;
        assert!(places.enter(network(FAR), newcomer()).is_some());
        assert!(is_evicted(&slow) && !is_evicted(&served));
    }

    #[test]
    fn a_place_that_is_left_is_free_again() {
        let places = Places::new(1);
        let working = || holder(Activity::Working, Instant::now());
        let place = places.enter(network(FAR), working()).unwrap();
        assert!(places.enter(network(FAR), working()).is_none());
        drop(place);
        assert!(places.enter(network(FAR), working()).is_some());
        assert!(places.lock().of_networks.is_empty());
    }
}
