//! The GPUs of this computer, as the driver's `nvidia-smi` tells them, and by which name each model goes in
//! requests.
//!
//! Deliberately not here: who has which of them ([`crate::gpu_claims`]).

use crate::nvidia_smi::{self, DetectionError};
use std::{fmt, path::Path};

/// Where the GPUs of machines come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuSource {
    /// They are pretended.
    #[default]
    Simulated,
    /// They are those of this computer, each of which one machine has at a time.
    Detected,
}

/// A word that is no source of GPUs.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not one of `simulated` and `detected`")]
pub struct UnknownGpuSource(pub String);

impl std::str::FromStr for GpuSource {
    type Err = UnknownGpuSource;

    fn from_str(text: &str) -> Result<Self, UnknownGpuSource> {
        match text {
            "simulated" => Ok(Self::Simulated),
            "detected" => Ok(Self::Detected),
            other => Err(UnknownGpuSource(other.escape_debug().take(60).collect())),
        }
    }
}

/// The GPUs of this computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectedGpus {
    /// All of them, in the driver's order.
    pub gpus: Vec<DetectedGpu>,
    /// The version of the driver; empty without a GPU.
    pub driver: String,
}

/// One GPU of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectedGpu {
    /// The driver's number for it, in the order of the PCI bus.
    pub index: u32,
    /// What it is called by wherever it is meant.
    pub uuid: String,
    /// What the driver calls the model.
    pub name: String,
    /// The name of the model in requests, as in `H200`.
    pub model: Option<&'static str>,
    /// Its memory, where the driver tells it.
    pub memory_mib: Option<u32>,
    /// Whether it is cut up into instances of their own.
    pub mig: bool,
}

/// Looks which GPUs are in this computer, by the driver's `nvidia-smi`.
///
/// # Errors
/// When the driver's program is missing, fails, hangs, or says what nobody understands.
pub fn detect_gpus(program: &Path) -> Result<DetectedGpus, DetectionError> {
    let rows = nvidia_smi::query(
        program,
        "gpu",
        &["index", "uuid", "name", "memory.total", "mig.mode.current", "driver_version"],
    )?;
    let mut found = DetectedGpus::default();
    for row in rows {
        let [index, uuid, name, memory, mig, driver] = &row[..] else { continue };
        let memory_mib = memory.split(' ').next().and_then(|number| number.parse().ok());
        let index = index.parse().map_err(|_| DetectionError::Unreadable(row.join(", ")))?;
        found.driver.clone_from(driver);
        found.gpus.push(DetectedGpu {
            index,
            uuid: uuid.clone(),
            name: name.clone(),
            model: model_of(name, memory_mib),
            memory_mib,
            mig: mig == "Enabled",
        });
    }
    Ok(found)
}

impl DetectedGpu {
    /// Whether a machine can have it.
    pub fn is_usable(&self) -> bool {
        self.model.is_some() && !self.mig
    }
}

/// `GPU 0: H200`, and why no machine can have it, if so.
impl fmt::Display for DetectedGpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, name, model, mig, .. } = self;
        write!(f, "GPU {index}: {}", model.unwrap_or(name))?;
        match (model, mig) {
            (None, _) => f.write_str(" (a model that the provider does not know)"),
            (Some(_), true) => write!(
                f,
                " (in MIG mode, in which machines cannot have it; `nvidia-smi -i {index} -mig 0` \
                 ends that)"
            ),
            (Some(_), false) => Ok(()),
        }
    }
}

/// What the driver calls the models, without the vendor's name before it, and what they are called in
/// requests. The first that fits counts: one that begins another stands after it.
const MODELS: &[(&str, &str)] = &[
    ("A10G", "A10G"),
    ("A10", "A10"),
    ("L40S", "L40S"),
    ("L4", "L4"),
    ("GeForce RTX 3090", "RTX-3090"),
    ("GeForce RTX 4090", "RTX-4090"),
    ("GeForce RTX 5090", "RTX-5090"),
    ("RTX A6000", "RTX-A6000"),
    ("RTX 6000 Ada", "RTX-6000-ADA"),
    ("RTX PRO 4500", "RTX-PRO-4500"),
    ("RTX PRO 6000", "RTX-PRO-6000"),
    ("H100 NVL", "H100-NVL"),
    ("H100", "H100"),
    ("H200", "H200"),
    ("B200", "B200"),
    ("B300", "B300"),
    ("GB200", "GB200"),
    ("GB300", "GB300"),
];

fn model_of(name: &str, memory_mib: Option<u32>) -> Option<&'static str> {
    let name = name.strip_prefix("NVIDIA ").unwrap_or(name);
    if name.contains("Laptop") {
        return None;
    }
    // One name, two memories.
    if name.starts_with("A100-") || name.starts_with("A100 ") {
        return match memory_mib? / 1024 {
            37..=41 => Some("A100-40GB"),
            76..=81 => Some("A100-80GB"),
            _ => None,
        };
    }
    let fits = |known: &str| {
        name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    MODELS.iter().find(|(known, _)| fits(known)).map(|(_, model)| *model)
}

/// Every name that a model goes by in requests.
pub fn known_models() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(_, model)| *model).chain(["A100-40GB", "A100-80GB"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn models_have_one_name() {
        for (name, memory, model) in [
            ("NVIDIA H200", 143_771, Some("H200")),
            ("NVIDIA H200 NVL", 143_771, Some("H200")),
            ("NVIDIA H100 80GB HBM3", 81_559, Some("H100")),
            ("NVIDIA H100 PCIe", 81_559, Some("H100")),
            ("NVIDIA H100 NVL", 95_830, Some("H100-NVL")),
            ("NVIDIA A100-SXM4-40GB", 40_960, Some("A100-40GB")),
            ("NVIDIA A100-SXM4-80GB", 81_920, Some("A100-80GB")),
            ("NVIDIA A100 80GB PCIe", 81_920, Some("A100-80GB")),
            ("NVIDIA A100-SXM-64GB", 65_536, None),
            ("NVIDIA A10G", 23_028, Some("A10G")),
            ("NVIDIA A10", 23_028, Some("A10")),
            ("NVIDIA A10-24Q", 24_512, None),
            ("NVIDIA L4", 23_034, Some("L4")),
            ("NVIDIA L40S", 46_068, Some("L40S")),
            ("NVIDIA L40", 46_068, None),
            ("NVIDIA B200", 183_359, Some("B200")),
            ("NVIDIA GB200", 189_471, Some("GB200")),
            ("NVIDIA B300 SXM6 AC", 275_040, Some("B300")),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887, Some("RTX-PRO-6000")),
            ("NVIDIA GeForce RTX 4090", 24_564, Some("RTX-4090")),
            ("NVIDIA GeForce RTX 4090 Laptop GPU", 16_376, None),
            ("NVIDIA RTX 6000 Ada Generation", 49_140, Some("RTX-6000-ADA")),
            ("Tesla T4", 15_360, None),
            ("", 0, None),
        ] {
            assert_eq!(model_of(name, Some(memory)), model, "{name}");
        }
    }

    #[test]
    fn a_gpu_says_why_no_machine_can_have_it() {
        let gpu = |model, mig| DetectedGpu {
            index: 3,
            uuid: "GPU-1".to_owned(),
            name: "Tesla T4".to_owned(),
            model,
            memory_mib: None,
            mig,
        };
        let shown = [gpu(Some("H200"), false), gpu(Some("H200"), true), gpu(None, false)]
            .map(|gpu| format!("{gpu} {}\n", gpu.is_usable()))
            .concat();
        expect![[r#"
            GPU 3: H200 true
            GPU 3: H200 (in MIG mode, in which machines cannot have it; `nvidia-smi -i 3 -mig 0` ends that) false
            GPU 3: Tesla T4 (a model that the provider does not know) false
        "#]]
        .assert_eq(&shown);
    }
}
