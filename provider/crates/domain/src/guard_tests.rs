use super::*;
use expect_test::expect;

fn router(workers: Option<u32>) -> LiveRouter {
    LiveRouter {
        service: "aws/us-east-2/pd/glm@3f9a1c2e".to_owned(),
        address: IpAddr::from([10, 0, 0, 5]),
        workers,
    }
}

fn change(path: &str, class: ChangeClass, new: Option<&str>) -> AttributeChange {
    AttributeChange {
        path: path.to_owned(),
        class,
        old: "\"1.4.2\"".to_owned(),
        new: new.map_or(NewValue::Unknown, |new| NewValue::Known(new.to_owned())),
    }
}

fn judged(changes: &[AttributeChange], on_change: OnRouterChange) -> Vec<(String, Severity)> {
    let violations = guard(&router(Some(3)), changes, on_change);
    violations.into_iter().map(|violation| (violation.path, violation.severity)).collect()
}

#[test]
fn only_refused_attributes_are_judged() {
    use ChangeClass::*;
    for class in [InPlace, Rolling, Replace, ProviderOnly] {
        let changes = [change("ingress_cidrs", class, Some("[]")), change("boot", class, None)];
        for on_change in [OnRouterChange::Refuse, OnRouterChange::Replace] {
            assert_eq!(judged(&changes, on_change), [], "{class:?} {on_change:?}");
        }
    }
}

#[test]
fn one_violation_for_each_offending_attribute() {
    let refused = |path, new| change(path, ChangeClass::Refused, new);
    let of = |path: &str, severity| (path.to_owned(), severity);
    let both = [refused("version", Some("\"1.6.1\"")), refused("model", None)];
    assert_eq!(
        judged(&both, OnRouterChange::Refuse),
        [of("version", Severity::Refusal), of("model", Severity::UnknownWarning)]
    );
    assert_eq!(judged(&both, OnRouterChange::Replace), []);

    let unknown = [refused("model", None)];
    for on_change in [OnRouterChange::Refuse, OnRouterChange::Replace] {
        assert_eq!(judged(&unknown, on_change), [of("model", Severity::UnknownWarning)]);
    }

    let moved = [refused("fleet_id", None)];
    assert_eq!(judged(&moved, OnRouterChange::Refuse), [of("fleet_id", Severity::Refusal)]);
    assert_eq!(judged(&moved, OnRouterChange::Replace), []);
}

fn only(router: &LiveRouter, change: AttributeChange) -> Violation {
    let mut violations = guard(router, &[change], OnRouterChange::Refuse);
    assert_eq!(violations.len(), 1);
    violations.remove(0)
}

#[test]
fn refusal() {
    let violation =
        only(&router(Some(3)), change("version", ChangeClass::Refused, Some("\"1.6.1\"")));
    expect!["Router replacement is not allowed"].assert_eq(violation.summary());
    expect![[r#"
        `version`: "1.4.2" -> "1.6.1"

        This is baked into the router of service aws/us-east-2/pd/glm@3f9a1c2e, so a change of it is another router. The router is live: 3 running workers hold connections to 10.0.0.5. Without it they stop, and load the model again.

        To make the change anyway, do one of these:
          - Set `on_router_change = "replace"` on the service. The same change then plans the replacement of the service and of all its replica groups, in full view.
          - Add a second service with the new value, with replica groups of its own, move the clients to its endpoint, and remove this one.
          - Remove the service and its replica groups from the configuration and apply, then put them back with the new value and apply.

        `terraform apply -replace=ADDRESS` works only while nothing that is baked in has changed, and `terraform destroy` only then or with `-refresh=false`: both make an ordinary plan first."#]].assert_eq(&violation.detail());
}

#[test]
fn warning_of_an_unknown_value() {
    let violation = only(&router(Some(1)), change("router.env", ChangeClass::Refused, None));
    expect!["Router change cannot be judged yet"].assert_eq(violation.summary());
    expect![[r#"
        `router.env`: "1.4.2" -> (known after apply)

        This is baked into the router of service aws/us-east-2/pd/glm@3f9a1c2e, so a change of it is another router. The router is live: 1 running worker holds connections to 10.0.0.5. Without it they stop, and load the model again.

        If the value turns out to be the same, nothing happens. If it differs, the apply stops at this service before it changes anything, and the next plan, which knows the value, shows the ways out."#]].assert_eq(&violation.detail());
}

#[test]
fn says_who_hangs_on_the_router() {
    for (workers, words) in [
        (None, "its workers hold connections to 10.0.0.5"),
        (Some(0), "workers are told to register at 10.0.0.5, though none runs now"),
        (Some(1), "1 running worker holds connections to 10.0.0.5"),
        (Some(2), "2 running workers hold connections to 10.0.0.5"),
    ] {
        let violation = only(&router(workers), change("port", ChangeClass::Refused, Some("9000")));
        assert!(violation.detail().contains(words), "{}", violation.detail());
    }
}
