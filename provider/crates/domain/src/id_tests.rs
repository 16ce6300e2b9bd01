use super::*;
use expect_test::{Expect, expect};

fn group() -> GroupId {
    "aws/us-east-2/pd/glm@3f9a1c2e/prefill".parse().unwrap()
}

#[test]
fn ids_are_their_text() {
    let group = group();
    assert_eq!(group.to_string(), "aws/us-east-2/pd/glm@3f9a1c2e/prefill");
    assert_eq!(group.service.to_string(), "aws/us-east-2/pd/glm@3f9a1c2e");
    assert_eq!(group.service.fleet.to_string(), "aws/us-east-2/pd");
    let label = group.service.label();
    assert_eq!(label, "glm_3f9a1c2e");
    assert_eq!(ServiceId::of_label(&group.service.fleet, &label).as_ref(), Ok(&group.service));
    assert!(ServiceId::of_label(&group.service.fleet, "somebody@else").is_err());
    assert_eq!(group.service.to_string().parse(), Ok(group.service.clone()));
    let json = serde_json::to_string(&group).unwrap();
    assert_eq!(json, r#""aws/us-east-2/pd/glm@3f9a1c2e/prefill""#);
    assert_eq!(serde_json::from_str::<GroupId>(&json).unwrap(), group);
}

#[test]
fn prefix_tells_fleet_and_name() {
    let service = group().service;
    let prefix = ServiceId::unknown_prefix(&service.fleet, &service.name);
    assert_eq!(prefix, "aws/us-east-2/pd/glm@");
    assert!(service.to_string().starts_with(&prefix));
    let expected = ServicePrefix { fleet: service.fleet.clone(), name: "glm".to_owned() };
    for text in [prefix, service.to_string(), group().to_string()] {
        assert_eq!(ServicePrefix::parse(&text), Ok(expected.clone()), "{text}");
    }
    for text in ["", "aws/us-east-2/pd/glm", "aws/us-east-2/pd@", "@", "nile/r/f/s@"] {
        assert!(ServicePrefix::parse(text).is_err(), "{text}");
    }
}

#[test]
fn import_paths_have_no_uid() {
    let fleet: FleetId = "local/local/pd".parse().unwrap();
    for (text, expected) in [
        ("local/local/pd", ImportPath::Fleet { fleet: fleet.clone() }),
        (
            "local/local/pd/glm",
            ImportPath::Service { fleet: fleet.clone(), service: "glm".to_owned() },
        ),
        (
            "local/local/pd/glm/decode",
            ImportPath::Group { fleet, service: "glm".to_owned(), group: "decode".to_owned() },
        ),
    ] {
        assert_eq!(text.parse::<ImportPath>(), Ok(expected), "{text}");
    }
}

#[test]
fn uids_are_made_of_random_bits() {
    assert_eq!(Uid::from_random(0).to_string(), "00000000");
    for random in [1, 35, 36, u64::MAX, 0x1234_5678_9abc_def0] {
        let uid = Uid::from_random(random);
        assert_eq!(uid.to_string().parse(), Ok(uid), "{random}");
    }
    assert_ne!(Uid::from_random(1), Uid::from_random(2));
}

#[test]
fn errors_show_the_right_shape() {
    fn check<T: FromStr<Err = InvalidId> + fmt::Debug>(text: &str, expected: Expect) {
        expected.assert_eq(&format!("{}\n", text.parse::<T>().unwrap_err()));
    }
    check::<FleetId>(
        "aws/pd",
        expect![[r#"
            `aws/pd` is not a fleet id, which looks like `aws/us-east-2/pd`: it has three parts between slashes, and this one has 2
        "#]],
    );
    check::<FleetId>(
        "nile/r/pd",
        expect![[r#"
            `nile/r/pd` is not a fleet id, which looks like `aws/us-east-2/pd`: `nile` is not a cloud; the clouds are `local`, `aws`, `gcp` and `azure`
        "#]],
    );
    check::<ServiceId>(
        "aws/us-east-2/pd/glm",
        expect![[r#"
            `aws/us-east-2/pd/glm` is not a service id, which looks like `aws/us-east-2/pd/glm@3f9a1c2e`: it has no `@` with a uid after the service's name
        "#]],
    );
    check::<ServiceId>(
        "aws/us-east-2/pd/glm@XY",
        expect![[r#"
            `aws/us-east-2/pd/glm@XY` is not a service id, which looks like `aws/us-east-2/pd/glm@3f9a1c2e`: `XY` is not a uid, which is eight lower-case letters and digits
        "#]],
    );
    check::<ImportPath>(
        "aws/us-east-2/pd/glm@3f9a1c2e",
        expect![[r#"
            `aws/us-east-2/pd/glm@3f9a1c2e` is not an import path, which looks like `aws/us-east-2/pd, aws/us-east-2/pd/glm or aws/us-east-2/pd/glm/prefill`: the `@` and the uid after it are not part of the path
        "#]],
    );
}
