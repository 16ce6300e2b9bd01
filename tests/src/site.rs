//! The clouds that tests run on: one file for each says how a test finds it, what can be done to its
//! machines behind the provider's back, and what it cannot do.
//!
//! A further cloud is a file beside those, with its [`Site`] and a macro like theirs, and its name here.

use crate::machines::Machine;
use std::any::Any;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

mod aws;
mod local;

pub use aws::Aws;
pub use local::Local;

/// Makes tests of functions that take a [`Cloud`]: each one for each cloud, as in `aws::NAME`. What a
/// function needs that not every cloud can do stands behind it. Where a cloud cannot, the test is
/// ignored, and the output says why.
///
/// ```text
/// acceptance::tests! {
///     a_lost_worker_comes_back;
///     a_completion_streams needs chats;
/// }
/// ```
///
/// - `chats`: somebody answers at the endpoint of a service.
/// - `journals`: what programs on a machine print can be read.
/// - `hangs`: the cloud tells that a machine hangs.
/// - `records`: what the cloud keeps are files, which a test rewrites.
/// - `own_secrets`: machines get secrets from the environment of whoever runs Terraform.
#[macro_export]
macro_rules! tests {
    ($($test:ident $(needs $($need:ident),+)?;)+) => {
        mod local {
            $($crate::local_test!($test $($($need)+)?);)+
        }
        mod aws {
            $($crate::aws_test!($test $($($need)+)?);)+
        }
    };
}

/// A test on one cloud; with a reason, one that is not run there.
#[doc(hidden)]
#[macro_export]
macro_rules! test_on {
    ($site:ident, $test:ident) => {
        #[test]
        fn $test() {
            super::$test(&$crate::$site::cloud());
        }
    };
    ($site:ident, $test:ident, $reason:literal) => {
        #[test]
        #[ignore = $reason]
        fn $test() {
            super::$test(&$crate::$site::cloud());
        }
    };
}

/// A cloud of a test's own. It ends with the last workspace in it.
pub type Cloud = Arc<dyn Site>;

/// What tests need of a cloud.
pub trait Site: Any + Debug + Send + Sync {
    /// `cloud/region`, as every id in it begins.
    fn region(&self) -> String;

    /// The attributes that put a fleet there.
    fn fleet_attributes(&self) -> String;

    /// What Terraform and the provider need to find it.
    fn environment(&self) -> Vec<(String, String)>;

    /// A program as a client of it.
    fn client(&self, program: &OsStr) -> Command {
        Command::new(program)
    }

    /// Whether somebody answers at the endpoint of a service.
    fn serves(&self) -> bool;

    /// The most bytes that the user data of a machine may have.
    fn most_user_data(&self) -> usize;

    /// Every machine, routers and workers.
    fn machines(&self) -> Vec<Machine>;

    /// How many machines have begun to run.
    fn started(&self) -> usize {
        self.machines().len()
    }

    /// What a machine has printed on its console.
    fn console(&self, id: &str) -> String;

    /// The value of one of the provider's tags on a machine, named without its beginning; empty when it has
    /// none.
    fn tag(&self, id: &str, key: &str) -> String;

    /// What is left here, apart from machines.
    fn left(&self) -> Vec<String>;

    /// A machine disappears.
    fn lose(&self, id: &str);

    /// Somebody switches a machine off.
    fn stop(&self, id: &str);

    /// A machine hangs; only for tests that need `hangs`.
    fn hang(&self, id: &str) {
        panic!("{self:?} does not tell that {id} hangs");
    }

    /// What the programs on a machine have printed; only for tests that need `journals`.
    fn journal(&self, id: &str) -> String {
        panic!("{self:?} has no journal of {id}");
    }

    /// Somebody changes a tag of a machine, or takes it away.
    fn retag(&self, id: &str, key: &str, value: Option<&str>);

    /// Makes a machine a day old.
    fn age(&self, id: &str);

    /// From now on there are these faults and no others.
    fn faults(&self, faults: &[Fault]);

    /// Keeps everything as it is until the next call comes: whoever was waiting has died.
    fn hold(&self) {}
}

impl dyn Site {
    /// The path by which something in the region is imported: `pd/tiny` is `local/local/pd/tiny`.
    pub fn path(&self, below: &str) -> String {
        format!("{}/{below}", self.region())
    }
}

/// What goes wrong in a cloud until it is mended.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// Machines take so long until they run anything.
    SlowBoot(Duration),
    /// There is room for so many machines of a group.
    NoCapacity {
        /// The group.
        group: &'static str,
        /// How many there is room for.
        after: u32,
    },
    /// Machines of a group do not come up.
    BootFailure {
        /// The group.
        group: &'static str,
        /// So many of each launch; all without it.
        first: Option<u32>,
    },
    /// Workers that are let go do not come to the end of what runs on them.
    Busy,
}
