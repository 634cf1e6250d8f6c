//! From a log to an event file.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;

use crate::event::{self, Event, What};
use crate::log::{self, Log, Request};

/// So many numbers of broken lines are shown.
const SHOWN: usize = 5;

/// Reads a log, writes its events, and says on standard output what was read.
pub fn run(log: &Path, events: &Path) -> Result<()> {
    let Log { format, mut requests, broken } = log::read(log)?;
    requests.sort_by_key(|request| request.arrival_ns);
    event::write(events, &merged(&requests))?;
    // A log that was read holds at least one request.
    let (first, last) = (&requests[0], &requests[requests.len() - 1]);
    println!(
        "{}: {format}, {} requests of {} keys, {} to {}",
        log.display(),
        requests.len(),
        counts(&requests).len(),
        shown(first.arrival_ns),
        shown(last.arrival_ns),
    );
    if !broken.is_empty() {
        println!("{}", broken_lines(&broken));
    }
    Ok(())
}

/// Arrivals and ends in order of time, then the snapshot of the busiest key.
fn merged(requests: &[Request]) -> Vec<Event> {
    let mut events = Vec::with_capacity(requests.len() * 2 + 1);
    for (id, request) in requests.iter().enumerate() {
        let key = request.key.clone();
        let what = What::Arrival { id };
        events.push(Event { at_ns: request.arrival_ns, key: key.clone(), what });
        // No time spent, nothing to charge. (It also keeps each end behind its own arrival.)
        if request.duration_ns > 0 {
            let what = What::Latency { id, duration_ns: request.duration_ns };
            events.push(Event { at_ns: request.end_ns(), key, what });
        }
    }
    // Stable: an end was put in before every arrival of the same nanosecond, and stays there.
    events.sort_by_key(|event| event.at_ns);
    let at_ns = events.last().map_or(0, |event| event.at_ns);
    events.push(Event { at_ns, key: busiest(requests).to_vec(), what: What::Snapshot });
    events
}

/// The key with most requests, of equals the smallest.
fn busiest(requests: &[Request]) -> &[u8] {
    let most = counts(requests).into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)));
    most.map_or(&[], |(key, _)| key)
}

fn counts(requests: &[Request]) -> HashMap<&[u8], usize> {
    let mut counts = HashMap::new();
    for request in requests {
        *counts.entry(&request.key[..]).or_default() += 1;
    }
    counts
}

fn broken_lines(broken: &[usize]) -> String {
    let numbers: Vec<String> = broken.iter().take(SHOWN).map(usize::to_string).collect();
    let more = if broken.len() > SHOWN { ", …" } else { "" };
    let (lines, at) = if broken.len() == 1 { ("line", "at line") } else { ("lines", "at lines") };
    format!("{} broken {lines} left out, {at} {}{more}", broken.len(), numbers.join(", "))
}

/// A time as people read it.
pub fn shown(at_ns: u64) -> String {
    let time = Timestamp::from_nanosecond(i128::from(at_ns));
    time.map_or_else(|_| format!("{at_ns} ns"), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arrival_ns: u64, key: &str, duration_ns: u64) -> Request {
        Request { arrival_ns, key: key.into(), duration_ns }
    }

    #[test]
    fn events_are_merged_in_order_of_time() {
        let requests = [request(10, "b", 0), request(10, "a", 30), request(40, "a", 5)];
        let events: Vec<_> =
            merged(&requests).iter().map(|event| (event.at_ns, event.what)).collect();
        assert_eq!(
            events,
            [
                (10, What::Arrival { id: 0 }),
                (10, What::Arrival { id: 1 }),
                // An end comes before an arrival of the same nanosecond.
                (40, What::Latency { id: 1, duration_ns: 30 }),
                (40, What::Arrival { id: 2 }),
                (45, What::Latency { id: 2, duration_ns: 5 }),
                (45, What::Snapshot),
            ]
        );
    }

    #[test]
    fn the_busiest_key() {
        let requests = [request(1, "c", 0), request(2, "b", 0), request(3, "c", 0)];
        assert_eq!(busiest(&requests), b"c");
        assert_eq!(busiest(&requests[..2]), b"b");
    }

    #[test]
    fn broken_lines_are_counted_and_the_first_are_named() {
        assert_eq!(broken_lines(&[7]), "1 broken line left out, at line 7");
        assert_eq!(
            broken_lines(&[1, 2, 3, 4, 5, 6]),
            "6 broken lines left out, at lines 1, 2, 3, 4, 5, …"
        );
    }
}
