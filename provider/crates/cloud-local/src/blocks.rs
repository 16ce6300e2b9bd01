//! Loopback addresses, shared out among all local clouds of this computer: each fleet gets a /24
//! out of 127.64.0.0–127.127.255.0.
//!
//! The registry is one file for all users with a line per block; a block whose fleet is gone is free
//! again.

use crate::error::StateError;
use crate::shared_file::SharedFile;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// 256 loopback addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Block(u16);

impl Block {
    /// Hosts of a block that are handed out, first to last.
    pub(crate) const FIRST_HOST: u8 = 10;
    pub(crate) const LAST_HOST: u8 = 250;

    const COUNT: u16 = 64 * 256;

    /// An address of the block.
    pub(crate) fn host(self, host: u8) -> Ipv4Addr {
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(127, 64 + high, low, host)
    }

    fn parse(text: &str) -> Option<Self> {
        let [127, second, third, 0] = text.strip_suffix("/24")?.parse::<Ipv4Addr>().ok()?.octets()
        else {
            return None;
        };
        let number = u16::from_be_bytes([second.checked_sub(64)?, third]);
        (number < Self::COUNT).then_some(Self(number))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/24", self.host(0))
    }
}

impl Serialize for Block {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no block")))
    }
}

/// The registry, locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    file: SharedFile,
    claims: BTreeMap<Block, Owner>,
}

/// Whose block it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    state_directory: PathBuf,
    fleet: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    block: Block,
    #[serde(flatten)]
    owner: Owner,
}

impl Registry {
    /// Opens the registry and waits for its lock.
    pub(crate) async fn open(path: &Path) -> Result<Self, StateError> {
        let (file, lines) = SharedFile::open(path).await?;
        let claims = lines.into_iter().map(|Line { block, owner }| (block, owner)).collect();
        Ok(Self { file, claims })
    }

    /// A block that is this fleet's from now on: the one it had, if that is still to be had, else
    /// a free one. `None` when there is none left.
    pub(crate) fn claim(
        &mut self,
        store: &Store,
        fleet: &str,
        had: Option<Block>,
    ) -> Result<Option<Block>, StateError> {
        let owner =
            Owner { state_directory: store.directory().to_owned(), fleet: fleet.to_owned() };
        if let Some(block) = had
            && self.claims.get(&block) == Some(&owner)
        {
            return Ok(had);
        }
        self.claims.retain(|_, other| *other != owner && fleet_may_exist(other));
        let mut candidates = had.into_iter().chain((0..Block::COUNT).map(Block));
        let Some(block) = candidates.find(|block| !self.claims.contains_key(block)) else {
            return Ok(None);
        };
        self.claims.insert(block, owner);
        self.write()?;
        Ok(Some(block))
    }

    /// Gives the fleet's block back.
    pub(crate) fn release(&mut self, store: &Store, fleet: &str) -> Result<(), StateError> {
        self.claims
            .retain(|_, owner| owner.fleet != fleet || owner.state_directory != store.directory());
        self.write()
    }

    fn write(&mut self) -> Result<(), StateError> {
        let lines =
            self.claims.iter().map(|(block, owner)| Line { block: *block, owner: owner.clone() });
        self.file.write(lines)
    }
}

/// A fleet that cannot be looked for is another user's, and exists for all we know.
fn fleet_may_exist(owner: &Owner) -> bool {
    let record = owner.state_directory.join("fleets").join(format!("{}.json", owner.fleet));
    record.try_exists().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Computer {
        directory: tempfile::TempDir,
    }

    impl Computer {
        fn store(&self, name: &str) -> Store {
            Store::open(&self.directory.path().join(name)).unwrap()
        }

        async fn registry(&self) -> Registry {
            Registry::open(&self.directory.path().join("registry")).await.unwrap()
        }
    }

    /// Claims as the fleet's creation does: the record is there before the lock is given up.
    async fn claim(computer: &Computer, store: &Store, fleet: &str) -> String {
        let block = computer.registry().await.claim(store, fleet, None).unwrap().unwrap();
        fs::write(store.fleets().join(format!("{fleet}.json")), "{}").unwrap();
        block.to_string()
    }

    #[tokio::test]
    async fn blocks_are_shared_out_and_come_back() {
        let computer = Computer { directory: tempfile::tempdir().unwrap() };
        let (one, two) = (computer.store("one"), computer.store("two"));
        assert_eq!(claim(&computer, &one, "a").await, "127.64.0.0/24");
        assert_eq!(claim(&computer, &two, "a").await, "127.64.1.0/24");
        assert_eq!(claim(&computer, &one, "a").await, "127.64.0.0/24");
        assert_eq!(claim(&computer, &one, "b").await, "127.64.2.0/24");

        computer.registry().await.release(&one, "a").unwrap();
        fs::remove_dir_all(two.directory()).unwrap();
        let three = computer.store("three");
        assert_eq!(claim(&computer, &three, "a").await, "127.64.0.0/24");
        assert_eq!(claim(&computer, &three, "b").await, "127.64.1.0/24");
    }

    #[tokio::test]
    async fn a_torn_line_costs_nobody_else_a_block() {
        let computer = Computer { directory: tempfile::tempdir().unwrap() };
        let one = computer.store("one");
        claim(&computer, &one, "a").await;
        claim(&computer, &one, "b").await;
        let path = computer.directory.path().join("registry");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("fleet", "fl\0\0", 1)).unwrap();
        let mut registry = computer.registry().await;
        let had = Block::parse("127.64.0.0/24");
        assert_eq!(registry.claim(&one, "a", had).unwrap(), had);
        assert_eq!(registry.claims.len(), 2);
    }

    #[test]
    fn blocks_have_one_spelling() {
        for (text, good) in [
            ("127.64.0.0/24", true),
            ("127.127.255.0/24", true),
            ("127.128.0.0/24", false),
            ("127.63.0.0/24", false),
            ("127.64.0.1/24", false),
            ("10.64.0.0/24", false),
            ("127.64.0.0", false),
        ] {
            let block = Block::parse(text);
            assert_eq!(block.is_some(), good, "{text}");
            assert_eq!(block.map(|block| block.to_string()), good.then(|| text.to_owned()));
        }
    }
}
