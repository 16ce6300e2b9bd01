//! The disk images that hosts boot from. Each is built once, by `machine/image`, and cached.

use crate::{SCRIPTS, require_root};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A Debian with its own cloud-init and systemd, and Dynamo, etcd and NATS on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// Debian 12: lenient, and as old as it gets.
    Bookworm,
    /// Debian 13: strict, unknown keys and warnings count.
    Trixie,
}

impl Image {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// Debian's name of it.
    pub fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The version of its cloud-init.
    pub fn cloud_init(self) -> &'static str {
        match self {
            Self::Bookworm => "22.4.2",
            Self::Trixie => "25.1.4",
        }
    }

    /// Its directory; it is built first when it is not there.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn path(self) -> PathBuf {
        require_root();
        let output = Command::new(format!("{SCRIPTS}/machine/image"))
            .arg(self.suite())
            .stderr(Stdio::inherit())
            .output()
            .expect("the script is executable");
        assert!(output.status.success(), "the image of Debian {} was not built", self.suite());
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end())
    }
}
