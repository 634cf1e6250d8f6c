//! How costs grow: over keys, and over threads.

use serde_json::{Value, json};
use tidegate::Limiter;

use crate::crews::{Governors, MOST_THREADS, Ours, Scene};
use crate::floor::Floor;
use crate::keys::{Stream, key, repeated};
use crate::measure::{Side, medians, side};
use crate::peers;
use crate::rows::Size;
use crate::subject::{
    acquire_batches, acquire_each, check_kept, lasting, limiter, try_acquire_each,
};

/// For figures.
pub const FULL: Size = Size { rounds: 101, calls: 10_000, keys: 10_000_000 };
/// To see that everything runs.
pub const QUICK: Size = Size { rounds: 7, calls: 1_000, keys: 10_000 };

/// Costs in ns, at one place of the curve.
#[derive(Clone, Debug)]
pub struct Point {
    /// Keys, or threads.
    pub at: u64,
    /// ns per call, by name.
    pub costs: Vec<(&'static str, f64)>,
}

type Call = fn(&Limiter, &[String]);
/// Asks for each of some keys.
type Work<'a> = Box<dyn FnMut(&[String]) + 'a>;

/// Calls of ours that are measured over keys: to add one, add a line.
const CALLS: [(&str, Call); 3] = [
    ("try_acquire", try_acquire_each),
    ("acquire", acquire_each),
    ("acquire_many", acquire_batches),
];
/// The name of the [`Floor`].
pub const FLOOR: &str = "floor";
/// The name of the peer.
pub const GOVERNOR: &str = "governor keyed";

/// One key, ten, a hundred, … of which each is as likely to come next.
pub fn over_keys(size: Size, progress: &dyn Fn(&str)) -> Vec<Point> {
    let counts = std::iter::successors(Some(1), |count| Some(count * 10));
    let counts = counts.take_while(|count| *count <= size.keys);
    let point = |count| {
        progress(&format!("{count} keys"));
        with_keys(size, count)
    };
    counts.map(point).collect()
}

/// All sides with `count` keys.
#[must_use]
pub fn with_keys(size: Size, count: u64) -> Point {
    let requests = repeated(count, size.calls);
    let ours = limiter(&lasting(count), count);
    let (floor, governor) = (Floor::new(count, ours.clock().clone()), peers::governor());
    // In another order than that of the requests.
    for number in 0..count {
        let key = key(number);
        assert!(ours.try_acquire(&key, 1) && governor.check_key(&key).is_ok());
    }
    let turn = |mut work: Work<'static>, share: f64| -> Side<'_> {
        let mut stream = Stream::starting_at(&requests, share);
        side(size.calls, move |calls| work(stream.take(calls)))
    };
    let mut names = vec![FLOOR, GOVERNOR];
    let mut sides = vec![
        turn(Box::new(move |keys| floor.touch_each(keys)), 0.0),
        turn(Box::new(move |keys| peers::check_each(&governor, keys)), 0.0),
    ];
    for (number, (name, call)) in CALLS.into_iter().enumerate() {
        let (ours, share) = (ours.clone(), number as f64 / CALLS.len() as f64);
        names.push(name);
        sides.push(turn(Box::new(move |keys| call(&ours, keys)), share));
    }
    let costs = medians(size.rounds, &mut sides);
    let asked = CALLS.len() as u64 * (size.rounds as u64 + 1) * size.calls;
    assert_eq!(ours.stats().allowed, asked + count, "every request was admitted");
    check_kept(&ours, count);
    Point { at: count, costs: names.into_iter().zip(costs).collect() }
}

/// One thread, two, four, in each [`Scene`]. Costs are ns of real time per call of all threads.
pub fn over_threads(size: Size, progress: &dyn Fn(&str)) -> Vec<(Scene, Vec<Point>)> {
    // Longer turns: threads never start and end at the very same time.
    let (calls, rounds) = (size.calls * 5, (size.rounds / 3).max(7));
    let counts = [1, 2, MOST_THREADS];
    let scene = |scene: Scene| {
        progress(&format!("threads: {}", scene.name()));
        let (ours, governors) = (Ours::new(scene), Governors::new(scene));
        let mut sides: Vec<Side<'_>> = Vec::new();
        for threads in counts {
            sides.push(ours.side(threads, calls));
            sides.push(governors.side(threads, calls));
        }
        let costs = medians(rounds, &mut sides);
        let threads: u64 = counts.iter().sum::<usize>() as u64;
        ours.check(threads * (rounds as u64 + 1) * calls);
        let point = |(threads, costs): (usize, &[f64])| Point {
            at: threads as u64,
            costs: vec![("Tidegate", costs[0]), (GOVERNOR, costs[1])],
        };
        (scene, counts.into_iter().zip(costs.chunks(2)).map(point).collect())
    };
    Scene::DRAWN.into_iter().map(scene).collect()
}

/// Points as rows of `{"keys": 10, "ns": {"floor": 31.5, …}}`.
#[must_use]
pub fn json(unit: &str, points: &[Point]) -> Value {
    let row = |point: &Point| {
        let costs: serde_json::Map<String, Value> =
            point.costs.iter().map(|(name, ns)| ((*name).to_owned(), tenths(*ns))).collect();
        json!({ unit: point.at, "ns": costs })
    };
    points.iter().map(row).collect()
}

/// To a tenth: what is behind that is chance.
fn tenths(value: f64) -> Value {
    json!((value * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_side_is_measured_at_every_count() {
        let size = Size { rounds: 1, calls: 100, keys: 100 };
        let points = over_keys(size, &|_| ());
        assert_eq!(points.iter().map(|point| point.at).collect::<Vec<_>>(), [1, 10, 100]);
        let names = [FLOOR, GOVERNOR, "try_acquire", "acquire", "acquire_many"];
        for point in &points {
            assert_eq!(point.costs.iter().map(|(name, _)| *name).collect::<Vec<_>>(), names);
            assert!(point.costs.iter().all(|(_, ns)| *ns > 0.0));
        }
        let scenes = over_threads(size, &|_| ());
        assert_eq!(scenes.iter().map(|(scene, _)| *scene).collect::<Vec<_>>(), Scene::DRAWN);
        assert!(scenes.iter().all(|(_, points)| points.len() == 3));
    }

    #[test]
    fn points_are_written_with_their_names() {
        let points = [Point { at: 10, costs: vec![("floor", 31.46)] }];
        assert_eq!(json("keys", &points).to_string(), r#"[{"keys":10,"ns":{"floor":31.5}}]"#);
    }
}
