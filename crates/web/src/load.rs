//! How much is answered at once. What comes beyond that is refused at once, before everybody waits for everybody.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Who waits with whom: a crowd in one lane takes no place in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Devices that start or poll: they wait for the store only.
    Devices,
    /// People on our pages.
    People,
    /// Whatever waits for the user pool: refreshes, revocations, and people who come back from there.
    Pool,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 3] = [Self::Devices, Self::People, Self::Pool];

    /// The lane's name, as metrics have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Devices => "devices",
            Self::People => "people",
            Self::Pool => "pool",
        }
    }
}

/// The places of this replica: as many in each lane.
#[derive(Debug)]
pub struct Load {
    limit: usize,
    lanes: [Places; Lane::ALL.len()],
}

#[derive(Debug)]
struct Places {
    free: Semaphore,
    refused: AtomicU64,
}

impl Load {
    /// `limit` places in each lane.
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(Semaphore::MAX_PERMITS);
        let lanes = Lane::ALL.map(|_| Places { free: Semaphore::new(limit), refused: AtomicU64::default() });
        Self { limit, lanes }
    }

    /// Places in each lane.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many are being answered in `lane`.
    pub fn busy(&self, lane: Lane) -> usize {
        self.limit - self.places(lane).free.available_permits()
    }

    /// How many were refused in `lane` so far.
    pub fn refused(&self, lane: Lane) -> u64 {
        self.places(lane).refused.load(Ordering::Relaxed)
    }

    /// A place until it is dropped; `None` when all are taken. Nobody waits for one.
    pub(crate) fn enter(&self, lane: Lane) -> Option<SemaphorePermit<'_>> {
        let places = self.places(lane);
        let place = places.free.try_acquire().ok();
        if place.is_none() {
            places.refused.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    fn places(&self, lane: Lane) -> &Places {
        &self.lanes[lane as usize]
    }
}
