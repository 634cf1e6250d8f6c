//! `plots JSON FOLDER`: draws what `growth --json` wrote as FOLDER/speed-keys.svg and FOLDER/speed-threads.svg.

use std::path::Path;
use std::process::ExitCode;

use tidegate_benches::plots;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [json, folder] = arguments.as_slice() else {
        eprintln!("usage: plots JSON FOLDER");
        return ExitCode::from(2);
    };
    match draw(Path::new(json), Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("plots: {problem}");
            ExitCode::from(2)
        }
    }
}

fn draw(json: &Path, folder: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(json);
    let text = text.map_err(|error| format!("{}: {error}", json.display()))?;
    let document =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", json.display()))?;
    let pictures = [
        ("speed-keys.svg", plots::over_keys(&document)?),
        ("speed-threads.svg", plots::over_threads(&document)?),
    ];
    for (name, svg) in pictures {
        let path = folder.join(name);
        std::fs::write(&path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}
