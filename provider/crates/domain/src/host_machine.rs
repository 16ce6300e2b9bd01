//! A machine with GPUs of this very computer: what it is called, and what its name says.

use crate::gpu;
use cloud::{Interconnect, Offer};

/// What it is called, before the model and the count.
const PREFIX: &str = "host-";

/// The one that has this name; what else it has is not in the name.
pub(crate) fn find(instance_type: &str, priced_on: &str) -> Option<Offer> {
    let (model, count) = instance_type.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let model = gpu::MODELS.iter().find(|known| known.eq_ignore_ascii_case(model))?;
    let count = count.parse().ok().filter(|count| *count > 0)?;
    Some(offer(model, count, priced_on))
}

/// The one with so many GPUs of this model.
pub(crate) fn offer(model: &str, count: u32, priced_on: &str) -> Offer {
    Offer {
        instance_type: format!("{PREFIX}{}-{count}", model.to_ascii_lowercase()),
        gpu: Some(model.to_owned()),
        gpu_count: count,
        cpu: 0,
        memory_gb: 0,
        simulated: false,
        interconnect: Interconnect::Host,
        fabric: None,
        hourly_cost: 0.0,
        priced_on: priced_on.to_owned(),
    }
}
