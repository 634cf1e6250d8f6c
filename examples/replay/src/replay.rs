//! The Rust host: the crate's own API.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use tidegate::{Decision, Limiter, Policy, Snapshot, Timestamp};

use crate::event::{self, Event, What};
use crate::outcome::{self, Bucket, Summary};

/// The same events are run through so many fresh limiters, for a steady time.
const PASSES: usize = 5;

struct Call<'a> {
    at: Timestamp,
    key: &'a [u8],
    what: What,
}

/// Replays an event file through a policy, and writes decisions and summary into `out`.
pub fn run(events: &Path, policy: &Path, out: &Path) -> Result<()> {
    let events = event::read(events)?;
    let calls = calls(&events)?;
    // The engine's message is whole; its cause would only say the same again.
    let policy = Policy::from_file(policy).map_err(|error| anyhow!("{error}"))?;
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..PASSES {
        let (limiter, decisions, time) = pass(&calls, policy.clone())?;
        times.push(time);
        last = Some((limiter, decisions));
    }
    times.sort();
    let (limiter, decisions) = last.context("no pass was made")?;
    // `event::read` made sure that the last event is the snapshot.
    let end = &calls[calls.len() - 1];
    let snapshot = limiter.snapshot_at(end.key, end.at)?;
    write(out, &decisions, times[PASSES / 2], &snapshot)
}

fn calls(events: &[Event]) -> Result<Vec<Call<'_>>> {
    let mut calls = Vec::with_capacity(events.len());
    for Event { at_ns, key, what } in events {
        calls.push(Call { at: Timestamp::from_nanos(*at_ns)?, key, what: *what });
    }
    Ok(calls)
}

/// One limiter, all events: its decisions by request, and the time that the calls took.
fn pass(calls: &[Call], policy: Policy) -> Result<(Limiter, Vec<Option<Decision>>, Duration)> {
    let limiter = Limiter::new(policy)?;
    let mut decisions = vec![None; calls.len()];
    let start = Instant::now();
    for &Call { at, key, what } in calls {
        match what {
            What::Arrival { id } => decisions[id] = Some(limiter.acquire_at(key, 1, at)?),
            What::Latency { id, duration_ns } => {
                if decisions[id].is_some_and(|decision| decision.allowed()) {
                    limiter.record_latency_at(key, Duration::from_nanos(duration_ns), at)?;
                }
            }
            What::Snapshot => {}
        }
    }
    Ok((limiter, decisions, start.elapsed()))
}

fn write(
    out: &Path,
    decisions: &[Option<Decision>],
    time: Duration,
    snapshot: &Snapshot,
) -> Result<()> {
    let taken = || decisions.iter().enumerate().filter_map(|(id, d)| Some((id, d.as_ref()?)));
    let mut text = String::new();
    for (id, decision) in taken() {
        text.push_str(&outcome::line(id, decision));
        text.push('\n');
    }
    let summary = Summary {
        decisions: taken().count(),
        admitted: taken().filter(|(_, decision)| decision.allowed()).count(),
        seconds: time.as_secs_f64(),
        buckets: buckets(snapshot),
    };
    let path = outcome::decisions_path(out, "rust");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let path = outcome::summary_path(out, "rust");
    fs::write(&path, serde_json::to_string_pretty(&summary)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn buckets(snapshot: &Snapshot) -> Vec<Bucket> {
    let bucket = |bucket: &tidegate::BucketSnapshot| Bucket {
        limit: bucket.limit.clone(),
        name: bucket.name.clone(),
        method: bucket.method.as_str().to_owned(),
        quota: bucket.quota,
        capacity: bucket.capacity,
        used: bucket.used,
        remaining: bucket.remaining,
        refresh_after_ns: u64::try_from(bucket.refresh_after.as_nanos()).unwrap_or(u64::MAX),
    };
    snapshot.buckets.iter().map(bucket).collect()
}
