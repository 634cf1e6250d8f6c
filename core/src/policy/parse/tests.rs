mod plans;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use jsonc_parser::{JsonObject, JsonValue, parse_to_value};
use proptest::prelude::{Strategy, prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::policy::{Limit, LimitKind};
use crate::rate::{Algorithm, Period};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs `check` on the rows of a table that all hosts share.
fn each_row(path: &str, least: usize, check: impl Fn(&JsonObject<'_>)) {
    let text = std::fs::read_to_string(repository(path)).expect(path);
    let Some(JsonValue::Array(rows)) = parse_to_value(&text, &Default::default()).expect(path)
    else {
        panic!("{path} is a list");
    };
    assert!(rows.len() >= least, "{path} has {} rows", rows.len());
    for row in rows.iter() {
        let JsonValue::Object(row) = row else { panic!("{path}: a row is an object") };
        check(row);
    }
}

fn string<'r>(row: &'r JsonObject<'_>, name: &str) -> &'r str {
    row.get_string(name).unwrap_or_else(|| panic!("a row has a string {name}"))
}

fn number(row: &JsonObject<'_>, name: &str) -> u64 {
    row.get_number(name).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn bad_policies_name_place_field_and_remedy() {
    let wrong = RefCell::new(Vec::new());
    each_row("tests/policies/bad.json", 60, |row| {
        let name = string(row, "name");
        let Err(error) = any(string(row, "text")) else { panic!("{name} was accepted") };
        let remedy = string(row, "remedy_contains");
        let right = error.is_policy()
            && error.line().map(u64::from) == Some(number(row, "line"))
            && error.column().map(u64::from) == Some(number(row, "column"))
            && error.field() == string(row, "field")
            && !remedy.is_empty()
            && error.remedy().contains(remedy)
            && !error.to_string().contains(['\n', '\0']);
        if !right {
            wrong.borrow_mut().push(format!("{name}: {error}"));
        }
    });
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn good_policies_have_these_limits() {
    each_row("tests/policies/good.json", 20, |row| {
        let name = string(row, "name");
        let policy = any(string(row, "text")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let limits = row.get_array("limits").expect("a row has limits");
        assert_eq!(policy.limits.len(), limits.len(), "{name}");
        for (limit, expected) in policy.limits.iter().zip(limits.iter()) {
            let JsonValue::Object(expected) = expected else {
                panic!("{name}: a limit is an object")
            };
            assert_eq!(limit.name, string(expected, "name"), "{name}");
            assert_eq!(limit.method.as_str(), string(expected, "method"), "{name}");
            let wanted = expected.get_array("buckets").expect("a limit has buckets");
            let wanted: Vec<_> = wanted
                .iter()
                .map(|bucket| match bucket {
                    JsonValue::Object(bucket) => {
                        let name = string(bucket, "name").to_owned();
                        (name, number(bucket, "quota"), number(bucket, "period_ns"))
                    }
                    _ => panic!("{name}: a bucket is an object"),
                })
                .collect();
            assert_eq!(buckets(limit), wanted, "{name}");
        }
    });
}

/// Name, quota and period of every bucket; permits are a bucket without a period.
fn buckets(limit: &Limit) -> Vec<(String, u64, u64)> {
    match &limit.kind {
        LimitKind::Permits { quota, .. } => vec![(limit.name.clone(), *quota, 0)],
        LimitKind::Rates(rates) => {
            rates.iter().map(|rate| (rate.name.clone(), rate.quota, rate.period.nanos())).collect()
        }
    }
}

fn rates(policy: &Policy, limit: usize) -> &[crate::rate::Rate] {
    match &policy.limits[limit].kind {
        LimitKind::Rates(rates) => rates,
        LimitKind::Permits { .. } => panic!("limit {limit} has no rates"),
    }
}

/// As a test compares it: zones by their names.
fn algorithm(algorithm: &Algorithm) -> String {
    match algorithm {
        Algorithm::Gcra { burst } => format!("gcra {burst}"),
        Algorithm::SlidingWindow { strict } => format!("sliding {strict}"),
        Algorithm::ClockWindow { zone } => format!("clock {}", zone.iana_name().unwrap_or("?")),
        Algorithm::FirstRequestWindow => "first".to_owned(),
    }
}

#[test]
fn algorithms_and_their_options() {
    let one =
        |lines: &str| format!("timezone = \"Asia/Tokyo\"\n[[limit]]\nrate = \"10/s\"\n{lines}");
    for (lines, expected, debt) in [
        ("", "gcra 10", 10),
        ("burst = 20", "gcra 20", 10),
        ("burst = 1\nmax_debt = 0", "gcra 1", 0),
        ("algorithm = \"sliding_window\"", "sliding false", 10),
        ("algorithm = \"sliding_window\"\nstrict = true\nmax_debt = 3", "sliding true", 3),
        ("algorithm = \"fixed_window\"", "clock Asia/Tokyo", 10),
        (
            "algorithm = \"fixed_window\"\nalign = \"clock\"\ntimezone = \"Europe/Paris\"",
            "clock Europe/Paris",
            10,
        ),
        ("algorithm = \"fixed_window\"\nalign = \"first_request\"", "first", 10),
    ] {
        let policy = any(&one(lines)).unwrap_or_else(|error| panic!("{lines}: {error}"));
        let rate = &rates(&policy, 0)[0];
        assert_eq!(
            (algorithm(&rate.algorithm).as_str(), rate.max_debt),
            (expected, debt),
            "{lines}"
        );
    }
    let utc = any("[[limit]]\nrate = \"1/s\"\nalgorithm = \"fixed_window\"").expect("UTC");
    assert_eq!(algorithm(&rates(&utc, 0)[0].algorithm), "clock UTC");
}

#[test]
fn entries_inherit_what_they_do_not_say() {
    let policy = any(r#"
        scale = 2
        [[limit]]
        algorithm = "fixed_window"
        timezone = "Europe/Paris"
        burst = 5
        max_debt = 7
        cascade = [
            "1/s",
            { rate = "2/s", algorithm = "gcra" },
            { rate = "3/s burst 9", algorithm = "gcra", max_debt = 1 },
            { rate = "4/s", align = "first_request" },
            { rate = "5/s", timezone = "UTC" },
            { rate = "6/s", algorithm = "sliding_window" },
        ]
    "#)
    .expect("the policy");
    let found: Vec<_> = rates(&policy, 0)
        .iter()
        .map(|rate| (algorithm(&rate.algorithm), rate.quota, rate.max_debt))
        .collect();
    let expected = [
        ("clock Europe/Paris", 2, 14),
        ("gcra 10", 4, 14),
        ("gcra 18", 6, 2),
        ("first", 8, 14),
        ("clock UTC", 10, 14),
        ("sliding false", 12, 14),
    ];
    assert_eq!(found, expected.map(|(name, quota, debt)| (name.to_owned(), quota, debt)));
}

#[test]
fn calendar_periods_keep_their_meaning() {
    for (period, gcra, clock) in [
        ("24h", Period::Nanos(86_400_000_000_000), Period::Days(1)),
        ("1440 minutes", Period::Nanos(86_400_000_000_000), Period::Days(1)),
        ("1d12h", Period::Nanos(129_600_000_000_000), Period::Nanos(129_600_000_000_000)),
        ("1d24h", Period::Nanos(172_800_000_000_000), Period::Days(2)),
        ("0.5 days", Period::Nanos(43_200_000_000_000), Period::Nanos(43_200_000_000_000)),
        ("day", Period::Days(1), Period::Days(1)),
        ("2.0 days", Period::Days(2), Period::Days(2)),
        ("7d", Period::Days(7), Period::Days(7)),
        ("week", Period::Weeks(1), Period::Weeks(1)),
        ("2 months", Period::Months(2), Period::Months(2)),
        ("10 years", Period::Years(10), Period::Years(10)),
        ("60 minutes", Period::Nanos(3_600_000_000_000), Period::Nanos(3_600_000_000_000)),
    ] {
        for (algorithm, expected) in [("gcra", gcra), ("fixed_window", clock)] {
            let text = format!("[[limit]]\nrate = \"1/{period}\"\nalgorithm = \"{algorithm}\"");
            let policy = any(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rates(&policy, 0)[0].period, expected, "{text}");
        }
    }
}

/// The system's zone is what the machine says; a limiter never falls back to UTC unasked.
#[test]
fn the_local_zone_is_the_systems() {
    let local = "timezone = \"local\"\n[[limit]]\nrate = \"1/s\"\nalgorithm = \"fixed_window\"";
    match (any(local), jiff::tz::TimeZone::try_system()) {
        (Ok(policy), Ok(system)) => match &rates(&policy, 0)[0].algorithm {
            Algorithm::ClockWindow { zone } => assert_eq!(*zone, system),
            other => panic!("{other:?}"),
        },
        (Err(error), system) => {
            assert_eq!(error.field(), "timezone");
            assert!(!system.is_ok_and(|zone| !zone.is_unknown()), "{error}");
        }
        (Ok(_), Err(error)) => panic!("a zone without a system's: {error}"),
    }
}

#[test]
fn examples_are_policies() {
    let expected = [
        "cascade.json",
        "concurrency.toml",
        "data-api-sandbox.toml",
        "data-api.toml",
        "fixed-window-clock.toml",
        "fixed-window-first-request.toml",
        "gcra.toml",
        "latency.toml",
        "plans.toml",
        "platform.toml",
        "sliding-window-strict.toml",
        "sliding-window.toml",
    ];
    for name in expected {
        let path = repository("examples/policies").join(name);
        assert!(path.is_file(), "{name}");
    }
    let folder = std::fs::read_dir(repository("examples/policies")).expect("examples/policies");
    for file in folder {
        let path = file.expect("an entry of examples/policies").path();
        if path.extension().is_some_and(|kind| kind == "toml" || kind == "json") {
            Policy::from_file(&path).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

/// D3 to D5 of the Data API: three count and three latency buckets, halved for sandboxes.
#[test]
fn the_data_api() {
    let names = ["requests", "time"];
    let figures = [[100, 2600, 1150], [30_000_000_000, 390_000_000_000, 172_500_000_000]];
    for (file, divisor) in [("data-api.toml", 1), ("data-api-sandbox.toml", 2)] {
        let policy = Policy::from_file(repository("examples/policies").join(file)).expect(file);
        for (limit, (name, quotas)) in names.iter().zip(figures).enumerate() {
            assert_eq!(policy.limits[limit].name, *name);
            let found: Vec<_> =
                rates(&policy, limit).iter().map(|rate| (rate.quota, rate.period)).collect();
            let [minute, hour, day] = quotas.map(|quota: u64| quota / divisor);
            let expected = [
                (minute, Period::Nanos(60_000_000_000)),
                (hour, Period::Nanos(3_600_000_000_000)),
                (day, Period::Days(1)),
            ];
            assert_eq!(found, expected, "{file}");
            for rate in rates(&policy, limit) {
                assert_eq!(algorithm(&rate.algorithm), "clock Europe/Amsterdam");
            }
        }
    }
}

#[test]
fn errors_of_files_name_the_file() {
    let error = Policy::from_file(repository("tests/policies/good.json")).expect_err("a list");
    assert!(
        error.is_policy() && error.to_string().contains("good.json: line 1, column 1: document"),
        "{error}"
    );
    let error = Policy::from_file(repository("tests/policies/none.toml")).expect_err("no file");
    assert!(error.is_file(), "{error}");
}

/// Also on half a thread's usual stack (optimized, 128 KiB are enough).
#[test]
fn bombs_are_refused() {
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let thread = small.spawn(|| bombs().iter().for_each(|text| refused(text)));
    thread.expect("a thread").join().expect("no panic and no overflow");
}

fn refused(text: &str) {
    let error = any(text).expect_err("a bomb");
    let message = error.to_string();
    assert!(error.is_policy() && error.line().is_some(), "{message}");
    assert!(message.len() < 600, "{} bytes: {message:.600}", message.len());
}

fn bombs() -> Vec<String> {
    vec![
        "x".repeat(10 << 20),
        "[".repeat(10 << 20),
        "{".repeat(10 << 20),
        "[".repeat(1 << 20),
        "{\"a\":".repeat(200_000),
        "[[limit]]\nrate = ".to_owned() + &"[".repeat(1 << 19),
        "[[limit]]\nrate = ".to_owned() + &"{a=".repeat(1 << 18),
        "a.".repeat(500_000) + "a = 1",
        "a = ".to_owned() + &"-".repeat(1_000_000) + "1",
        "{\"limit\":".to_owned() + &"[".repeat(1 << 19),
        "{\"limit\":[{\"rate\":\"".to_owned() + &"9".repeat(1 << 19) + "/s\"}]}",
        "9".repeat(1 << 20),
        "1/s;".repeat(1 << 18),
        "1/s burst".to_owned() + &" ".repeat(1 << 19),
        "1".to_owned() + &"m1".repeat(1 << 18) + "s/h",
        "[[limit]]\n".to_owned() + &"a".repeat(1 << 19) + " = 1",
        "{".to_owned() + &"\"a\":1,".repeat(100_000) + "\"a\":1}",
        "[[limit]]\nrate = \"1/s\"\nname=\"".to_owned() + &"n".repeat(1 << 19) + "\"",
        "timezone = \"".to_owned() + &"z".repeat(1 << 19) + "\"\n[[limit]]\nrate = \"1/s\"",
        "[[limit]]\nrate = \"1/s\"\nwhen = { ip = \"".to_owned() + &":".repeat(1 << 19) + "*\" }",
        "[[limit]]\nrate = \"1/s\"\nwhen = { route = \"GET ".to_owned()
            + &"/".repeat(1 << 19)
            + "\" }",
        "{\"limit\":[{\"rate\":\"1/s\",\"when\":{\"a\":[".to_owned()
            + &"\"a\",".repeat(1 << 17)
            + "1]}}]}",
        "{\"limit\":[{\"rate\":\"1/s\",\"when\":{".to_owned()
            + &"\"a\":1,".repeat(1 << 17)
            + "\"a\":1}}]}",
        "{\"plan\":{".to_owned() + &"\"a\":1,".repeat(1 << 17) + "\"a\":1}}",
        "{\"plan\":{\"a\":{\"limit\":[".to_owned()
            + &"{\"rate\":\"1/s\"},".repeat(1 << 15)
            + "1]}}}",
        "{\"limit\":[{\"rate\":\"1/s\"}],\"block\":[".to_owned()
            + &"{\"name\":\"a\"},".repeat(1 << 15)
            + "1]}",
        "{\"limit\":[{\"rate\":\"1/s\",\"alerts\":[".to_owned() + &"1,".repeat(1 << 18) + "1]}]}",
        many_plans(),
        // As deep as the parsers go.
        "a = ".to_owned() + &"[".repeat(79) + &"]".repeat(79),
        "a = ".to_owned() + &"{a=".repeat(79) + "1" + &"}".repeat(79),
        "{\"a\":".repeat(32) + "1" + &"}".repeat(32),
    ]
}

/// As many plans and copies as a policy may name, and a name that none has.
fn many_plans() -> String {
    let plans: Vec<_> = (0..64).map(|plan| format!("{plan:x<64}")).collect();
    let copy = format!("{{\"rate\":\"1/s\",\"when\":{{\"plan\":{plans:?}}}}},");
    let tables: Vec<_> = plans
        .iter()
        .zip(plans.iter().cycle().skip(1))
        .map(|(plan, next)| format!("\"{plan}\":{{\"inherits\":\"{next}\"}}"))
        .collect();
    format!(
        "{{\"limit\":[{}{{\"rate\":\"1/s\"}}],\"plan\":{{{}}}}}",
        copy.repeat(200),
        tables.join(",")
    )
}

/// Pieces of policies, so that random texts go deep into the reader.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "1",
        "0",
        "100",
        "1.5",
        "9007199254740991",
        "99999999999999999999",
        "/",
        " per ",
        " burst ",
        ";",
        "s",
        "m",
        "minute",
        "month",
        "30s",
        "µs",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "=",
        "\n",
        "[[limit]]\n",
        "\"limit\":",
        "rate = ",
        "\"rate\":",
        "cascade = ",
        "quota = ",
        "period = ",
        "\"1/s\"",
        "\"30s\"",
        "burst = ",
        "scale = ",
        "0.5",
        "timezone = ",
        "\"UTC\"",
        "\"local\"",
        "algorithm = ",
        "\"fixed_window\"",
        "method = ",
        "\"concurrency\"",
        "strict = true\n",
        "[plan.a]\n",
        "[[plan.a.limit]]\n",
        "inherits = \"a\"\n",
        "[[exempt]]\n",
        "[[bypass]]\n",
        "[usage]\n",
        "name = \"a\"\n",
        "by = ",
        "when = ",
        "when = { ip = \"",
        "when = { route = \"",
        "when = { plan = \"a\" }\n",
        "*",
        ".*\" }\n",
        "::",
        ":a",
        "GET /",
        "\" }\n",
        "alerts = [0.5]\n",
        "grow = { ceiling = ",
        "max_hold = ",
        "secrets = [\"sha256:",
        "\\u",
        "#",
        "'",
        "\u{feff}",
        "\0",
        "\r",
        "é",
        "１",
        "-",
        "+",
        "_",
        ".",
        "e3",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

fn never_panics(text: &str) {
    for read in [any, json, toml] {
        if let Err(error) = read(text) {
            let (line, column) = (error.line().expect("a line"), error.column().expect("a column"));
            let lines: Vec<_> = text.split('\n').collect();
            let found = lines.get(line as usize - 1).expect("the line exists");
            assert!(column as usize <= found.chars().count() + 1, "{error} in {text:?}");
            assert!(!error.field().is_empty() && !error.remedy().is_empty(), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in proptest::arbitrary::any::<String>()) {
        never_panics(&text);
    }

    #[test]
    fn fragments_never_panic(text in fragments()) {
        never_panics(&text);
    }

    /// What is accepted lies within the bounds, whatever the text.
    #[test]
    fn accepted_rates_are_bounded(quota in 0_u64..=u64::MAX, shift in 0_u32..64, unit in "(ns|us|ms|s|m|h|d|w|month|year)", count in 1_u64..10_000) {
        let quota = quota >> shift;
        if let Ok(policy) = super::any(&format!("{quota}/{count}{unit}")) {
            let rate = &rates(&policy, 0)[0];
            prop_assert_eq!(rate.quota, quota);
            let period = rate.period.nanos();
            prop_assert!((1..=crate::rate::MAX_UNITS).contains(&quota) && quota <= period);
            prop_assert!((crate::rate::MIN_PERIOD..=crate::rate::MAX_PERIOD).contains(&period));
        }
    }
}
