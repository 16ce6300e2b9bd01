//! The machines each cloud sells, as far as we know them without asking: the file of its profile.
//!
//! Prices are estimates with a date and a source, for plans; what is really offered in a zone is the
//! cloud's to say. Deliberately not here: regions, capacity and quota.

use crate::gpu::GpuRequest;
use crate::host_machine;
use cloud::{CloudName, Interconnect, Offer};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use thiserror::Error;

/// What a machine must have. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Its GPUs; a machine without any when there is no request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuRequest>,
    /// Virtual CPUs, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Main memory in GB, at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gb: Option<u32>,
    /// Root disk in GB; any machine can have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_gb: Option<u32>,
}

impl Resources {
    /// How many of a machine's GPUs are put to work: no more than were asked for.
    pub fn usable_gpus(&self, offer: &Offer) -> u32 {
        self.gpu.as_ref().map_or(0, |gpu| offer.gpu_count.min(gpu.count.max))
    }

    /// How many of a machine's GPUs are paid for and do nothing.
    pub fn wasted_gpus(&self, offer: &Offer) -> u32 {
        offer.gpu_count - self.usable_gpus(offer)
    }

    pub(crate) fn fits(&self, offer: &Offer) -> bool {
        self.cpu.unwrap_or(0) <= offer.cpu && self.memory_gb.unwrap_or(0) <= offer.memory_gb
    }
}

/// Every machine of a cloud that has these resources, cheapest first. Machines with more GPUs than
/// were asked for are offered only when there is no other; [`Resources::wasted_gpus`] tells.
///
/// # Errors
/// When no machine fits: with what there is instead.
pub fn offers(cloud: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
    let Some(gpu) = &wanted.gpu else { return cpu_offers(cloud, wanted) };
    let of_model: Vec<&Offer> =
        catalogue(cloud).offers.iter().filter(|o| o.gpu.as_ref() == Some(&gpu.model)).collect();
    if of_model.is_empty() {
        return Err(NoOffer::Model { model: gpu.model.clone(), known: models(cloud) });
    }
    let enough: Vec<&Offer> =
        of_model.iter().filter(|offer| offer.gpu_count >= gpu.count.min).copied().collect();
    if enough.is_empty() {
        let counts = of_model.iter().map(|offer| offer.gpu_count).collect();
        return Err(NoOffer::Count { wanted: gpu.clone(), counts });
    }
    let fitting: Vec<&Offer> = enough.iter().filter(|offer| wanted.fits(offer)).copied().collect();
    if fitting.is_empty() {
        return Err(NoOffer::shape(wanted, &enough));
    }
    let least_wasted = fitting.iter().map(|offer| wanted.wasted_gpus(offer)).min().unwrap_or(0);
    let chosen = fitting.into_iter().filter(|offer| match least_wasted {
        0 => wanted.wasted_gpus(offer) == 0,
        _ => true,
    });
    Ok(cheapest_first(chosen.cloned().collect()))
}

/// Every machine of a cloud with at least these CPUs and this memory, whatever its GPUs, cheapest
/// first. Where there are machines without GPUs of every size, one of that size.
pub fn all(cloud: CloudName, wanted: &Resources) -> Vec<Offer> {
    let listed = catalogue(cloud).offers.iter().filter(|offer| wanted.fits(offer)).cloned();
    let of_that_size = is_of_any_size(cloud).then(|| CpuMachine::of(wanted).offer(cloud));
    cheapest_first(listed.chain(of_that_size).collect())
}

/// The machine of this type, if it is known.
pub fn find(cloud: CloudName, instance_type: &str) -> Option<Offer> {
    let listed = catalogue(cloud).offers.iter().find(|offer| offer.instance_type == instance_type);
    let of_any_size = || {
        let machine = CpuMachine::parse(instance_type).filter(|_| is_of_any_size(cloud))?;
        Some(machine.offer(cloud))
    };
    let of_this_computer = || {
        let is_here = cloud.profile().is_this_computer;
        is_here.then(|| host_machine::find(instance_type, priced_on(cloud)))?
    };
    listed.cloned().or_else(of_any_size).or_else(of_this_computer)
}

fn is_of_any_size(cloud: CloudName) -> bool {
    cloud.profile().offers.is_of_any_size()
}

/// Why no machine fits. `Display` says what there is instead.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NoOffer {
    /// The cloud has no machine with this GPU.
    #[error(
        "no machine has the GPU `{model}`; the models there are {}",
        crate::text::listed(known)
    )]
    Model {
        /// What was asked for.
        model: String,
        /// What there is.
        known: Vec<String>,
    },
    /// No machine has that many.
    #[error("no machine has `{wanted}`; `{}` exists as {} per machine", wanted.model, counted(counts))]
    Count {
        /// What was asked for.
        wanted: GpuRequest,
        /// The counts there are.
        counts: BTreeSet<u32>,
    },
    /// This computer, which is the local cloud, has not these GPUs.
    #[error("no machine has `{wanted}`: {there}")]
    ThisComputer {
        /// What was asked for.
        wanted: GpuRequest,
        /// What there is, or why that is not known.
        there: String,
    },
    /// The GPUs would fit, if there were any; CPUs or memory do not.
    #[error(
        "no such machine has {wanted}; the greatest has {cpu} CPUs and {memory_gb} GB of memory"
    )]
    Shape {
        /// What was asked for.
        wanted: String,
        /// The most CPUs of one machine.
        cpu: u32,
        /// The most memory of one machine.
        memory_gb: u32,
    },
}

impl NoOffer {
    pub(crate) fn shape(wanted: &Resources, machines: &[&Offer]) -> Self {
        let cpu = wanted.cpu.map(|cpu| format!("{cpu} CPUs"));
        let memory = wanted.memory_gb.map(|memory| format!("{memory} GB of memory"));
        let wanted: Vec<String> = cpu.into_iter().chain(memory).collect();
        Self::Shape {
            wanted: wanted.join(" and "),
            cpu: machines.iter().map(|offer| offer.cpu).max().unwrap_or(0),
            memory_gb: machines.iter().map(|offer| offer.memory_gb).max().unwrap_or(0),
        }
    }
}

fn counted(counts: &BTreeSet<u32>) -> String {
    let words: Vec<String> = counts.iter().map(u32::to_string).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        Some((only, _)) => only.clone(),
        None => "none".to_owned(),
    }
}

fn cpu_offers(cloud: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
    if is_of_any_size(cloud) {
        return Ok(vec![CpuMachine::of(wanted).offer(cloud)]);
    }
    let machines: Vec<&Offer> =
        catalogue(cloud).offers.iter().filter(|offer| offer.gpu.is_none()).collect();
    let fitting: Vec<Offer> =
        machines.iter().filter(|offer| wanted.fits(offer)).map(|offer| (*offer).clone()).collect();
    if fitting.is_empty() {
        return Err(NoOffer::shape(wanted, &machines));
    }
    let mut offers = cheapest_first(fitting);
    let most = offers[0].hourly_cost * MOST_FOR_A_BIGGER_ONE;
    offers.retain(|offer| offer.hourly_cost <= most);
    Ok(offers)
}

/// A machine without GPUs that costs more than so many times the cheapest one that fits is not taken in its
/// place: whoever asks for 4 CPUs would rather wait than pay for 64.
const MOST_FOR_A_BIGGER_ONE: f64 = 4.0;

fn cheapest_first(mut offers: Vec<Offer>) -> Vec<Offer> {
    offers.sort_by(|a, b| {
        a.hourly_cost.total_cmp(&b.hourly_cost).then_with(|| a.instance_type.cmp(&b.instance_type))
    });
    offers
}

/// The day the prices of a cloud were looked up.
pub(crate) fn priced_on(cloud: CloudName) -> &'static str {
    &catalogue(cloud).priced_on
}

fn models(cloud: CloudName) -> Vec<String> {
    let models: BTreeSet<String> =
        catalogue(cloud).offers.iter().filter_map(|offer| offer.gpu.clone()).collect();
    models.into_iter().collect()
}

/// A machine without GPUs of a cloud that has one of every size.
#[derive(Clone, Copy, Debug)]
struct CpuMachine {
    cpu: u32,
    memory_gb: u32,
}

impl CpuMachine {
    fn of(wanted: &Resources) -> Self {
        Self { cpu: wanted.cpu.unwrap_or(2), memory_gb: wanted.memory_gb.unwrap_or(4) }
    }

    fn parse(instance_type: &str) -> Option<Self> {
        let (cpu, memory_gb) = instance_type.strip_prefix("cpu-")?.split_once('-')?;
        Some(Self { cpu: cpu.parse().ok()?, memory_gb: memory_gb.parse().ok()? })
    }

    fn offer(self, cloud: CloudName) -> Offer {
        Offer {
            instance_type: format!("cpu-{}-{}", self.cpu, self.memory_gb),
            gpu: None,
            gpu_count: 0,
            cpu: self.cpu,
            memory_gb: self.memory_gb,
            simulated: false,
            interconnect: Interconnect::Tcp,
            fabric: None,
            hourly_cost: 0.0,
            priced_on: priced_on(cloud).to_owned(),
        }
    }
}

#[derive(Debug)]
struct Catalogue {
    priced_on: String,
    offers: Vec<Offer>,
}

/// A file of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    /// Where sizes and prices come from.
    #[serde(rename = "source")]
    _source: String,
    /// The day the prices were looked up, `YYYY-MM-DD`.
    priced_on: String,
    /// What is left out, and why.
    #[serde(rename = "notes")]
    _notes: String,
    /// Whether its GPUs are only pretended.
    #[serde(default)]
    simulated: bool,
    offers: Vec<Machine>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Machine {
    instance_type: String,
    gpu: Option<String>,
    #[serde(default)]
    gpu_count: u32,
    cpu: u32,
    memory_gb: u32,
    #[serde(default)]
    interconnect: Interconnect,
    /// Which network of that kind, where there are several that do not reach each other.
    fabric: Option<String>,
    hourly_cost: f64,
}

fn catalogue(cloud: CloudName) -> &'static Catalogue {
    static CATALOGUES: LazyLock<BTreeMap<CloudName, Catalogue>> = LazyLock::new(|| {
        let files = CloudName::ALL.map(|cloud| (cloud, cloud.profile().offers.file()));
        files.into_iter().map(|(cloud, text)| (cloud, parse(text))).collect()
    });
    CATALOGUES.get(&cloud).expect("every cloud has a catalogue")
}

fn parse(text: &str) -> Catalogue {
    let file: CatalogueFile = serde_json::from_str(text)
        .expect("the catalogue is part of the program, and a test reads it");
    let (priced_on, simulated) = (file.priced_on, file.simulated);
    let offer = |machine: Machine| Offer {
        instance_type: machine.instance_type,
        gpu: machine.gpu,
        gpu_count: machine.gpu_count,
        cpu: machine.cpu,
        memory_gb: machine.memory_gb,
        simulated: simulated && machine.gpu_count > 0,
        interconnect: machine.interconnect,
        fabric: machine.fabric,
        hourly_cost: machine.hourly_cost,
        priced_on: priced_on.clone(),
    };
    Catalogue { offers: file.offers.into_iter().map(offer).collect(), priced_on }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
