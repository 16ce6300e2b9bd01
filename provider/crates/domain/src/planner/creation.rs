//! A group is made: which machines of a creation that died are gone on with, which go, and how many are missing.

use cloud::InstanceId;

/// A machine that carries the name of a group which is in no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: InstanceId,
    /// Whether it is up, and on its way to what is wanted: launched for a creation, and not taken away since.
    pub is_creating: bool,
    /// Whether it is made of what is wanted now.
    pub is_current: bool,
    /// The moment it was asked for, seconds since 1970.
    pub launched_at: u64,
}

/// What a creation does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Creation {
    /// Those that it goes on with.
    pub adopted: Vec<InstanceId>,
    /// Those that go: nobody else would ever remove them.
    pub removed: Vec<InstanceId>,
    /// How many are to be launched.
    pub missing: u32,
}

/// Makes a group of `wanted` machines, of which these are there. Those that have loaded the longest are kept.
pub fn plan_creation(wanted: u32, found: &[Found]) -> Creation {
    let mut found: Vec<&Found> = found.iter().collect();
    found.sort_by_key(|machine| (machine.launched_at, machine.id.clone()));
    let mut plan = Creation { missing: wanted, ..Creation::default() };
    for machine in found {
        if machine.is_creating && machine.is_current && plan.missing > 0 {
            plan.adopted.push(machine.id.clone());
            plan.missing -= 1;
        } else {
            plan.removed.push(machine.id.clone());
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<Found> {
        // `c` is creating and current, `o` creating and old, `d` draining and current; later letters are newer.
        let one = |(index, kind): (usize, char)| Found {
            id: InstanceId(format!("{kind}{index}")),
            is_creating: kind != 'd',
            is_current: kind != 'o',
            launched_at: index as u64,
        };
        text.chars().enumerate().map(one).collect()
    }

    fn said(Creation { adopted, removed, missing }: Creation) -> String {
        let names =
            |ids: Vec<InstanceId>| ids.into_iter().map(|id| id.0).collect::<Vec<_>>().join(" ");
        format!("keeps {}, removes {}, launches {missing}", names(adopted), names(removed))
    }

    #[test]
    fn what_is_wanted_is_gone_on_with_and_all_else_goes() {
        for (wanted, text, expected) in [
            (2, "", "keeps , removes , launches 2"),
            (2, "c", "keeps c0, removes , launches 1"),
            (2, "cc", "keeps c0 c1, removes , launches 0"),
            // Too many, of another kind, or on their way out.
            (1, "cc", "keeps c0, removes c1, launches 0"),
            (2, "oc", "keeps c1, removes o0, launches 1"),
            (2, "dd", "keeps , removes d0 d1, launches 2"),
            (0, "c", "keeps , removes c0, launches 0"),
        ] {
            assert_eq!(said(plan_creation(wanted, &found(text))), expected, "{wanted} of {text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_there_are_as_many_as_are_wanted(wanted in 0_u32..9, text in "[cod]{0,9}") {
            let found = found(&text);
            let Creation { adopted, removed, missing } = plan_creation(wanted, &found);
            prop_assert_eq!(adopted.len() + removed.len(), found.len());
            prop_assert_eq!(adopted.len() + missing as usize, wanted as usize);
        }
    }
}
