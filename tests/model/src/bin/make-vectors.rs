//! Writes `tests/vectors/*.json` and removes files that no script writes any more.

use std::collections::HashSet;
use std::fs;

use tidegate_model::vectors;

fn main() -> std::io::Result<()> {
    let folder = vectors::folder();
    fs::create_dir_all(&folder)?;
    let mut written = HashSet::new();
    for script in vectors::all() {
        let name = format!("{}.json", script.name);
        fs::write(folder.join(&name), script.file())?;
        assert!(written.insert(name), "two scripts are named {}", script.name);
    }
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") && !written.contains(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    println!("{} files in {}", written.len(), folder.display());
    Ok(())
}
