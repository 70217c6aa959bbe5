//! How far a run is: a bar on a terminal, otherwise a line a minute and one at the end.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

const LINE_EVERY: Duration = Duration::from_mins(1);
const FINISHED: &str = "finished";
const BAR_EVERY: Duration = Duration::from_millis(200);

/// The counters of a run. Cheap to share.
#[derive(Debug, Default)]
pub struct Counters {
    /// What was read from the disk, and the request to stop reading.
    pub reading: disk::Progress,
    uploaded: AtomicU64,
}

impl Counters {
    /// Adds bytes that the destination took.
    pub fn add_uploaded(&self, bytes: u64) {
        self.uploaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that the destination took.
    pub fn uploaded(&self) -> u64 {
        self.uploaded.load(Ordering::Relaxed)
    }
}

/// Shows the counters until it is finished.
#[derive(Debug)]
pub struct Reporter {
    counters: Arc<Counters>,
    started: Instant,
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl Reporter {
    /// Starts to show `counters`.
    pub fn start(counters: Arc<Counters>) -> Self {
        let started = Instant::now();
        let bar = std::io::stderr().is_terminal().then(bar);
        let (shown, on_terminal) = (Arc::clone(&counters), bar.clone());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(if on_terminal.is_some() { BAR_EVERY } else { LINE_EVERY });
            tick.tick().await;
            loop {
                tick.tick().await;
                match &on_terminal {
                    Some(bar) => draw(bar, &shown),
                    None => log(&shown, started, "progress"),
                }
            }
        });
        Self { counters, started, task, bar }
    }

    /// Ends the show with a final line.
    pub fn finish(self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        log(&self.counters, self.started, FINISHED);
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn draw(bar: &ProgressBar, counters: &Counters) {
    let read = counters.reading.bytes_read();
    bar.set_length(counters.reading.total_bytes().max(read));
    bar.set_position(read);
    bar.set_message(match counters.uploaded() {
        // A verification uploads nothing.
        0 => String::new(),
        uploaded => format!("{} uploaded, {} files", HumanBytes(uploaded), counters.reading.files()),
    });
}

fn log(counters: &Counters, started: Instant, what: &str) {
    let read = counters.reading.bytes_read();
    let elapsed = started.elapsed();
    let rate = bytes_per_second(read, elapsed);
    // The total is an estimate: what is finished has nothing left.
    let left = seconds_left(read, counters.reading.total_bytes(), rate).filter(|_| what != FINISHED);
    tracing::info!(
        bytes_read = read,
        bytes_total = counters.reading.total_bytes(),
        bytes_uploaded = counters.uploaded(),
        files = counters.reading.files(),
        bytes_per_second = rate,
        seconds = elapsed.as_secs(),
        seconds_left = left,
        "{what}: {} read in {}{}",
        HumanBytes(read),
        HumanDuration(elapsed),
        match counters.uploaded() {
            0 => String::new(),
            uploaded => format!(", {} uploaded", HumanBytes(uploaded)),
        },
    );
}

fn bytes_per_second(bytes: u64, elapsed: Duration) -> u64 {
    let milliseconds = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / milliseconds).unwrap_or(u64::MAX)
}

/// `None` while the total or the rate is unknown.
fn seconds_left(done: u64, total: u64, rate: u64) -> Option<u64> {
    total.checked_sub(done).filter(|left| *left > 0)?.checked_div(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_told_only_when_it_is_known() {
        assert_eq!(bytes_per_second(1000, Duration::from_secs(10)), 100);
        assert_eq!(seconds_left(400, 1000, 100), Some(6));
        assert_eq!(seconds_left(400, 0, 100), None);
        assert_eq!(seconds_left(400, 1000, 0), None);
    }
}
