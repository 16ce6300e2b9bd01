//! What runs on the machines, as far as others see it: routers that serve, and engines that are registered with
//! them. All of it follows from the records and the time, and nothing of it is kept.

use crate::guest::{Course, Identity};
use crate::history::Moment;
use crate::state::InstanceRecord;
use crate::view::View;
use cloud::InstanceId;
use domain::ports::EnginePorts;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// An engine that has registered with a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Engine<'a> {
    /// A new one for each registration.
    pub(crate) id: u64,
    pub(crate) socket: SocketAddr,
    pub(crate) role: &'a str,
    pub(crate) namespace: &'a str,
    /// Why the router sends it nothing: what differs, what it has, and what the others have.
    pub(crate) refused: Option<(&'a str, &'a str, &'a str)>,
    /// Whether its model card is there, by which it is chosen.
    pub(crate) has_card: bool,
}

impl Engine<'_> {
    /// Dynamo's name of what it is part of.
    pub(crate) fn component(&self) -> &'static str {
        if self.role == "prefill" { "prefill" } else { "backend" }
    }

    /// Whether the router chooses it for requests.
    pub(crate) fn is_chosen(&self) -> bool {
        self.has_card && self.refused.is_none()
    }
}

/// The machine that has this address, and works.
pub(crate) fn machine_at<'a>(
    view: &View<'a>,
    ip: IpAddr,
) -> Option<(&'a InstanceId, &'a InstanceRecord)> {
    let mut all = view.state.instances.iter();
    all.find_map(|(id, history)| {
        let record = history.at(view.at)?;
        (record.ip == ip && record.works(view.settings, view.at)).then_some((id, &**record))
    })
}

/// Since when a router serves, if it does.
pub(crate) fn serves_since(view: &View<'_>, router: &InstanceRecord) -> Option<Moment> {
    let Identity::Router { .. } = *router.guest.identity else { return None };
    if !router.works(view.settings, view.at) {
        return None;
    }
    let (_, boot) = router.guest.boot(view.at)?;
    let since = boot.at + comes_up_after(&boot.course, view.settings.serves)?;
    (since <= view.at).then_some(since)
}

/// Since when the engines of a worker serve at its router, if its boot brings them there.
pub(crate) fn registered_since(view: &View<'_>, worker: &InstanceRecord) -> Option<Moment> {
    let Identity::Worker { router, .. } = &*worker.guest.identity else { return None };
    if !worker.works(view.settings, view.at) {
        return None;
    }
    let (_, boot) = worker.guest.boot(view.at)?;
    let usual = view.settings.registers;
    let takes = match &boot.course {
        Course::ComesUpFor(_) | Course::IsRefused(..) => usual,
        course => comes_up_after(course, usual)?,
    };
    let (_, router) = machine_at(view, *router)?;
    let since = boot.at.max(serves_since(view, router)?) + takes;
    let is_lost = matches!(boot.course, Course::ComesUpFor(time) if since + time <= view.at);
    (since <= view.at && !is_lost).then_some(since)
}

/// The engines that are registered with this router, in the order of their machines.
pub(crate) fn registered<'a>(view: &View<'a>, router: &InstanceRecord) -> Vec<Engine<'a>> {
    if serves_since(view, router).is_none() {
        return Vec::new();
    }
    let incarnation = incarnation(view, router);
    let all = view.state.instances.values().filter_map(|history| history.at(view.at));
    let mut engines = Vec::new();
    for worker in all {
        let Identity::Worker { role, router: at, engines: count, namespace, is_custom } =
            &*worker.guest.identity
        else {
            continue;
        };
        if *is_custom || *at != router.ip || registered_since(view, worker).is_none() {
            continue;
        }
        let refused = match worker.guest.boot(view.at).map(|(_, boot)| &boot.course) {
            Some(Course::IsRefused(what, theirs, accepted)) => Some((*what, *theirs, *accepted)),
            _ => None,
        };
        for index in 0..*count {
            let id = registration(incarnation, self::incarnation(view, worker), index);
            let out = view.state.taken_out.get(&id).copied().unwrap_or_default();
            let is_out = |since: Option<Moment>| since.is_some_and(|since| since <= view.at);
            if !is_out(out.instance) {
                engines.push(Engine {
                    id,
                    socket: SocketAddr::new(worker.ip, EnginePorts::of(index).rpc),
                    role,
                    namespace,
                    refused,
                    has_card: !is_out(out.card),
                });
            }
        }
    }
    engines
}

/// Whether the engines of a worker run, registered or not.
pub(crate) fn has_engines(view: &View<'_>, worker: &InstanceRecord) -> bool {
    let Identity::Worker { is_custom: false, .. } = &*worker.guest.identity else { return false };
    // What has registered once runs on, whatever becomes of the router.
    let Some((_, boot)) = worker.guest.boot(view.at) else { return false };
    let comes_up = match &boot.course {
        Course::ComesUpFor(_) | Course::IsRefused(..) => Some(view.settings.registers),
        course => comes_up_after(course, view.settings.registers),
    };
    worker.works(view.settings, view.at) && comes_up.is_some_and(|after| boot.at + after <= view.at)
}

fn comes_up_after(course: &Course, usual: Duration) -> Option<Duration> {
    match course {
        Course::ComesUp => Some(usual),
        Course::ComesUpAfter(time) => Some(*time),
        Course::ComesUpFor(_)
        | Course::Fails { .. }
        | Course::IsRefused(..)
        | Course::IsBlocked(_)
        | Course::Hangs
        | Course::IsMute => None,
    }
}

/// Which machine in which boot.
fn incarnation(view: &View<'_>, record: &InstanceRecord) -> u64 {
    let boot = record.guest.boot(view.at).map_or(0, |(number, _)| number as u64);
    u64::from(record.number) << 8 | boot & 0xff
}

/// Dynamo's id of an engine, as it registers.
fn registration(router: u64, worker: u64, engine: u32) -> u64 {
    (router & 0xff_ffff) << 36 | (worker & 0xffff_ffff) << 4 | u64::from(engine & 0xf)
}
