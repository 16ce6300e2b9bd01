//! Embeds every file of `boot/` that travels to machines, so that a new script is in the user data
//! without being listed by hand.

use std::{env, error::Error, fmt::Write, fs, path::Path};

/// Comments, indentation and empty lines are for those who read the scripts and units here: user data has no room
/// for them. None of them has a text over several lines in which a line begins like a comment or is empty, or in
/// which blanks at the beginning of a line mean anything, but for what stands between `<< 'END'` and `END`.
fn compact(script: &str) -> String {
    let is_python = is_python(script);
    let (mut text, mut verbatim) = (String::new(), false);
    for (number, line) in script.lines().enumerate() {
        let bare = line.trim_start();
        if verbatim {
            text.push_str(line);
            verbatim = bare != "END";
        } else if bare.is_empty()
            || number > 0 && bare.starts_with('#') && !bare.contains("shellcheck")
        {
            continue;
        } else {
            // A block needs one blank in Python, and none in bash.
            let depth = if is_python { (line.len() - bare.len()).div_ceil(4) } else { 0 };
            text.extend(std::iter::repeat_n(' ', depth));
            // After what shellcheck is told stands why.
            let is_directive = bare.starts_with("# shellcheck");
            text.push_str(bare.split(" # ").next().filter(|_| is_directive).unwrap_or(bare));
            verbatim = line.contains("<< 'END'");
        }
        text.push('\n');
    }
    text
}

fn is_python(script: &str) -> bool {
    script.starts_with("#!/usr/bin/env python3")
}

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
        let mut texts = Vec::new();
        for path in files {
            let name =
                path.file_name().and_then(|name| name.to_str()).ok_or("a file name is no text")?;
            println!("cargo::rerun-if-changed={}", path.display());
            let text = fs::read_to_string(&path)?;
            let text = if table == "REQUIREMENTS" { text } else { compact(&text) };
            texts.push((name.to_owned(), text));
        }
        // What is alike stands together, where it compresses better.
        texts.sort_by_key(|(_, text)| is_python(text));
        for (name, text) in texts {
            writeln!(code, "    ({name:?}, {text:?}),")?;
        }
        writeln!(code, "];")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("boot_files.rs"), code)?;
    Ok(())
}
