//! The examples of docs/http.md are what the engine says; its program runs with the documentation's examples.

use std::time::Duration;

use tidegate::{BodyStyle, Decision, HeaderStyle, Limiter, Policy, Timestamp};

const GUIDE: &str = include_str!("../../docs/http.md");
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A fenced block: the words of its first line, and its text.
struct Block {
    words: Vec<&'static str>,
    text: &'static str,
}

fn blocks(language: &str) -> Vec<Block> {
    // Every second piece lies between two fences.
    let fenced = GUIDE.split("```").skip(1).step_by(2);
    let blocks = fenced.map(|block| {
        let (first, text) = block.split_once('\n').expect("a fence of its own line");
        Block { words: first.split(' ').collect(), text }
    });
    blocks.filter(|block| block.words[0] == language).collect()
}

/// What the guide tells of each of its situations, made with its own policy.
fn situation(name: &str) -> Decision {
    let [policy] = &blocks("toml")[..] else { panic!("one policy") };
    let limiter =
        Limiter::new(Policy::from_toml(policy.text).expect("a policy")).expect("a limiter");
    let acquire = |cost| limiter.acquire_at("key", cost, NOW).expect("a decision");
    let spend = |millis| limiter.record_latency_at("key", Duration::from_millis(millis), NOW);
    match name {
        "admitted" => acquire(40),
        "limited" => {
            acquire(100);
            acquire(1)
        }
        "impossible" => acquire(101),
        "time" => {
            spend(29_500).expect("charged");
            acquire(1)
        }
        "time-over" => {
            spend(30_000).expect("charged");
            acquire(1)
        }
        "connections" => {
            for _ in 0..5 {
                acquire(1);
            }
            acquire(1)
        }
        "blocked" => {
            limiter.block_at("key", Duration::from_secs(30), NOW).expect("blocked");
            acquire(1)
        }
        _ => panic!("no such situation: {name}"),
    }
}

fn response(decision: &Decision, headers: HeaderStyle, body: Option<BodyStyle>) -> String {
    let phrase = if decision.allowed() { "OK" } else { "Too Many Requests" };
    let mut text = format!("HTTP/1.1 {} {phrase}\n", decision.status());
    for (name, value) in decision.headers(headers) {
        text += &format!("{name}: {value}\n");
    }
    if let Some(body) = body.map(|style| decision.body(style)) {
        text += &format!("Content-Type: {}\n\n{}\n", body.content_type, body.text);
    }
    text
}

#[test]
fn the_guide_says_what_the_engine_says() {
    let examples = blocks("http");
    for Block { words, text } in &examples {
        let [_, name, headers, body @ ..] = &words[..] else {
            panic!("http SITUATION HEADERS [BODY]")
        };
        let headers = HeaderStyle::from_name(headers).expect(headers);
        let body = body.first().map(|body| BodyStyle::from_name(body).expect(body));
        assert_eq!(*text, response(&situation(name), headers, body), "{words:?}");
    }
    // A block with another first line would be overlooked.
    assert_eq!(examples.len(), GUIDE.matches("\nHTTP/1.1 ").count());
    assert!(examples.len() >= 8);
}

#[test]
fn a_client_that_waits_as_told_is_admitted() {
    for (policy, cost) in [("100/minute", 100), ("7/minute", 3), ("3 per 100ms", 3), ("5/hour", 5)]
    {
        let limiter = Limiter::new(policy).expect(policy);
        let mut now = NOW;
        while limiter.acquire_at("key", cost, now).expect("a decision").allowed() {}
        let denial = limiter.acquire_at("key", cost, now).expect("a decision");
        let headers = denial.headers(HeaderStyle::Draft);
        let seconds: u64 =
            headers.get("retry-after").expect("a wait").parse().expect("whole seconds");
        now = now.saturating_add(Duration::from_secs(seconds));
        assert!(limiter.peek_at("key", cost, now).expect("a decision").allowed(), "{policy}");
        // And the second is not one too many.
        let early = now.saturating_sub(Duration::from_secs(1));
        assert!(
            seconds == 1 || !limiter.peek_at("key", cost, early).expect("a decision").allowed()
        );
    }
}
