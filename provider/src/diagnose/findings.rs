//! What is not as it was made, in words: object → finding, as `drift` and `status` show it.

use domain::finding::{Deviation, Finding, Subject};
use std::collections::BTreeMap;

/// All of them.
pub(crate) fn drift(findings: &[Finding]) -> BTreeMap<String, String> {
    findings.iter().map(|finding| (object(&finding.object), text(finding))).collect()
}

/// What a finding is about.
pub(crate) fn object(object: &Subject) -> String {
    match object {
        Subject::Router(Some(id)) => format!("router {id}"),
        Subject::Router(None) => "router".to_owned(),
        Subject::RouterOf(id, service) => format!("router {id} of service {service}"),
        Subject::Address(Some(ip)) => format!("address {ip}"),
        Subject::Address(None) => "address".to_owned(),
        Subject::Rule => "ingress rule".to_owned(),
        Subject::Endpoint => "public address".to_owned(),
        Subject::Machine(id, Some(slot)) => format!("machine {id} in slot {slot}"),
        Subject::Machine(id, None) => format!("machine {id}"),
        Subject::MachineOf(id, group) => format!("machine {id} of replica group {group}"),
        Subject::Count => "count".to_owned(),
    }
}

fn text(Finding { object, what }: &Finding) -> String {
    let is_router = matches!(object, Subject::Router(_));
    match what {
        Deviation::Gone if matches!(object, Subject::Address(_)) => {
            "gone; the workers cannot find a router at another one".to_owned()
        }
        Deviation::Gone => "gone".to_owned(),
        Deviation::RouterGone(ip) => format!(
            "gone; a new one will be launched at {ip}; workers restart when their lease runs \
             out, register again and load the model again"
        ),
        Deviation::Unfinished if is_router => {
            "launched by an apply that did not end; the next one waits for it".to_owned()
        }
        Deviation::Unfinished => {
            "launched by an apply that did not end; the next one waits for it, or replaces it"
                .to_owned()
        }
        Deviation::Impaired => "impaired; it will be rebooted".to_owned(),
        Deviation::Stopped => "stopped; it will be started".to_owned(),
        Deviation::Terminating => "on its way out".to_owned(),
        Deviation::Draining => "draining; the next apply ends it".to_owned(),
        Deviation::MadeFromAnother => {
            "made from another configuration than the state's, as after a roll that stopped; the next \
             apply brings all machines to one"
                .to_owned()
        }
        Deviation::Tag { key, now, was } => {
            let now = now.as_ref().map_or_else(|| "gone".to_owned(), |now| format!("`{now}`"));
            format!("its tag `{key}` is {now}; it will be `{was}` again")
        }
        Deviation::Settings { found, needs_another } => {
            let next = match (needs_another, is_router) {
                (false, _) => "the next apply puts that back",
                (true, true) => "only another service brings another router",
                (true, false) => "another one takes its place",
            };
            format!("{}; {next}", found.join(", and "))
        }
        Deviation::Refused(refusal) => {
            format!("refused by the router, so it gets no request: {refusal}")
        }
        Deviation::Unowned(hours) => format!(
            "launched by a creation that died or goes on elsewhere; in no state, and removed when it is {hours} \
             hours old"
        ),
        Deviation::Port { found, wanted } => {
            format!("for port {found}; it will be for port {wanted} again")
        }
        Deviation::Moved { was, is } => {
            format!("clients reach it at {is} and no longer at {was}")
        }
        Deviation::OutsideBounds { count, min, max } if min == max => {
            format!("{count} machines, and there are to be {min}")
        }
        Deviation::OutsideBounds { count, min, max } => {
            format!("{count} machines, outside {min}..{max}")
        }
        Deviation::DuringRoll { count, before } => {
            format!("{count} machines, and {before} before a roll that did not end")
        }
    }
}
