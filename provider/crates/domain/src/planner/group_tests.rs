use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

const DIGEST: &str = "00000000000000aa";

/// `running` and ready unless a word says otherwise.
fn member(slot: u32, launched_at: u64, words: &str) -> Member {
    let state = match words {
        text if text.contains("stopped") => InstanceState::Stopped,
        text if text.contains("stopping") => InstanceState::Stopping,
        text if text.contains("impaired") => InstanceState::Impaired,
        text if text.contains("terminating") => InstanceState::Terminating,
        text if text.contains("pending") => InstanceState::Pending,
        text if text.contains("unreachable") => InstanceState::Unreachable,
        _ => InstanceState::Running,
    };
    Member {
        slot,
        id: InstanceId(format!("i-{slot}")),
        state,
        digest: if words.contains("old") { "old".to_owned() } else { DIGEST.to_owned() },
        ready: state == InstanceState::Running && !words.contains("unready"),
        launched_at,
    }
}

fn check(wanted: Count, observed: &[Member], expected: Expect) {
    let plan = plan_group(wanted, DIGEST, observed);
    let lines: Vec<String> = plan
        .steps
        .iter()
        .flat_map(|step| match step {
            Step::Start(id) => vec![format!("start {id}")],
            Step::Reboot(id) => vec![format!("reboot {id}")],
            Step::Remove(removals) => removals
                .iter()
                .map(|Removal { slot, id }| format!("remove {id} in slot {slot}"))
                .collect(),
            Step::Launch { slots } => vec![format!("launch into {slots:?}")],
        })
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn counts_by_difference() {
    let three = [member(0, 1, ""), member(1, 2, ""), member(2, 3, "")];
    check(Count::Fixed(3), &three, expect![""]);
    check(Count::Fixed(5), &three, expect!["launch into [3, 4]"]);
    check(Count::Fixed(2), &three, expect!["remove i-2 in slot 2"]);
    check(Count::Fixed(0), &[], expect![""]);
    check(Count::Fixed(2), &[], expect!["launch into [0, 1]"]);
    check(Count::Fixed(3), &[three[0].clone(), three[2].clone()], expect!["launch into [1]"]);
}

#[test]
fn nothing_takes_the_place_of_what_the_cloud_has_lost_sight_of() {
    let members = [member(0, 1, ""), member(1, 2, "unreachable")];
    check(Count::Fixed(2), &members, expect![""]);
    check(Count::Within { min: 2, max: 4 }, &members, expect![""]);
}

#[test]
fn unready_and_newest_go_first() {
    let members =
        [member(0, 9, ""), member(1, 1, "unready"), member(2, 5, ""), member(3, 7, "pending")];
    check(
        Count::Fixed(1),
        &members,
        expect![[r#"
            remove i-3 in slot 3
            remove i-1 in slot 1
            remove i-0 in slot 0"#]],
    );
}

#[test]
fn what_stays_is_brought_back() {
    let members = [
        member(0, 1, "stopped"),
        member(1, 1, "impaired"),
        member(2, 1, "stopping"),
        member(3, 1, ""),
    ];
    check(
        Count::Fixed(4),
        &members,
        expect![[r#"
            start i-0
            reboot i-1
            start i-2"#]],
    );
    check(
        Count::Fixed(2),
        &members,
        expect![[r#"
            start i-0
            remove i-2 in slot 2
            remove i-1 in slot 1"#]],
    );
}

#[test]
fn bounds_leave_the_count_alone() {
    let bounds = Count::Within { min: 2, max: 3 };
    let four: Vec<Member> = (0..4).map(|slot| member(slot, u64::from(slot), "")).collect();
    check(bounds, &four, expect!["remove i-3 in slot 3"]);
    check(bounds, &four[..3], expect![""]);
    check(bounds, &four[..2], expect![""]);
    check(bounds, &four[..1], expect!["launch into [1]"]);
}

#[test]
fn other_digests_count_and_stay() {
    let members = [member(0, 1, "old"), member(1, 2, ""), member(2, 3, "old")];
    check(Count::Fixed(3), &members, expect![""]);
}

#[test]
fn machines_on_their_way_out_do_not_count() {
    let members = [member(0, 1, "terminating"), member(1, 2, "")];
    check(Count::Fixed(2), &members, expect!["launch into [0]"]);
    check(Count::Fixed(1), &members, expect![""]);
}

fn any_member(slot: u32) -> impl Strategy<Value = Member> {
    let words = prop::sample::select(vec![
        "",
        "unready",
        "stopped",
        "stopping",
        "impaired",
        "terminating",
        "pending",
        "old",
        "old unready",
    ]);
    (words, 0_u64..5).prop_map(move |(words, launched_at)| member(slot, launched_at, words))
}

fn any_members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::btree_set(0_u32..12, 0..8)
        .prop_flat_map(|slots| slots.into_iter().map(any_member).collect::<Vec<_>>())
}

fn any_count() -> impl Strategy<Value = Count> {
    prop_oneof![
        (0_u32..10).prop_map(Count::Fixed),
        (0_u32..6, 0_u32..6).prop_map(|(min, more)| Count::Within { min, max: min + more }),
    ]
}

/// What the cloud has after the steps.
fn carried_out(plan: &GroupPlan, observed: &[Member]) -> Vec<Member> {
    let mut members = observed.to_vec();
    for step in &plan.steps {
        match step {
            Step::Start(id) | Step::Reboot(id) => {
                members
                    .iter_mut()
                    .filter(|m| m.id == *id)
                    .for_each(|m| m.state = InstanceState::Running);
            }
            Step::Remove(removals) => {
                members.retain(|m| removals.iter().all(|removal| removal.id != m.id));
            }
            Step::Launch { slots } => members.extend(slots.iter().map(|slot| Member {
                id: InstanceId(format!("new-{slot}")),
                ..member(*slot, 100, "unready")
            })),
        }
    }
    members.retain(|m| m.state != InstanceState::Terminating);
    members
}

fn removals(plan: &GroupPlan) -> impl Iterator<Item = &Removal> {
    let steps = plan.steps.iter().filter_map(|step| match step {
        Step::Remove(removals) => Some(removals),
        _ => None,
    });
    steps.flatten()
}

proptest! {
    #[test]
    fn one_plan_converges(observed in any_members(), wanted in any_count()) {
        let plan = plan_group(wanted, DIGEST, &observed);
        let present = observed.iter().filter(|m| m.state != InstanceState::Terminating).count();
        let target = wanted.nearest(present as u32) as usize;
        let after = carried_out(&plan, &observed);
        prop_assert_eq!(after.len(), target);
        prop_assert!(after.iter().all(|m| matches!(m.state, InstanceState::Running | InstanceState::Pending)));
        let slots: BTreeSet<u32> = after.iter().map(|m| m.slot).collect();
        prop_assert_eq!(slots.len(), after.len(), "two machines in one slot");
        prop_assert_eq!(plan_group(wanted, DIGEST, &after).steps, vec![]);

        prop_assert_eq!(removals(&plan).count(), present.saturating_sub(target));
    }

    #[test]
    fn no_ready_machine_goes_before_an_unready_one(observed in any_members(), wanted in any_count()) {
        let plan = plan_group(wanted, DIGEST, &observed);
        let gone: BTreeSet<&InstanceId> = removals(&plan).map(|removal| &removal.id).collect();
        let removed_ready = observed.iter().any(|m| m.ready && gone.contains(&m.id));
        let kept_unready = observed.iter()
            .any(|m| !m.ready && m.state != InstanceState::Terminating && !gone.contains(&m.id));
        prop_assert!(!(removed_ready && kept_unready));
    }
}
