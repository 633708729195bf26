//! A door in a reply that a test opens.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Holds back what follows it in a reply; each opening lets one reply pass it once.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Gate {
        Gate::new()
    }
}

impl Gate {
    /// Returns a gate that is shut.
    pub fn new() -> Gate {
        Gate(Arc::new(Semaphore::new(0)))
    }

    /// Lets one reply pass; openings add up.
    pub fn open(&self) {
        self.0.add_permits(1);
    }

    /// Lets every reply pass from now on.
    pub fn open_for_good(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        // A closed semaphore is the gate that stays open.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}
