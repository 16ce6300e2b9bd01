//! What a machine has printed on its console: of each boot how it began, and how far it has come.

use crate::guest::{Boot, Course, Identity};
use crate::history::History;
use crate::programs::{Engine, has_engines, registered, registered_since, serves_since};
use crate::state::InstanceRecord;
use crate::view::View;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// Up to this moment of the view. `history` is the machine's.
pub(crate) fn text(view: &View<'_>, history: &History<InstanceRecord>) -> String {
    let mut text = String::new();
    let Some(latest) = history.at(view.at) else { return text };
    for (number, boot) in latest.guest.boots.iter().enumerate() {
        if boot.at > view.at {
            break;
        }
        // Of an earlier boot is told what it was like at its end.
        let ends = boot.ends.filter(|ends| *ends <= view.at);
        let at = ends.map_or(view.at, |ends| ends.saturating_sub(MOMENT).max(boot.at));
        let record = history.at(at).unwrap_or(latest);
        print(&View { at, ..*view }, record, number, boot, &mut text);
    }
    text
}

/// Nothing happens within it.
const MOMENT: Duration = Duration::from_millis(1);

fn print(view: &View<'_>, record: &InstanceRecord, number: usize, boot: &Boot, text: &mut String) {
    let _ = writeln!(text, "[    0.000000] Linux version 6.8.0");
    if boot.course == Course::IsMute {
        return;
    }
    let (role, starting) = match &*record.guest.identity {
        Identity::Other { issue } => return text.push_str(issue),
        Identity::Router { .. } => {
            ("router", "etcd=down nats=down frontend=down chat=none workers=-".to_owned())
        }
        Identity::Worker { role, engines, .. } => (role.as_str(), format!("engines=0/{engines}")),
    };
    let mut say = |status: &str, details: &str| {
        let _ = writeln!(text, "disagg-state boot=b{number} role={role} status={status} {details}");
    };
    say("starting", &starting);
    if let Course::IsBlocked(port) = &boot.course
        && let Identity::Worker { router, .. } = &*record.guest.identity
    {
        say("starting", &format!("{starting} waiting_for={router}:{port}"));
    }
    if let Course::Fails { after, phase, code, line } = &boot.course {
        if boot.at + *after <= view.at {
            say("failed", &format!("phase={phase} attempts=3 code={code}"));
            let _ = writeln!(text, "disagg-log {line}\ndisagg-end");
        }
        return;
    }
    match &*record.guest.identity {
        Identity::Router { .. } if serves_since(view, record).is_some() => {
            say("ready", &of_router(&registered(view, record)));
        }
        Identity::Worker { engines, is_custom: true, .. } if runs_commands(view, boot) => {
            say("running", &format!("engines={engines}/{engines}"));
        }
        Identity::Worker { engines, .. } => {
            let all = format!("engines={engines}/{engines}");
            // What has registered and drained by itself is registered no longer.
            if registered_since(view, record).is_some() || has_engines(view, record) {
                say(of_worker(view, record), &all);
            }
        }
        Identity::Router { .. } | Identity::Other { .. } => {}
    }
}

/// Custom commands count when they have been running for a while.
fn runs_commands(view: &View<'_>, boot: &Boot) -> bool {
    boot.course == Course::ComesUp && boot.at + view.settings.registers <= view.at
}

/// A worker sees its own tags, where its cloud shows them.
fn of_worker(view: &View<'_>, record: &InstanceRecord) -> &'static str {
    let guest = &record.guest;
    let sees = view.settings.has(cloud::Feature::OwnTags);
    let heard = guest.draining_since.filter(|_| sees).map(|since| since + view.settings.hears);
    match heard.filter(|heard| *heard <= view.at) {
        None => "registered",
        Some(_) if guest.requests(view.at) > 0 => "draining",
        Some(_) => "drained",
    }
}

fn of_router(engines: &[Engine<'_>]) -> String {
    let (mut chosen, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for engine in engines {
        let ip = engine.socket.ip();
        match engine.refused {
            None if engine.has_card => *chosen.entry(ip).or_insert(0) += 1,
            None => {}
            Some(why) => refused.entry(ip).or_insert((0, why)).0 += 1,
        }
    }
    let chat = if chosen.is_empty() { "none" } else { "ok" };
    let workers = listed(chosen.iter().map(|(ip, count): (&IpAddr, &u32)| format!("{ip}*{count}")));
    let mut text = format!("etcd=up nats=up frontend=up chat={chat} workers={workers}");
    if !refused.is_empty() {
        let each = refused.iter().map(|(ip, (count, (what, theirs, accepted)))| {
            let count: &u32 = count;
            format!("{ip}*{count}:{what}:{theirs}:{accepted}")
        });
        let _ = write!(text, " refused={}", listed(each));
    }
    text
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}
