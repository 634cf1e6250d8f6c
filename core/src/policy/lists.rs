//! Who is not limited, who is blocked, and what the report of use covers.

use super::conditions::Conditions;
use super::fields::{check_name, own_attribute, required, span};
use super::source::shown;
use super::table::{Field, Table};
use super::{Blocked, Bypass, Exemption, Policy, Usage, when};
use crate::error::Result;
use crate::rate::MAX_PERIOD;

/// Most entries of one list, and most secrets of one entry.
const MAX_ENTRIES: usize = 64;
const SECRET: &str = "sha256:";
/// Most parts of the window of a report.
const MAX_PARTS: u64 = 1_000;

pub(super) fn read(policy: &mut Policy, top: &Table<'_>) -> Result<()> {
    policy.exempt = entries(top, "exempt", &["name", "when"], |table, name| {
        Ok(Exemption { name, when: conditions(table)? })
    })?;
    let fields = &["name", "attribute", "secrets", "enabled"];
    policy.bypass = entries(top, "bypass", fields, bypass)?;
    policy.block = entries(top, "block", &["name", "when"], |table, name| {
        Ok(Blocked { name, when: conditions(table)? })
    })?;
    policy.usage = top.get("usage").map(|field| usage(&field)).transpose()?;
    Ok(())
}

/// The entries of a list, each with a name of its own.
fn entries<T>(
    top: &Table<'_>,
    list: &str,
    known: &[&str],
    read: impl Fn(&Table<'_>, String) -> Result<T>,
) -> Result<Vec<T>> {
    let (mut names, mut entries) = (Vec::new(), Vec::new());
    let Some(field) = top.get(list) else { return Ok(entries) };
    let example = format!("`[[{list}]]` (TOML) or `\"{list}\": [{{ … }}]` (JSON)");
    for item in field.items("a list of tables", &example)? {
        if entries.len() == MAX_ENTRIES {
            let problem = format!("more than {MAX_ENTRIES} entries");
            return item.fail(problem, "put several patterns into one entry: `[\"a\", \"b-*\"]`");
        }
        let table = Table::open(item.source, item.node, item.path, known)?;
        let remedy = "write a `name`: statistics and decisions show it";
        let field = required(&table, "name", "the name is missing", remedy)?;
        let name = field.text("\"internal\"")?.text.to_owned();
        check_name(field.source, &name, &field.spot())?;
        if names.contains(&name) {
            let problem = format!("two entries have the name {}", shown(&name));
            return field.fail(problem, "give each entry a `name` of its own");
        }
        names.push(name.clone());
        entries.push(read(&table, name)?);
    }
    Ok(entries)
}

fn conditions(table: &Table<'_>) -> Result<Conditions> {
    let remedy = "write which requests it is for: `when = { user = \"svc-*\" }`";
    when::conditions(&required(table, "when", "`when` is missing", remedy)?)
}

fn bypass(table: &Table<'_>, name: String) -> Result<Bypass> {
    let remedy = "write which attribute holds the secret: `attribute = \"dev_key\"`";
    let field = required(table, "attribute", "the attribute is missing", remedy)?;
    let attribute = own_attribute(&field)?;
    let remedy = "write `secrets = [\"sha256:…\"]`, the SHA-256 of each secret";
    let field = required(table, "secrets", "the secrets are missing", remedy)?;
    let mut secrets = Vec::new();
    for item in field.items("a list of hashes", "`[\"sha256:…\"]`")? {
        let secret = secret(&item)?;
        if secrets.contains(&secret) {
            return item.fail("the secret stands here twice", "remove one of the two");
        }
        if secrets.len() == MAX_ENTRIES {
            let problem = format!("more than {MAX_ENTRIES} secrets");
            return item.fail(problem, "write another `[[bypass]]` for those beyond");
        }
        secrets.push(secret);
    }
    let enabled = table.get("enabled").map_or(Ok(true), |field| field.boolean())?;
    Ok(Bypass { name, attribute, secrets, enabled })
}

/// `sha256:` and 64 hexadecimal digits. What is refused may be a secret, so no error shows it.
fn secret(field: &Field<'_>) -> Result<[u8; 32]> {
    let text = field.text("\"sha256:…\"")?.text;
    let Some(digits) = text.strip_prefix(SECRET) else {
        return field.fail(
            "a secret is not written as it is",
            "write `sha256:` and its SHA-256 in hexadecimal, as `printf %s SECRET | sha256sum` shows it",
        );
    };
    let mut hash = [0; 32];
    let right = digits.len() == 2 * hash.len()
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        && hash.iter_mut().enumerate().all(|(index, byte)| {
            u8::from_str_radix(&digits[2 * index..2 * index + 2], 16)
                .map(|value| *byte = value)
                .is_ok()
        });
    if right {
        return Ok(hash);
    }
    field.fail(
        "this is not a SHA-256",
        "write `sha256:` and 64 hexadecimal digits, as `printf %s SECRET | sha256sum` shows them",
    )
}

fn usage(field: &Field<'_>) -> Result<Usage> {
    let known = &["window", "resolution", "by"];
    let table = Table::open(field.source, field.node, field.path.clone(), known)?;
    let mut usage = Usage::default();
    if let Some(field) = table.get("window") {
        usage.window = span(&field, MAX_PERIOD)?;
        usage.resolution = usage.window.div_ceil(Usage::PARTS);
    }
    if let Some(field) = table.get("resolution") {
        usage.resolution = span(&field, MAX_PERIOD)?;
        let parts = usage.window / usage.resolution;
        if !usage.window.is_multiple_of(usage.resolution) || parts > MAX_PARTS {
            return field.fail(
                "the window is not a whole number of these",
                format!(
                    "write a length of which 1 to {MAX_PARTS} make the window, such as `\"1h\"`"
                ),
            );
        }
    }
    if let Some(field) = table.get("by") {
        usage.by = Some(own_attribute(&field)?);
    }
    Ok(usage)
}
