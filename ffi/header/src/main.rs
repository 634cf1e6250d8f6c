//! Writes `include/tidegate.h`: cbindgen declares what `ffi/src` exports, and the calls are put
//! under the headings of `contents.rs`, so that the header reads as a manual.
//!
//! Usage: `tidegate-header PATH` writes the header to PATH. `make header` and
//! `make header-check` call it.

mod contents;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use contents::CONTENTS;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Constants and types appear in the order of these files.
const SOURCES: &[&str] = &[
    "version",
    "status",
    "attribute",
    "decision",
    "http",
    "clock",
    "options",
    "limiter",
    "acquire",
    "batch",
    "charge",
    "permit",
    "operator",
    "plan",
    "snapshot",
    "usage",
    "stats",
    "measure",
    "reservation",
    "wait",
    "ticket",
    "alert",
    "watch",
    "secret",
    "client_headers",
    "client_backoff",
    "client_options",
    "client_pacer",
    "client_call",
    "client_tick",
    "client_stats",
    "client_events",
    "error",
];

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).ok_or("usage: tidegate-header PATH")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let header = arrange(&declare(&root)?)?;
    std::fs::write(PathBuf::from(path), header)?;
    Ok(())
}

/// What cbindgen makes of the sources.
fn declare(root: &Path) -> Result<String> {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join("ffi/src").join(source).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    Ok(String::from_utf8(text)?)
}

const OPEN: &str = "extern \"C\" {\n#endif // __cplusplus\n";
const CLOSE: &str = "#ifdef __cplusplus\n}";

/// Puts the calls under their headings.
fn arrange(declared: &str) -> Result<String> {
    let (head, rest) = declared.split_once(OPEN).ok_or("no `extern \"C\"` in the header")?;
    let (calls, tail) = rest.split_once(CLOSE).ok_or("no end of `extern \"C\"` in the header")?;
    let mut calls = by_name(calls)?;

    let mut header = head.replace(" @CONTENTS@", &table_of_contents());
    header = header.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    header += OPEN;
    for section in CONTENTS {
        header += &heading(section.title, section.about);
        for name in section.calls {
            let call = calls
                .remove(*name)
                .ok_or_else(|| format!("contents.rs: no call `tidegate_{name}` (any more)"))?;
            // The typedefs make the tags superfluous.
            write!(header, "\n{}\n", call.replace("struct tidegate_", "tidegate_"))?;
        }
    }
    if let Some(name) = calls.keys().next() {
        return Err(format!("contents.rs: `tidegate_{name}` is under no heading").into());
    }
    write!(header, "\n{CLOSE}{tail}")?;
    tidy(&header)
}

/// One line where one line is enough, no stray spaces, and nothing that a compiler with another
/// idea of the source's encoding could stumble over.
fn tidy(header: &str) -> Result<String> {
    let plain = header
        .replace("// __cplusplus", "")
        .replace("}  // extern \"C\"", "}")
        .replace("/* __cplusplus */", "")
        .replace("  /* TIDEGATE_H */", "");
    let lines: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let mut tidy = String::new();
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        if let [_, text, "*/"] = [0, 1, 2].map(|n| lines.get(at + n).map_or("", |line| line.trim()))
            && line.trim() == "/**"
        {
            let indent = line.len() - line.trim_start().len();
            writeln!(tidy, "{:indent$}/**{} */", "", text.trim_start_matches('*'))?;
            at += 3;
        } else {
            writeln!(tidy, "{line}")?;
            at += 1;
        }
    }
    match tidy.lines().find(|line| !line.is_ascii()) {
        Some(line) => Err(format!("not ASCII: {line}").into()),
        None => Ok(tidy),
    }
}

/// Each call with its comment, by its name without `tidegate_`.
fn by_name(calls: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for block in calls.split(";\n\n").map(str::trim).filter(|block| !block.is_empty()) {
        let code = block.rsplit_once("*/").map_or(block, |(_, code)| code);
        let before_arguments = code.split('(').next().unwrap_or_default();
        let (_, name) = before_arguments
            .rsplit_once("tidegate_")
            .ok_or_else(|| format!("not a call of this library: {block}"))?;
        found.insert(name.to_owned(), format!("{block};"));
    }
    Ok(found)
}

fn table_of_contents() -> String {
    let lines: Vec<String> =
        CONTENTS.iter().map(|section| format!(" *   {}", section.title)).collect();
    lines.join("\n")
}

fn heading(title: &str, about: &str) -> String {
    let rule = "=".repeat(92);
    format!("\n/* {rule}\n * {title}\n * {about}\n * {rule} */\n")
}
