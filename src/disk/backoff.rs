//! Waiting for somebody else, a little longer each time, up to a deadline.

use std::time::Duration;
use std::time::Instant;

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(30);

/// Pauses between attempts: from 1 ms doubling to 30 ms, each shortened by chance so that those who wait for the
/// same thing don't come back together.
#[derive(Debug)]
pub struct Backoff {
    deadline: Instant,
    next: Duration,
}

impl Backoff {
    /// Returns pauses that end at `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, next: SHORTEST }
    }

    /// Pauses and returns true, or returns false at once when the deadline has passed.
    pub fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let shortened = self.next * fastrand::u32(50..=100) / 100;
        std::thread::sleep(shortened.min(left));
        self.next = (self.next * 2).min(LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_until_the_deadline_and_no_longer() {
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut backoff = Backoff::until(deadline);
        while backoff.pause() {}
        assert!(Instant::now() >= deadline);
        assert!(!backoff.pause());
    }
}
