//! A machine's root directory: what a VM's image and its first boot put in place.

use crate::config::MachineConfig;
use crate::directory::MachineDirectory;
use crate::shared_cache;
use crate::unit::{self, Unit};
use crate::unit_file::{self, UnitError};
use cloud::{BootDocument, BootFile, ForeignDocument};
use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

const UNITS: &str = "etc/systemd/system";
const ENABLED: &str = "etc/systemd/system/multi-user.target.wants";
/// There once the user data has been dealt with, as cloud-init has it.
const BOOT_FINISHED: &str = "var/lib/cloud/instance/boot-finished";

/// What a program that is broken on purpose does.
const BROKEN_PROGRAM: &str =
    "#!/bin/sh\necho 'this program is broken on purpose: see faults.json' >&2\nexit 1\n";

/// Why a machine's user data came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BootError {
    #[error("the user data is refused")]
    UserData(#[from] ForeignDocument),
    #[error("cannot {doing} {}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("there is no unit {0}")]
    NoUnit(String),
    #[error("unit {unit} is refused")]
    Unit { unit: String, source: UnitError },
}

/// Puts in place what is there before user data is: at every boot.
pub(crate) fn prepare(machine: &MachineDirectory, config: &MachineConfig) -> io::Result<()> {
    let root = machine.root();
    for directory in ["etc", "tmp", "var/lib", "var/log", UNITS, ENABLED] {
        fs::create_dir_all(root.join(directory))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(root.join("root"))?;
    shared_cache::link(&config.cache_directory, &root)?;
    if !root.join("etc/hosts").exists() {
        let hosts = fs::read("/etc/hosts").unwrap_or_default();
        fs::write(root.join("etc/hosts"), hosts)?;
    }
    empty_run(machine)
}

/// Deals with the user data, unless an earlier boot did.
pub(crate) fn first_boot(
    machine: &MachineDirectory,
    config: &MachineConfig,
) -> Result<(), BootError> {
    let root = machine.root();
    let marker = root.join(BOOT_FINISHED);
    if marker.exists() {
        return Ok(());
    }
    let path = machine.user_data();
    let user_data = fs::read(&path).map_err(failed("read", &path))?;
    let document = BootDocument::from_cloud_config(&user_data)?;
    for file in document.all_files() {
        let path = below(&root, Path::new(&file.path));
        write_file(&path, &file).map_err(failed("write", &path))?;
    }
    if let Some(program) = config.broken_program.as_deref().map(|program| below(&root, program))
        && program.exists()
    {
        fs::write(&program, BROKEN_PROGRAM).map_err(failed("write", &program))?;
    }
    for name in &document.units {
        let unit = unit_file(&root, name)?;
        let link = root.join(ENABLED).join(name);
        let _ = fs::remove_file(&link);
        symlink(&unit, &link).map_err(failed("enable", &link))?;
    }
    enabled_units(&root)?;
    fs::create_dir_all(marker.parent().unwrap_or(&root))
        .and_then(|()| fs::write(&marker, ""))
        .map_err(failed("write", &marker))
}

/// The units that start at boot, by name.
pub(crate) fn enabled_units(root: &Path) -> Result<Vec<Unit>, BootError> {
    let directory = root.join(ENABLED);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed("list", &directory))? {
        let name = entry.map_err(failed("list", &directory))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    let units = names.into_iter().map(|name| {
        let path = unit_file(root, &name)?;
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        unit_file::parse(&name, &text).map_err(|source| BootError::Unit { unit: name, source })
    });
    units.collect()
}

/// Where a path on a VM is on this machine.
pub(crate) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn unit_file(root: &Path, name: &str) -> Result<PathBuf, BootError> {
    unit::file_names(name)
        .map(|file| root.join(UNITS).join(file))
        .find(|path| path.is_file())
        .ok_or_else(|| BootError::NoUnit(name.to_owned()))
}

/// As cloud-init does it: directories on the way are made, an old file is replaced.
fn write_file(path: &Path, file: &BootFile) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut open =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    open.write_all(file.content.as_bytes())?;
    open.set_permissions(Permissions::from_mode(file.mode))
}

/// `/run` is empty after a boot and never on a disk: secrets end up there. Without a file system
/// in memory it is at least empty.
fn empty_run(machine: &MachineDirectory) -> io::Result<()> {
    let run = machine.root().join("run");
    let memory = machine.memory();
    match fs::symlink_metadata(&run) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(&run)?,
        Ok(_) => fs::remove_file(&run)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if memory.exists() {
        fs::remove_dir_all(&memory)?;
    }
    // Only a directory that this very call made is nobody else's.
    match DirBuilder::new().mode(0o700).create(&memory) {
        Ok(()) => symlink(&memory, &run),
        Err(_) => DirBuilder::new().mode(0o700).create(&run),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BootError {
    let path = path.to_owned();
    move |source| BootError::Io { doing, path, source }
}
