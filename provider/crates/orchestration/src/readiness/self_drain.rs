//! Machines that drain by themselves, because their router cannot be told anything from here: they see
//! their own tags, and say on their consoles how far they are.

use super::drain::{Drain, Drained, may_serve};
use super::machines::console;
use super::pace::Pace;
use super::passing;
use crate::failure::Result;
use cloud::{Deadline, Instance, InstanceId};
use domain::console::latest_state;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

impl Drain<'_> {
    /// Waits until these machines, which are tagged as draining, have drained. One that does not say that it has
    /// heard of it is not waited for: what it has in its way is not known, and it drains when it is stopped.
    pub(crate) async fn by_themselves(
        &self,
        deadline: &Deadline,
        machines: &[Instance],
    ) -> Result<Drained> {
        let serving = machines.iter().filter(|machine| may_serve(machine));
        let mut waiting: Vec<(InstanceId, bool)> =
            serving.map(|machine| (machine.id.clone(), false)).collect();
        let (mut pace, begun) = (Pace::new(self.cloud).tight(), Instant::now());
        let mut sightings = BTreeMap::new();
        loop {
            // In turns: an account may not read many at a time.
            let turn: Vec<_> = waiting.drain(..waiting.len().min(CONSOLES_AT_ONCE)).collect();
            let waited_for = waiting.len() + turn.len();
            let answers = turn.into_iter().map(|(id, has_heard)| self.observe(id, has_heard));
            for answer in futures::future::join_all(answers).await {
                let Some((id, has_heard)) = answer? else { continue };
                if has_heard || begun.elapsed() < HEARS_WITHIN {
                    waiting.push((id, has_heard));
                } else {
                    tracing::warn!(machine = %id, "it does not say that it drains, and is not waited for");
                }
            }
            if !waiting.is_empty() && pace.lists_due() {
                // The console of one that has died says for ever what it said last.
                let ids: BTreeSet<InstanceId> = waiting.iter().map(|(id, _)| id.clone()).collect();
                let gone = self.gone(deadline, &ids, &mut sightings, &pace).await?;
                waiting.retain(|(id, _)| !gone.contains(id));
            }
            if waiting.is_empty() {
                return Ok(Drained::Empty);
            }
            let busy: Vec<String> =
                waiting.iter().map(|(id, _)| format!("{id} is draining")).collect();
            if begun.elapsed() >= self.limit {
                return Ok(Drained::Busy(busy));
            }
            if waiting.len() < waited_for {
                // Some have drained, and so may those of the next turn have.
                continue;
            }
            pace.next(deadline).await.map_err(|why| self.interrupted(&busy.join(", "), why))?;
        }
    }

    /// One machine, unless it has drained, and whether it has heard that it is to.
    async fn observe(&self, id: InstanceId, has_heard: bool) -> Result<Option<(InstanceId, bool)>> {
        let Ok(console) = passing(console(self.cloud, self.fleet, &id).await)? else {
            return Ok(Some((id, has_heard)));
        };
        Ok(match latest_state(&console) {
            Some(state) if state.is_drained() => None,
            Some(state) if state.is_draining() => Some((id, true)),
            // It serves, and has not read its tags yet.
            Some(state) if state.is_registered() => Some((id, has_heard)),
            // It has never registered, or no longer runs what had. Or it runs commands of the user's own, and
            // nothing on it reads its tags.
            _ => None,
        })
    }
}

/// Consoles that are read at once.
const CONSOLES_AT_ONCE: usize = 16;

/// A machine reads its tags every five seconds, and a console may lag behind.
const HEARS_WITHIN: Duration = Duration::from_secs(60);
