//! Rolling a group over to another configuration: batch by batch, so that it keeps serving.

use super::group::{Member, Removal, RemovalReason};
use super::slots::lowest_free;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How many machines a roll may take at a time. At least one of the two is more than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateStrategy {
    /// How many of the wanted machines may be missing.
    pub max_unavailable: u32,
    /// How many machines there may be beyond the wanted ones.
    pub max_surge: u32,
}

impl Default for UpdateStrategy {
    fn default() -> Self {
        Self { max_unavailable: 1, max_surge: 0 }
    }
}

impl UpdateStrategy {
    /// Whether no machine of a group of `count` serves while it is rolled.
    pub fn takes_all(self, count: u32) -> bool {
        count > 0 && self.max_unavailable >= count
    }
}

/// One step of a roll. The next one is planned only when every machine that this one launched has
/// registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Removed first.
    pub remove: Vec<Removal>,
    /// Then machines are launched into these slots, and waited for.
    pub launch: Vec<u32>,
    /// Removed when those are there, which is what the group waits for.
    pub replaced: Vec<Removal>,
}

/// The next batch; `None` when no machine is of another digest than the wanted one. Those that serve
/// nobody go first, then the oldest.
pub fn next_batch(strategy: UpdateStrategy, digest: &str, members: &[Member]) -> Option<Batch> {
    let mut outdated: Vec<&Member> =
        members.iter().filter(|member| member.digest != digest).collect();
    if outdated.is_empty() {
        return None;
    }
    outdated.sort_by_key(|member| (member.ready, member.launched_at, Reverse(member.slot)));
    let size = strategy.max_unavailable.saturating_add(strategy.max_surge).max(1);
    outdated.truncate(size as usize);
    // As many as may surge go only when their successors are there: a group of one keeps serving.
    let surge = outdated.len().min(strategy.max_surge as usize);
    let later = outdated.split_off(outdated.len() - surge);
    let mut taken: BTreeSet<u32> = members.iter().map(|member| member.slot).collect();
    for member in &outdated {
        taken.remove(&member.slot);
    }
    let free = lowest_free(|slot| taken.contains(&slot));
    let launch = free.take(outdated.len() + later.len()).collect();
    Some(Batch { remove: removals(&outdated), launch, replaced: removals(&later) })
}

fn removals(members: &[&Member]) -> Vec<Removal> {
    let removal = |member: &&Member| Removal {
        slot: member.slot,
        id: member.id.clone(),
        reason: RemovalReason::Outdated,
    };
    members.iter().map(removal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::{InstanceId, InstanceState};
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn member(slot: u32, digest: &str, ready: bool) -> Member {
        Member {
            slot,
            id: InstanceId(format!("i-{slot}")),
            state: InstanceState::Running,
            digest: digest.to_owned(),
            ready,
            launched_at: u64::from(slot),
        }
    }

    fn check(max_unavailable: u32, max_surge: u32, members: &[Member], expected: Expect) {
        let strategy = UpdateStrategy { max_unavailable, max_surge };
        let batch = next_batch(strategy, "new", members);
        let ids = |removals: &[Removal]| -> Vec<String> {
            removals.iter().map(|removal| removal.id.to_string()).collect()
        };
        let text = batch.map(|Batch { remove, launch, replaced }| {
            format!(
                "remove {:?}, launch {launch:?}, then remove {:?}",
                ids(&remove),
                ids(&replaced)
            )
        });
        expected.assert_eq(text.as_deref().unwrap_or("done"));
    }

    #[test]
    fn batches() {
        let three = [member(0, "old", true), member(1, "old", true), member(2, "new", true)];
        check(1, 0, &three, expect![[r#"remove ["i-0"], launch [0], then remove []"#]]);
        check(0, 1, &three, expect![[r#"remove [], launch [3], then remove ["i-0"]"#]]);
        check(1, 1, &three, expect![[r#"remove ["i-0"], launch [0, 3], then remove ["i-1"]"#]]);
        check(1, 1, &three[..1], expect![[r#"remove [], launch [1], then remove ["i-0"]"#]]);
        check(9, 0, &three, expect![[r#"remove ["i-0", "i-1"], launch [0, 1], then remove []"#]]);
        check(1, 0, &three[2..], expect!["done"]);
        check(1, 0, &[], expect!["done"]);
        let broken = [member(0, "old", true), member(1, "old", false)];
        check(1, 0, &broken, expect![[r#"remove ["i-1"], launch [1], then remove []"#]]);
    }

    proptest! {
        #[test]
        fn a_roll_ends_and_keeps_its_bounds(
            old in 0_u32..12,
            new in 0_u32..4,
            max_unavailable in 0_u32..5,
            max_surge in 0_u32..5,
        ) {
            prop_assume!(max_unavailable + max_surge > 0);
            let strategy = UpdateStrategy { max_unavailable, max_surge };
            let count = old + new;
            let mut members: Vec<Member> = (0..old).map(|slot| member(slot, "old", true)).collect();
            members.extend((old..count).map(|slot| member(slot, "new", true)));
            let mut batches = 0;
            while let Some(batch) = next_batch(strategy, "new", &members) {
                batches += 1;
                prop_assert!(batches <= old, "it does not end");
                members.retain(|m| batch.remove.iter().all(|removal| removal.id != m.id));
                prop_assert!(members.len() as u32 + max_unavailable >= count);
                for slot in &batch.launch {
                    prop_assert!(members.iter().all(|m| m.slot != *slot), "slot {slot} is taken");
                    members.push(Member {
                        id: InstanceId(format!("n-{batches}-{slot}")),
                        ..member(*slot, "new", true)
                    });
                }
                prop_assert!(members.len() as u32 <= count + max_surge);
                members.retain(|m| batch.replaced.iter().all(|removal| removal.id != m.id));
                prop_assert_eq!(members.len() as u32, count);
            }
            prop_assert!(members.iter().all(|m| m.digest == "new"));
        }
    }
}
