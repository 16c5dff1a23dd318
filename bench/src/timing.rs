//! Medians over several runs.

use std::time::{Duration, Instant};

/// How long `work` takes.
pub fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// The median of `runs` durations of `work`.
pub fn median(runs: usize, mut work: impl FnMut() -> Duration) -> Duration {
    median_of((0..runs).map(|_| work()).collect())
}

/// The middle one; zero of none.
pub fn median_of(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// So many things in that time, a second.
pub fn per_second(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Milliseconds.
pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
