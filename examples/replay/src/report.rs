//! Compares what the hosts left behind, and shows it as one table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};

use crate::event::{self, Event, What};
use crate::outcome::{self, Bucket, FIELDS, Summary};
use crate::prepare::shown;

/// What one host left behind.
struct Host {
    name: String,
    /// Line by line.
    decisions: Vec<String>,
    summary: Summary,
}

/// Compares the hosts, then prints the table.
///
/// # Errors
/// When a host's files are missing, malformed or incomplete, or differ from the first host's: the
/// first difference is named.
pub fn run(events: &Path, out: &Path, hosts: &[String]) -> Result<()> {
    ensure!(hosts.len() > 1, "report: name two hosts or more, such as: rust c python node");
    let events = event::read(events)?;
    let hosts = hosts.iter().map(|host| read(out, host)).collect::<Result<Vec<Host>>>()?;
    let (first, others) = (&hosts[0], &hosts[1..]);
    complete(&events, first)?;
    for other in others {
        same(&events, first, other)?;
    }
    println!("{}", table(&events, &hosts)?);
    println!(
        "a second: with the charge of each request's time, by the calls with an explicit time"
    );
    println!(
        "all {} decisions are the same in all {} hosts: {}",
        first.decisions.len(),
        hosts.len(),
        FIELDS[1..].join(", ")
    );
    Ok(())
}

fn read(out: &Path, host: &str) -> Result<Host> {
    let path = outcome::decisions_path(out, host);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let decisions: Vec<String> = text.lines().map(str::to_owned).collect();
    let path = outcome::summary_path(out, host);
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let summary: Summary =
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    Ok(Host { name: host.to_owned(), decisions, summary })
}

/// Does the host hold one well-formed decision for every request, and does its summary agree?
fn complete(events: &[Event], host: &Host) -> Result<()> {
    let name = &host.name;
    let requests = events.iter().filter(|event| matches!(event.what, What::Arrival { .. })).count();
    let mut admitted = 0;
    for (id, line) in host.decisions.iter().enumerate() {
        let fields =
            outcome::fields(line).with_context(|| format!("{name}: no decision: {line:?}"))?;
        ensure!(fields[0] == id.to_string(), "{name}: request {id} is missing before {line:?}");
        admitted += usize::from(fields[1] == "1");
    }
    let decided = host.decisions.len();
    ensure!(decided == requests, "{name}: decided {decided} requests of {requests}");
    let summary = (host.summary.decisions, host.summary.admitted);
    ensure!(
        summary == (decided, admitted),
        "{name}: the summary's (decisions, admitted) are {summary:?}, the decisions say {:?}",
        (decided, admitted)
    );
    Ok(())
}

/// Fails with the first difference between two hosts.
fn same(events: &[Event], a: &Host, b: &Host) -> Result<()> {
    for (id, (ours, theirs)) in a.decisions.iter().zip(&b.decisions).enumerate() {
        if ours != theirs {
            bail!("{} and {} differ {}", a.name, b.name, difference(events, id, ours, theirs));
        }
    }
    complete(events, b)?;
    for (ours, theirs) in a.summary.buckets.iter().zip(&b.summary.buckets) {
        ensure!(
            ours == theirs,
            "{} and {} differ in what is left: {ours:?} and {theirs:?}",
            a.name,
            b.name
        );
    }
    let (ours, theirs) = (a.summary.buckets.len(), b.summary.buckets.len());
    ensure!(ours == theirs, "{} shows {ours} buckets, {} shows {theirs}", a.name, b.name);
    Ok(())
}

fn difference(events: &[Event], id: usize, ours: &str, theirs: &str) -> String {
    let request = events.iter().find(|event| event.what == What::Arrival { id });
    let of = request.map_or_else(String::new, |event| {
        format!(" (key {} at {})", event::encode(&event.key), shown(event.at_ns))
    });
    let fields = match (outcome::fields(ours), outcome::fields(theirs)) {
        (Some(ours), Some(theirs)) => FIELDS
            .iter()
            .zip(ours.iter().zip(theirs))
            .filter(|(_, (ours, theirs))| *ours != theirs)
            .map(|(field, (ours, theirs))| format!("{field} {ours:?} and {theirs:?}"))
            .collect::<Vec<_>>()
            .join(", "),
        _ => format!("{ours:?} and {theirs:?}"),
    };
    format!("at request {id}{of}: {fields}")
}

fn table(events: &[Event], hosts: &[Host]) -> Result<Table> {
    let buckets = &hosts[0].summary.buckets;
    let limits = limits(buckets);
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    let mut header = vec!["host".to_owned(), "admitted".to_owned()];
    header.extend(limits.iter().map(|limit| format!("denied by\n{limit}")));
    header.extend(buckets.iter().map(|bucket| format!("left of\n{}", bucket.name)));
    header.push("decisions\na second".to_owned());
    table.set_header(header);
    for host in hosts {
        let denied = denied(host);
        let count = |limit: &str| denied.get(limit).copied().unwrap_or(0).to_string();
        let mut row = vec![host.name.clone(), host.summary.admitted.to_string()];
        row.extend(limits.iter().map(|limit| count(limit)));
        row.extend(host.summary.buckets.iter().map(left));
        row.push(a_second(&host.summary));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    // `event::read` made sure that the last event is the snapshot.
    let last = &events[events.len() - 1];
    println!("left: of {}, the busiest key, at {}", event::encode(&last.key), shown(last.at_ns));
    Ok(table)
}

/// The names of the limits, in the order of the policy.
fn limits(buckets: &[Bucket]) -> Vec<&str> {
    let mut names: Vec<&str> = buckets.iter().map(|bucket| &bucket.limit[..]).collect();
    names.dedup();
    names
}

/// How many requests each limit denied.
fn denied(host: &Host) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    let fields = host.decisions.iter().filter_map(|line| outcome::fields(line));
    for [_, allowed, .., name] in fields {
        if allowed != "1" {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts
}

/// Latency in seconds, anything else as it is.
fn left(bucket: &Bucket) -> String {
    if bucket.method != "latency" {
        return bucket.remaining.to_string();
    }
    let (seconds, millis) = (bucket.remaining / 1_000_000_000, bucket.remaining / 1_000_000 % 1000);
    format!("{seconds}.{millis:03} s")
}

fn a_second(summary: &Summary) -> String {
    let rate = summary.decisions as f64 / summary.seconds;
    if rate >= 1e6 { format!("{:.2} M", rate / 1e6) } else { format!("{:.0} k", rate / 1e3) }
}
