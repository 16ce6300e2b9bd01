//! Slots: the numbers by which the state tells the machines of a group apart. Machines themselves
//! know no number, so that N of them are one launch.

use cloud::Instance;
use std::collections::BTreeMap;

/// Puts machines into slots: one that had a slot keeps it, the others get the lowest free slots,
/// oldest first. A slot whose machine is gone is free.
pub fn assign_slots(
    known: &BTreeMap<u32, String>,
    machines: &[Instance],
) -> BTreeMap<u32, Instance> {
    let slot_of: BTreeMap<&str, u32> =
        known.iter().map(|(slot, id)| (id.as_str(), *slot)).collect();
    let mut slots = BTreeMap::new();
    let mut without = Vec::new();
    for machine in machines {
        match slot_of.get(machine.id.0.as_str()) {
            Some(slot) => {
                slots.insert(*slot, machine.clone());
            }
            None => without.push(machine),
        }
    }
    without.sort_by(|a, b| (a.launched_at, &a.id).cmp(&(b.launched_at, &b.id)));
    for machine in without {
        let slot = lowest_free(|slot| slots.contains_key(&slot)).next();
        slots.insert(slot.unwrap_or_default(), machine.clone());
    }
    slots
}

/// Slots that are not taken, from 0 on.
pub(super) fn lowest_free(is_taken: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
    (0..u32::MAX).filter(move |slot| !is_taken(*slot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::{InstanceId, InstanceState, Tags};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn machine(id: &str, launched_at: u64) -> Instance {
        Instance {
            id: InstanceId(id.to_owned()),
            state: InstanceState::Running,
            ip: None,
            instance_type: "cpu-2-4".to_owned(),
            image: None,
            findings: Vec::new(),
            launched_at,
            tags: Tags::new(),
        }
    }

    fn assigned(known: &[(u32, &str)], machines: &[Instance]) -> Vec<(u32, String)> {
        let known = known.iter().map(|(slot, id)| (*slot, (*id).to_owned())).collect();
        assign_slots(&known, machines).into_iter().map(|(slot, found)| (slot, found.id.0)).collect()
    }

    #[test]
    fn slots() {
        let (a, b, c) = (machine("a", 1), machine("b", 2), machine("c", 2));
        let of = |slots: &[(u32, &str)]| -> Vec<(u32, String)> {
            slots.iter().map(|(slot, id)| (*slot, (*id).to_owned())).collect()
        };
        let all = [c.clone(), b.clone(), a.clone()];
        assert_eq!(assigned(&[], &all), of(&[(0, "a"), (1, "b"), (2, "c")]));
        assert_eq!(assigned(&[(1, "a")], &all), of(&[(0, "b"), (1, "a"), (2, "c")]));
        assert_eq!(assigned(&[(0, "gone"), (5, "c")], &[b, c]), of(&[(0, "b"), (5, "c")]));
        assert_eq!(assigned(&[(0, "a")], &[]), of(&[]));
        assert_eq!(assigned(&[(7, "a")], &[a]), of(&[(7, "a")]));
    }

    proptest! {
        #[test]
        fn every_machine_has_one_slot_and_keeps_it(
            ids in prop::collection::btree_set("[a-f]{1,2}", 0..12),
            known in prop::collection::btree_map(0_u32..8, "[a-f]{1,2}", 0..6),
        ) {
            // A state never holds one machine twice.
            let mut seen = BTreeSet::new();
            let known: BTreeMap<u32, String> =
                known.into_iter().filter(|(_, id)| seen.insert(id.clone())).collect();
            let machines: Vec<_> = ids.iter().map(|id| machine(id, id.len() as u64)).collect();
            let slots = assign_slots(&known, &machines);
            prop_assert_eq!(slots.len(), machines.len());
            for (slot, id) in &known {
                if ids.contains(id) {
                    prop_assert_eq!(&slots[slot].id.0, id);
                }
            }
            let again = slots.iter().map(|(slot, machine)| (*slot, machine.id.0.clone())).collect();
            prop_assert_eq!(assign_slots(&again, &machines), slots);
        }
    }
}
