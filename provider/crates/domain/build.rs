//! Embeds every file of `boot/` that travels to machines, so that a new script is in the user data
//! without being listed by hand.

use std::{env, error::Error, fmt::Write, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::var("CARGO_MANIFEST_DIR")?;
    let mut code = String::new();
    for (table, folder, extension) in [
        ("SCRIPTS", "scripts", None),
        ("UNITS", "units", Some("service")),
        ("REQUIREMENTS", "requirements", Some("txt")),
    ] {
        let folder = Path::new(&root).join("boot").join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_file() && path.extension().and_then(|found| found.to_str()) == extension {
                files.push(path);
            }
        }
        files.sort();
        writeln!(
            code,
            "/// Name and text of each file in `boot/{}`.",
            folder.file_name().unwrap_or_default().display()
        )?;
        writeln!(code, "static {table}: &[(&str, &str)] = &[")?;
        for path in files {
            let name =
                path.file_name().and_then(|name| name.to_str()).ok_or("a file name is no text")?;
            println!("cargo::rerun-if-changed={}", path.display());
            writeln!(code, "    ({name:?}, include_str!({:?})),", path.display().to_string())?;
        }
        writeln!(code, "];")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("boot_files.rs"), code)?;
    Ok(())
}
