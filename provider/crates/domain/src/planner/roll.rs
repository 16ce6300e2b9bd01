//! Rolling a group over to another configuration: batch by batch, so that it keeps serving.

use super::group::{Member, Removal};
use super::slots::lowest_free;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How many machines a roll may take at a time, and how many it may add.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpdateStrategy {
    /// How many of the wanted machines may be missing. Not said, it is one, and never the last that
    /// serves: that one goes when its successor is there, whatever `max_surge` says.
    pub max_unavailable: Option<u32>,
    /// How many machines there may be beyond the wanted ones. More than 0 where `max_unavailable` is 0.
    pub max_surge: u32,
}

impl UpdateStrategy {
    /// How many machines are replaced at once.
    pub fn batch_size(self) -> u32 {
        self.max_unavailable.unwrap_or(1).saturating_add(self.max_surge).max(1)
    }

    /// Whether no machine of a group of `count` serves while it is rolled.
    pub fn takes_all(self, count: u32) -> bool {
        self.max_surge == 0 && count > 0 && self.max_unavailable.is_some_and(|max| max >= count)
    }

    /// Whether it may take machines before there are others for them.
    pub fn takes_first(self) -> bool {
        self.max_unavailable != Some(0)
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
    let UpdateStrategy { max_unavailable, max_surge } = strategy;
    let size = strategy.batch_size();
    outdated.truncate(size as usize);
    // As many as may surge go only when their successors are there: a group of one keeps serving.
    let surge = outdated.len().min(max_surge as usize);
    let mut later = outdated.split_off(outdated.len() - surge);
    if max_unavailable.is_none() && takes_the_last(&outdated, members) {
        later.splice(0..0, outdated.drain(..));
    }
    let mut taken: BTreeSet<u32> = members.iter().map(|member| member.slot).collect();
    for member in &outdated {
        taken.remove(&member.slot);
    }
    let free = lowest_free(|slot| taken.contains(&slot));
    let launch = free.take(outdated.len() + later.len()).collect();
    Some(Batch { remove: removals(&outdated), launch, replaced: removals(&later) })
}

/// Whether some of these serve, and nobody does without them.
fn takes_the_last(leaving: &[&Member], members: &[Member]) -> bool {
    let stays = |member: &Member| leaving.iter().all(|leaving| leaving.id != member.id);
    leaving.iter().any(|member| member.ready)
        && !members.iter().any(|member| member.ready && stays(member))
}

fn removals(members: &[&Member]) -> Vec<Removal> {
    let removal = |member: &&Member| Removal { slot: member.slot, id: member.id.clone() };
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

    fn check(
        max_unavailable: impl Into<Option<u32>>,
        max_surge: u32,
        members: &[Member],
        expected: Expect,
    ) {
        let strategy = UpdateStrategy { max_unavailable: max_unavailable.into(), max_surge };
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

    #[test]
    fn the_last_that_serves_goes_only_when_that_was_said() {
        let one = [member(0, "old", true)];
        check(1, 0, &one, expect![[r#"remove ["i-0"], launch [0], then remove []"#]]);
        check(None, 0, &one, expect![[r#"remove [], launch [1], then remove ["i-0"]"#]]);
        check(None, 2, &one, expect![[r#"remove [], launch [1], then remove ["i-0"]"#]]);
        let two = [member(0, "old", true), member(1, "old", true)];
        check(None, 0, &two, expect![[r#"remove ["i-0"], launch [0], then remove []"#]]);
        check(None, 1, &two, expect![[r#"remove ["i-0"], launch [0, 2], then remove ["i-1"]"#]]);
        // Who serves nobody costs nothing, and a new one that does not serve is no successor.
        let broken = [member(0, "old", false), member(1, "new", false)];
        check(None, 0, &broken, expect![[r#"remove ["i-0"], launch [0], then remove []"#]]);
        let alone = [member(0, "old", true), member(1, "new", false)];
        check(None, 0, &alone, expect![[r#"remove [], launch [2], then remove ["i-0"]"#]]);
    }

    #[test]
    fn only_what_was_said_takes_the_whole_group() {
        let takes_all = |max_unavailable, max_surge, count| {
            UpdateStrategy { max_unavailable, max_surge }.takes_all(count)
        };
        assert!(takes_all(Some(1), 0, 1) && takes_all(Some(9), 0, 3));
        assert!(!takes_all(None, 0, 1) && !takes_all(Some(1), 1, 1) && !takes_all(Some(2), 0, 3));
        assert!(!takes_all(Some(1), 0, 0));
    }

    fn any_members() -> impl Strategy<Value = Vec<Member>> {
        let word = prop::sample::select(vec![("old", true), ("old", false), ("new", true)]);
        prop::collection::vec(word, 0..12).prop_map(|words| {
            let members = words.into_iter().zip(0..);
            members.map(|((digest, ready), slot)| member(slot, digest, ready)).collect()
        })
    }

    fn any_strategy() -> impl Strategy<Value = UpdateStrategy> {
        (prop::option::of(0_u32..5), 0_u32..5)
            .prop_map(|(max_unavailable, max_surge)| UpdateStrategy { max_unavailable, max_surge })
            .prop_filter("it cannot begin", |strategy| {
                strategy.max_surge > 0 || strategy.max_unavailable != Some(0)
            })
    }

    proptest! {
        #[test]
        fn a_roll_ends_and_keeps_its_bounds(mut members in any_members(), strategy in any_strategy()) {
            let UpdateStrategy { max_unavailable, max_surge } = strategy;
            let count = members.len();
            let old = members.iter().filter(|m| m.digest == "old").count();
            let serves = |members: &[Member]| members.iter().any(|member| member.ready);
            let served = serves(&members);
            let (missing, beyond) = match max_unavailable {
                Some(missing) => (missing, max_surge),
                None => (1, max_surge.max(1)),
            };
            let mut batches = 0;
            while let Some(batch) = next_batch(strategy, "new", &members) {
                batches += 1;
                prop_assert!(batches <= old, "it does not end");
                members.retain(|m| batch.remove.iter().all(|removal| removal.id != m.id));
                prop_assert!(members.len() + missing as usize >= count);
                prop_assert!(!served || max_unavailable.is_some() || serves(&members));
                for slot in &batch.launch {
                    prop_assert!(members.iter().all(|m| m.slot != *slot), "slot {slot} is taken");
                    members.push(Member {
                        id: InstanceId(format!("n-{batches}-{slot}")),
                        ..member(*slot, "new", true)
                    });
                }
                prop_assert!(members.len() <= count + beyond as usize);
                members.retain(|m| batch.replaced.iter().all(|removal| removal.id != m.id));
                prop_assert_eq!(members.len(), count);
            }
            prop_assert!(members.iter().all(|m| m.digest == "new"));
        }
    }
}
