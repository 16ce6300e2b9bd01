//! What a group asks of this computer that it has not, where the local cloud uses what is in it.

use cloud::{CloudName, Offer};
use domain::engine::{self, Engine};
use domain::local_gpus::LocalGpus;
use domain::planner::Count;
use domain::spec::Runtime;
use domain::version::DynamoVersion;
use plugin::{AttributePath, Diagnostic, Diagnostics};
use schemas::ReplicaGroup;

use super::model;
use crate::resources::attributes::service_of;

/// This computer, which is looked at only for a group that the local cloud is to run.
pub(crate) struct ThisComputer<'a> {
    /// Its GPUs.
    pub(crate) gpus: &'a dyn Fn(CloudName) -> LocalGpus,
    /// Why the virtual environment that is named for an engine is none, if it is none.
    pub(crate) missing_environment: &'a dyn Fn(CloudName, &str) -> Option<String>,
    /// The version of the service of this path, where a plan of this run has told.
    pub(crate) version: &'a dyn Fn(&str) -> Option<DynamoVersion>,
}

/// Refuses what no apply on this computer can bring about.
pub(super) fn refuse(
    planned: &ReplicaGroup,
    cloud: CloudName,
    offer: &Offer,
    gpus: &LocalGpus,
    computer: &ThisComputer<'_>,
    diagnostics: &mut Diagnostics,
) {
    let path = |root, name| AttributePath::root(root).attribute(name);
    if let Ok(count) = model::count(planned) {
        let (count, name) = match count {
            Count::Fixed(count) => (count, "replicas"),
            Count::Within { min, .. } => (min, "scaling"),
        };
        if let Some(detail) = gpus.never_enough(cloud, offer, count) {
            diagnostics.push(
                Diagnostic::error("More GPUs than this computer has", format!("{detail}."))
                    .at(AttributePath::root(name)),
            );
        }
    }
    let Some(engine) = planned.engine.known() else { return };
    let kind = engine.kind.as_str().unwrap_or_default();
    let runtime = engine.runtime.known().and_then(|runtime| runtime.parse::<Runtime>().ok());
    if engine.runtime.is_unknown() {
        return;
    }
    // Where nobody has told the version of the service, the apply is told.
    let version =
        service_of(&planned.service_id).and_then(|service| (computer.version)(&service.path()));
    if let Some(version) = version
        && let Some(detail) = driver_too_old(gpus, kind, runtime, version)
    {
        diagnostics.push(Diagnostic::error(DRIVER_TOO_OLD, detail).at(path("resources", "gpu")));
    }
    let is_found =
        engine::find(kind).is_some_and(Engine::needs_gpu) && runtime == Some(Runtime::Venv);
    if is_found && let Some(detail) = (computer.missing_environment)(cloud, kind) {
        diagnostics.push(
            Diagnostic::error("Virtual environment not found", detail)
                .at(path("engine", "runtime")),
        );
    }
}

/// The summary of [`driver_too_old`].
pub(super) const DRIVER_TOO_OLD: &str = "Driver is too old";

/// Why an image of this version does not run on this computer's driver, if so. A virtual environment has
/// been made for the computer that it is on.
pub(super) fn driver_too_old(
    gpus: &LocalGpus,
    kind: &str,
    runtime: Option<Runtime>,
    version: DynamoVersion,
) -> Option<String> {
    let image = engine::find(kind)?.image()?;
    if runtime == Some(Runtime::Venv) {
        return None;
    }
    let minimum = version.minimum_driver(image);
    let driver = gpus.driver_before(minimum)?;
    Some(format!(
        "This computer has the NVIDIA driver {driver}, and the image of `{kind}` of Dynamo {version} needs \
         {minimum} or newer. Update the driver, or run the engine without a container: `runtime = \
         \"venv\"`."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::local_gpus;
    use expect_test::expect;

    fn computer(driver: &str) -> LocalGpus {
        LocalGpus::Detected(local_gpus::ThisComputer {
            driver: driver.to_owned(),
            ..local_gpus::ThisComputer::default()
        })
    }

    #[test]
    fn a_driver_is_as_new_as_the_image_wants() {
        let check = |driver: &str, kind: &str, runtime, version: &str| {
            driver_too_old(&computer(driver), kind, runtime, version.parse().unwrap())
        };
        assert_eq!(check("580.159.04", "sglang", None, "1.6.1"), None);
        assert_eq!(check("575.60.01", "sglang", None, "1.2.1"), None);
        assert_eq!(check("550.1", "sglang", Some(Runtime::Venv), "1.6.1"), None);
        assert_eq!(check("550.1", "mocker", None, "1.6.1"), None);
        expect!["This computer has the NVIDIA driver 575.60.01, and the image of `vllm` of Dynamo 1.6.1 needs 580.00.03 or newer. Update the driver, or run the engine without a container: `runtime = \"venv\"`."]
            .assert_eq(&check("575.60.01", "vllm", Some(Runtime::Container), "1.6.1").unwrap());
    }
}
