//! No circle of files: what a file takes from its neighbours can be read, tested and moved without what
//! takes from it.
//!
//! The file of a crate or of a folder (`lib.rs`, `mod.rs`) stands above the files that it declares: it puts
//! them together, and they may take from it what they all share. That is the one thing not counted.

use crate::source;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Circles that are left, by the folder that they are in. This list may only become shorter: one that is
/// gone has to be taken out.
const LEFT: &[(&str, &[&str])] = &[];

/// A module's path from its crate's root.
type Module = Vec<String>;

/// The modules of one crate.
struct Crate {
    modules: BTreeMap<Module, File>,
}

struct File {
    path: PathBuf,
    /// The paths that it names.
    paths: Vec<Vec<String>>,
    items: BTreeSet<String>,
    /// What it brings in by name, and the modules that it brings everything of.
    names: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let crates = fs::read_dir(root.join("provider/crates")).expect("the crates");
    let mut folders: Vec<PathBuf> =
        crates.map(|found| found.expect("a crate").path().join("src")).collect();
    folders.push(root.join("provider/src"));
    folders.push(root.join("schemas/src"));
    folders.sort();
    let mut found = Vec::new();
    for folder in &folders {
        let name = folder.strip_prefix(root).expect("it is below").display().to_string();
        let read = Crate::read(folder);
        assert!(read.modules.len() > 1, "{name} has no files");
        let edges = read.edges();
        for circle in circles(&edges) {
            let files = circle.iter().map(|module| read.shown(module, folder)).collect::<Vec<_>>();
            let imports = circle.iter().flat_map(|from| {
                let inside = edges[from].iter().filter(|to| circle.contains(*to));
                inside.map(|to| {
                    format!("  {} -> {}", read.shown(from, folder), read.shown(to, folder))
                })
            });
            found.push((name.clone(), files, imports.collect::<Vec<_>>().join("\n")));
        }
    }
    let is_left = |name: &str, files: &[String]| {
        LEFT.iter().any(|(folder, left)| *folder == name && left.iter().eq(files))
    };
    let new = found.iter().filter(|(name, files, _)| !is_left(name, files));
    let new: Vec<String> = new
        .map(|(name, files, imports)| format!("{name}: {}\n{imports}", files.join(", ")))
        .collect();
    assert!(new.is_empty(), "files that import each other in a circle:\n{}", new.join("\n"));
    for (folder, left) in LEFT {
        let stands = found.iter().any(|(name, files, _)| name == folder && left.iter().eq(files));
        assert!(stands, "this circle is gone, take it out of the list: {folder} {left:?}");
    }
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut modules = BTreeMap::new();
        read_folder(folder, &[], &mut modules);
        Self { modules }
    }

    /// Which modules each module takes something from.
    fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let targets = |from: &Module| {
            let named = self.modules[from].paths.iter();
            let found = named.filter_map(|path| self.home(from, path, 0));
            found.filter(|to| !from.starts_with(to)).collect()
        };
        self.modules.keys().map(|module| (module.clone(), targets(module))).collect()
    }

    /// The module in which that is defined which a path means, as seen from a module.
    fn home(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        // Two globs may lead to each other.
        if depth > 20 {
            return None;
        }
        let first = path.first()?;
        let (mut at, mut rest) = match first.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
            name if self.modules.contains_key(&child(from, name)) => (from.clone(), path),
            // A name that a `use` has brought in is counted there.
            _ => return None,
        };
        loop {
            let Some(next) = rest.first() else { return Some(at) };
            if next == "super" {
                at.pop()?;
            } else if self.modules.contains_key(&child(&at, next)) {
                at = child(&at, next);
            } else {
                break;
            }
            rest = &rest[1..];
        }
        let file = &self.modules[&at];
        if file.items.contains(&rest[0]) {
            return Some(at);
        }
        if let Some(path) = file.names.get(&rest[0]) {
            let path: Vec<String> = path.iter().chain(&rest[1..]).cloned().collect();
            return self.home(&at, &path, depth + 1).or(Some(at));
        }
        let of_globs = file.globs.iter().find_map(|glob| {
            let home = self.home(&at, glob, depth + 1)?;
            let path: Vec<String> =
                ["crate".to_owned()].iter().chain(&home).chain(rest).cloned().collect();
            let found = self.home(&at, &path, depth + 1)?;
            self.modules[&found].items.contains(rest.last()?).then_some(found)
        });
        of_globs.or(Some(at))
    }

    fn shown(&self, module: &Module, folder: &Path) -> String {
        let path = &self.modules[module].path;
        path.strip_prefix(folder).expect("it is below").display().to_string()
    }
}

fn child(module: &[String], name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn read_folder(folder: &Path, module: &[String], modules: &mut BTreeMap<Module, File>) {
    for found in fs::read_dir(folder).expect("a folder of sources") {
        let path = found.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        if path.is_dir() {
            read_folder(&path, &child(module, &name), modules);
            continue;
        }
        let is_test = name == "tests" || name.ends_with("_tests") || name == "scripted";
        if path.extension().is_none_or(|extension| extension != "rs") || is_test {
            continue;
        }
        let module = match name.as_str() {
            "lib" | "mod" => module.to_vec(),
            // A program takes from its library as from any other crate.
            "main" => continue,
            name => child(module, name),
        };
        modules.insert(module, File::read(path));
    }
}

impl File {
    fn read(path: PathBuf) -> Self {
        let bare = source::bare(&fs::read_to_string(&path).expect("a source"));
        let (globs, names): (Vec<_>, Vec<_>) =
            source::imports(&bare).into_iter().partition(|(name, _)| name == "*");
        Self {
            path,
            paths: source::paths(&bare),
            items: source::items(&bare).into_iter().collect(),
            names: names.into_iter().collect(),
            globs: globs.into_iter().map(|(_, path)| path).collect(),
        }
    }
}

/// The sets of modules that lead to each other, by way of others or directly.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<BTreeSet<Module>> {
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Module> = edges[from].iter().collect();
        while let Some(module) = next.pop() {
            if reached.insert(module.clone()) {
                next.extend(&edges[module]);
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> =
        edges.keys().map(|module| (module, reached(module))).collect();
    let mut circles: Vec<BTreeSet<Module>> = Vec::new();
    for (module, targets) in &reached {
        if targets.contains(*module) && !circles.iter().any(|circle| circle.contains(*module)) {
            let back = |other: &&Module| reached[*other].contains(*module);
            circles.push(targets.iter().filter(back).cloned().collect());
        }
    }
    circles
}
