//! Every reason and method in every style, byte by byte; then any decision at all.

use proptest::prelude::*;
use sfv::{BareItem, Item, List, ListEntry, Parser};

use super::*;
use crate::decision::Numbers;
use crate::names::Name;
use crate::rate::{DAY, MINUTE};
use crate::terms::Terms;

/// 2023-11-14T22:13:20Z
const NOW: u64 = 1_700_000_000 * SECOND;

fn terms(name: &str, method: Method, window: u64) -> Terms {
    Terms { name: Name::intern(name), method, window, ..Terms::NONE }
}

fn numbers(
    reason: Reason,
    limit: u64,
    remaining: u64,
    retry_after: u64,
    reset_after: u64,
) -> Numbers {
    Numbers { reason, limit, remaining, retry_after, reset_after }
}

fn decide(terms: Terms, numbers: Numbers) -> Decision {
    Decision::new(terms.intern(), numbers, NOW)
}

fn lines(headers: &Headers) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

/// What a decision should say.
struct Told<'a> {
    legacy: Vec<&'a str>,
    draft: &'a [&'a str],
    retry: &'a [&'a str],
    /// Error, message, problem; none of an admission.
    bodies: [&'a str; 3],
}

fn expect(decision: Decision, told: Told) {
    let Told { legacy, draft, retry, bodies } = &told;
    assert_eq!(lines(&decision.headers(HeaderStyle::Legacy)), [legacy.as_slice(), *retry].concat());
    assert_eq!(lines(&decision.headers(HeaderStyle::Draft)), [*draft, *retry].concat());
    assert_eq!(
        lines(&decision.headers(HeaderStyle::Both)),
        [legacy.as_slice(), *draft, *retry].concat()
    );
    let styles = [BodyStyle::Error, BodyStyle::Message, BodyStyle::Problem];
    assert_eq!(styles.map(|style| decision.body(style).text), *bodies);
    assert_eq!(decision.status(), if decision.allowed() { 200 } else { 429 });
}

#[test]
fn p9_an_admission_has_headers_and_no_body() {
    expect(
        decide(
            terms("requests", Method::Count, MINUTE),
            numbers(Reason::Ok, 100, 60, 0, 23_000_000_001),
        ),
        Told {
            legacy: vec![
                "X-RateLimit-Limit: 100",
                "X-RateLimit-Remaining: 60",
                "X-RateLimit-Reset: 1700000024",
            ],
            draft: &[
                r#"RateLimit-Policy: "requests";q=100;w=60"#,
                r#"RateLimit: "requests";r=60;t=24"#,
            ],
            retry: &[],
            bodies: ["", "", ""],
        },
    );
}

#[test]
fn p10_a_denial_tells_how_long_to_wait() {
    expect(
        decide(
            Terms { plan: Name::intern("pro"), ..terms("requests", Method::Count, MINUTE) },
            numbers(Reason::Limited, 100, 2, 1, 30 * SECOND),
        ),
        Told {
            legacy: vec![
                "X-RateLimit-Limit: 100",
                "X-RateLimit-Remaining: 2",
                "X-RateLimit-Reset: 1700000030",
            ],
            draft: &[
                r#"RateLimit-Policy: "requests";q=100;w=60"#,
                r#"RateLimit: "requests";r=2;t=1"#,
            ],
            retry: &["Retry-After: 1"],
            bodies: [
                r#"{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"The limit \"requests\" has no room for the request. Try again in 1 second.","details":{"limit":100,"remaining":2,"reset_at":"2023-11-14T22:13:50Z","retry_after_seconds":1,"plan":"pro"}}}"#,
                r#"{"message":"Too many requests","code":429}"#,
                r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"The limit \"requests\" has no room for the request. Try again in 1 second.","violated-policies":["requests"]}"#,
            ],
        },
    );
}

#[test]
fn a5_the_policys_own_words_are_said_and_escaped() {
    let words = Terms {
        message: Name::intern("Zu \"schnell\"\n\u{7}— bitte warten"),
        ..terms("a\"b\\c", Method::Count, 1_500_000_000)
    };
    expect(
        decide(words, numbers(Reason::Limited, 5, 0, 2 * SECOND + 1, 2 * SECOND + 1)),
        Told {
            legacy: vec![
                "X-RateLimit-Limit: 5",
                "X-RateLimit-Remaining: 0",
                "X-RateLimit-Reset: 1700000003",
            ],
            // The draft knows whole seconds only, so there is no window.
            draft: &[r#"RateLimit-Policy: "a\"b\\c";q=5"#, r#"RateLimit: "a\"b\\c";r=0;t=3"#],
            retry: &["Retry-After: 3"],
            bodies: [
                r#"{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Zu \"schnell\"\n\u0007— bitte warten","details":{"limit":5,"remaining":0,"reset_at":"2023-11-14T22:13:23Z","retry_after_seconds":3,"plan":null}}}"#,
                r#"{"message":"Zu \"schnell\"\n\u0007— bitte warten","code":429}"#,
                r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"Zu \"schnell\"\n\u0007— bitte warten","violated-policies":["a\"b\\c"]}"#,
            ],
        },
    );
}

#[test]
fn p3_a_cascade_has_a_pool_for_bursts_and_no_window() {
    let cascade = Terms { later_quota: 10, ..terms("minute", Method::Count, MINUTE) };
    expect(
        decide(cascade, numbers(Reason::Ok, 70, 12, 0, DAY)).with_burst(Some(10)),
        Told {
            legacy: vec![
                "X-RateLimit-Limit: 60",
                "X-RateLimit-Remaining: 2",
                "X-RateLimit-Reset: 1700086400",
                "X-RateLimit-Burst: 10",
            ],
            draft: &[r#"RateLimit-Policy: "minute";q=70"#, r#"RateLimit: "minute";r=12;t=86400"#],
            retry: &[],
            bodies: ["", "", ""],
        },
    );
}

#[test]
fn a_latency_limit_speaks_of_milliseconds() {
    let time = terms("time", Method::Latency, MINUTE);
    let told = |remaining, draft| Told {
        legacy: vec!["X-RateLimit-Limit: 30000", remaining, "X-RateLimit-Reset: 1700000060"],
        draft,
        retry: &[],
        bodies: ["", "", ""],
    };
    let admission = |left| decide(time, numbers(Reason::Ok, 30 * SECOND, left, 0, MINUTE));
    expect(admission(1_999_999), told("X-RateLimit-Remaining: 1", &[]));
    // Less than a millisecond is not nothing.
    expect(admission(1), told("X-RateLimit-Remaining: 0", &[]));
    expect(admission(0), told("X-RateLimit-Remaining: 0", &[r#"RateLimit: "time";r=0;t=60"#]));
    expect(
        decide(time, numbers(Reason::Limited, 30 * SECOND, 0, 9 * SECOND, MINUTE)),
        Told {
            retry: &["Retry-After: 9"],
            bodies: [
                r#"{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"The limit \"time\" has no room for the request. Try again in 9 seconds.","details":{"limit":30000,"remaining":0,"reset_at":"2023-11-14T22:14:20Z","retry_after_seconds":9,"plan":null}}}"#,
                r#"{"message":"Too many requests","code":429}"#,
                r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"The limit \"time\" has no room for the request. Try again in 9 seconds.","violated-policies":["time"]}"#,
            ],
            ..told("X-RateLimit-Remaining: 0", &[r#"RateLimit: "time";r=0;t=9"#])
        },
    );
}

#[test]
fn a_pool_is_one_of_requests_whatever_the_limit_counts() {
    let time = terms("time", Method::Latency, MINUTE);
    let decision = decide(time, numbers(Reason::Ok, SECOND, SECOND, 0, 0)).with_burst(Some(7));
    assert_eq!(decision.headers(HeaderStyle::Legacy).get("x-ratelimit-burst"), Some("7"));
}

#[test]
fn p6_permits_have_no_window_and_come_back_any_time() {
    let connections = terms("connections", Method::Concurrency, 0);
    let told = |remaining, draft| Told {
        legacy: vec!["X-RateLimit-Limit: 5", remaining, "X-RateLimit-Reset: 1700000001"],
        draft,
        retry: &[],
        bodies: ["", "", ""],
    };
    expect(
        decide(connections, numbers(Reason::Ok, 5, 3, 0, SECOND)),
        told(
            "X-RateLimit-Remaining: 3",
            &[
                r#"RateLimit-Policy: "connections";q=5;qu="concurrent-requests""#,
                r#"RateLimit: "connections";r=3"#,
            ],
        ),
    );
    expect(
        decide(connections, numbers(Reason::Limited, 5, 0, SECOND, SECOND)),
        Told {
            retry: &["Retry-After: 1"],
            bodies: [
                r#"{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"The limit \"connections\" has no room for the request. Try again in 1 second.","details":{"limit":5,"remaining":0,"reset_at":"2023-11-14T22:13:21Z","retry_after_seconds":1,"plan":null}}}"#,
                r#"{"message":"Too many requests","code":429}"#,
                r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"The limit \"connections\" has no room for the request. Try again in 1 second.","violated-policies":["connections"]}"#,
            ],
            ..told(
                "X-RateLimit-Remaining: 0",
                &[
                    r#"RateLimit-Policy: "connections";q=5;qu="concurrent-requests""#,
                    r#"RateLimit: "connections";r=0"#,
                ],
            )
        },
    );
}

#[test]
fn a_block_has_no_limit_to_tell_of() {
    expect(
        Decision::blocked(30 * SECOND, NOW),
        Told {
            legacy: vec![],
            draft: &[],
            retry: &["Retry-After: 30"],
            bodies: [
                r#"{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"Requests are blocked. Try again in 30 seconds.","details":{"limit":0,"remaining":0,"reset_at":"2023-11-14T22:13:50Z","retry_after_seconds":30,"plan":null}}}"#,
                r#"{"message":"Too many requests","code":429}"#,
                r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Requests are blocked. Try again in 30 seconds."}"#,
            ],
        },
    );
}

#[test]
fn a2_an_exemption_says_nothing() {
    let none = || Told { legacy: vec![], draft: &[], retry: &[], bodies: ["", "", ""] };
    let bypass = numbers(Reason::Bypass, 0, 0, 0, 0);
    expect(decide(Terms::NONE, bypass), none());
    // The name is that of the rule.
    expect(decide(terms("server keys", Method::Count, 0), bypass), none());
    // Admitted, for no limit applies.
    expect(decide(Terms::NONE, numbers(Reason::Ok, 0, 0, 0, 0)), none());
}

#[test]
fn where_no_waiting_helps_none_is_advised() {
    expect(
        decide(
            terms("requests", Method::Count, MINUTE),
            numbers(Reason::Impossible, 100, 100, NEVER, 0),
        ),
        Told {
            legacy: vec![
                "X-RateLimit-Limit: 100",
                "X-RateLimit-Remaining: 100",
                "X-RateLimit-Reset: 1700000000",
            ],
            draft: &[
                r#"RateLimit-Policy: "requests";q=100;w=60"#,
                r#"RateLimit: "requests";r=100"#,
            ],
            retry: &[],
            bodies: [
                r#"{"error":{"code":"RATE_LIMIT_EXCEEDED","message":"The request costs more than the limit \"requests\" ever holds. Trying again does not help.","details":{"limit":100,"remaining":100,"reset_at":"2023-11-14T22:13:20Z","retry_after_seconds":null,"plan":null}}}"#,
                r#"{"message":"Too many requests","code":429}"#,
                r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,"detail":"The request costs more than the limit \"requests\" ever holds. Trying again does not help.","violated-policies":["requests"]}"#,
            ],
        },
    );
}

#[test]
fn the_largest_numbers_and_foreign_names_break_no_field() {
    let most = decide(
        terms("größte\r\nSet-Cookie: a=b", Method::Count, u64::MAX - u64::MAX % SECOND),
        numbers(Reason::Limited, u64::MAX, u64::MAX, NEVER - 1, u64::MAX),
    );
    assert_eq!(
        lines(&most.headers(HeaderStyle::Both)),
        [
            "X-RateLimit-Limit: 18446744073709551615",
            "X-RateLimit-Remaining: 18446744073709551615",
            "X-RateLimit-Reset: 20146744074",
            r#"RateLimit-Policy: "gr??te??Set-Cookie: a=b";q=999999999999999;w=18446744073"#,
            r#"RateLimit: "gr??te??Set-Cookie: a=b";r=999999999999999;t=18446744074"#,
            "Retry-After: 18446744074",
        ]
    );
    let text = most.body(BodyStyle::Error).text;
    assert!(text.contains(r#""reset_at":"2608-06-04T21:47:54Z""#), "{text}");
}

#[test]
fn styles_have_names() {
    for (name, style) in [
        ("legacy", HeaderStyle::Legacy),
        ("draft", HeaderStyle::Draft),
        ("both", HeaderStyle::Both),
    ] {
        assert_eq!(HeaderStyle::from_name(name).ok(), Some(style));
    }
    for (name, style) in [
        ("error", BodyStyle::Error),
        ("message", BodyStyle::Message),
        ("problem", BodyStyle::Problem),
    ] {
        assert_eq!(BodyStyle::from_name(name).ok(), Some(style));
    }
    let headers = HeaderStyle::from_name("Legacy").expect_err("names are lower case");
    assert_eq!(
        headers.to_string(),
        r#"style: unknown style "Legacy"; give "legacy", "draft" or "both""#
    );
    let body = BodyStyle::from_name("").expect_err("no name");
    assert_eq!(
        body.to_string(),
        r#"style: unknown style ""; give "error", "message" or "problem""#
    );
    assert!(headers.is_argument() && body.is_argument() && body.field() == "style");
}

fn any_decision() -> impl Strategy<Value = Decision> {
    let reason = prop_oneof![
        Just(Reason::Ok),
        Just(Reason::Limited),
        Just(Reason::Blocked),
        Just(Reason::Bypass),
        Just(Reason::Impossible),
    ];
    let method = prop_oneof![Just(Method::Count), Just(Method::Latency), Just(Method::Concurrency)];
    let number = || prop_oneof![0..3u64, any::<u64>(), Just(NEVER), 0..100 * SECOND];
    // A few texts only: each is kept for the life of the process.
    let text =
        || prop_oneof![Just(""), Just("a \"b\" \\"), Just("\u{0}\r\né\u{7f}"), Just("100/minute")];
    let terms = (text(), text(), text(), method, number(), number());
    let numbers = (reason, number(), number(), number(), number());
    (terms, numbers, number(), proptest::option::of(number())).prop_map(
        |(terms, told, now, burst)| {
            let (name, plan, message, method, window, later_quota) = terms;
            let [name, plan, message] = [name, plan, message].map(Name::intern);
            let terms = Box::leak(Box::new(Terms {
                name,
                plan,
                method,
                window,
                later_quota,
                message,
                close: false,
            }));
            let (reason, limit, remaining, retry_after, reset_after) = told;
            let numbers = Numbers { reason, limit, remaining, retry_after, reset_after };
            Decision::new(terms, numbers, now).with_burst(burst)
        },
    )
}

/// The item of a field that has one, with the names of its parameters.
fn only_item(value: &str) -> (Item, Vec<String>) {
    let list: List = Parser::new(value).parse().expect("a structured list");
    let [ListEntry::Item(item)] = &list[..] else { panic!("one item: {value}") };
    let parameters = item.params.keys().map(|key| key.as_str().to_owned()).collect();
    (item.clone(), parameters)
}

fn whole(item: &Item, parameter: &str) -> Option<u64> {
    let number = item.params.get(parameter)?.as_integer().expect("an integer");
    Some(u64::try_from(i64::from(number)).expect("not negative"))
}

proptest! {
    #[test]
    fn any_decision_gives_valid_headers(decision in any_decision()) {
        let both = decision.headers(HeaderStyle::Both);
        for (name, value) in &both {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{value:?}");
            prop_assert_eq!(value.trim(), value);
        }
        for name in ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Burst"] {
            prop_assert!(both.get(name).is_none_or(|value| value.parse::<u64>().is_ok()));
        }
        let retry_after = both.get("Retry-After").map(|value| value.parse::<u64>().expect("whole seconds"));
        prop_assert!(retry_after != Some(0));
        prop_assert!(retry_after.is_none() || !decision.allowed());
        prop_assert!(retry_after.is_none() || decision.reason() != Reason::Impossible);
        if let Some(policy) = both.get("RateLimit-Policy") {
            let (item, parameters) = only_item(policy);
            prop_assert!(matches!(item.bare_item, BareItem::String(_)));
            prop_assert!(parameters.iter().all(|name| ["q", "qu", "w"].contains(&name.as_str())));
            prop_assert!(whole(&item, "q").is_some_and(|quota| quota <= decision.limit()));
            prop_assert!(whole(&item, "w") != Some(0));
        }
        if let Some(limit) = both.get("RateLimit") {
            let (item, parameters) = only_item(limit);
            prop_assert!(matches!(item.bare_item, BareItem::String(_)));
            prop_assert!(parameters.iter().all(|name| ["r", "t"].contains(&name.as_str())));
            prop_assert!(whole(&item, "r").is_some_and(|left| left <= decision.remaining()));
            // Section 6 of the draft.
            if let (Some(window), Some(retry_after), Reason::Limited) =
                (whole(&item, "t"), retry_after, decision.reason())
            {
                prop_assert!(retry_after >= window);
            }
        }
        let of = |style| decision.headers(style);
        prop_assert_eq!(both.len() + usize::from(retry_after.is_some()),
            of(HeaderStyle::Legacy).len() + of(HeaderStyle::Draft).len());
    }

    #[test]
    fn any_denial_gives_json(decision in any_decision()) {
        for style in [BodyStyle::Error, BodyStyle::Message, BodyStyle::Problem] {
            let text = decision.body(style).text;
            prop_assert_eq!(text.is_empty(), decision.allowed());
            prop_assert!(!text.contains(|sign: char| sign < ' '));
            if !decision.allowed() {
                let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                let words = match style {
                    BodyStyle::Error => &json["error"]["message"],
                    BodyStyle::Message => &json["message"],
                    BodyStyle::Problem => &json["detail"],
                };
                prop_assert!(words.is_string(), "{text}");
                if let Some(own) = decision.message() {
                    prop_assert_eq!(words, own);
                }
            }
        }
    }
}
