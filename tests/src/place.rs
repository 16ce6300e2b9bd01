//! Where the machines of a workspace are: the one list of clouds that tests run on.

use crate::aws::{self, Aws};
use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;

/// A cloud under test.
#[derive(Clone, Debug)]
pub enum Place {
    /// The local cloud, with a state directory of the workspace's own.
    Local,
    /// A simulated AWS.
    Aws(Arc<Aws>),
}

impl Place {
    /// The one that the environment asks for; the local cloud without a word.
    ///
    /// # Panics
    /// When it asks for one that does not exist.
    pub fn new() -> Self {
        if is_aws() { Self::aws() } else { Self::Local }
    }

    /// A program as a client of it.
    pub(crate) fn client(&self, program: &OsStr) -> Command {
        match self {
            Self::Local => Command::new(program),
            Self::Aws(aws) => aws.client(program),
        }
    }

    /// A simulated AWS.
    pub(crate) fn aws() -> Self {
        Self::Aws(Arc::new(Aws::start()))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// The path by which something in the region is imported: `pd/tiny` is `local/local/pd/tiny`.
pub fn path(below: &str) -> String {
    format!("{}/{below}", region())
}

/// `cloud/region` of every id.
fn region() -> String {
    if is_aws() { format!("aws/{}", aws::REGION) } else { "local/local".to_owned() }
}

/// The attributes that put a fleet there.
pub(crate) fn fleet_attributes() -> String {
    match is_aws() {
        true => format!("cloud = \"aws\"\n  zone  = \"{}\"", aws::ZONE),
        false => "cloud = \"local\"".to_owned(),
    }
}

/// Whether somebody answers at the endpoint of a service.
pub fn serves() -> bool {
    !is_aws()
}

fn is_aws() -> bool {
    match std::env::var("DISAGG_TEST_CLOUD").as_deref() {
        Ok("aws") => true,
        Ok("local") | Err(_) => false,
        Ok(other) => panic!("there are no tests on `{other}`"),
    }
}
