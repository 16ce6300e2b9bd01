//! What a machine was made from, as it carries it along: the spec in its boot document.

use crate::spec::{GroupSpec, RouterSpec};
use cloud::BootDocument;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a router was made from.
///
/// # Errors
/// When this is not the document of a router of ours.
pub fn router(document: &BootDocument) -> Result<RouterSpec, ForeignSpec> {
    match serde_json::from_str(&document.spec)? {
        Baked::Router(spec) => Ok(spec),
        Baked::Worker(_) => Err(ForeignSpec::Other { found: "worker", wanted: "router" }),
    }
}

/// What a worker was made from.
///
/// # Errors
/// When this is not the document of a worker of ours.
pub fn worker(document: &BootDocument) -> Result<GroupSpec, ForeignSpec> {
    match serde_json::from_str(&document.spec)? {
        Baked::Worker(spec) => Ok(spec),
        Baked::Router(_) => Err(ForeignSpec::Other { found: "router", wanted: "worker" }),
    }
}

/// A spec that is not that of such a machine.
#[derive(Debug, Error)]
pub enum ForeignSpec {
    /// Somebody else's, or a newer release's.
    #[error("its spec is not of the shape that this release writes")]
    Json(#[from] serde_json::Error),
    /// The other kind of machine.
    #[error("it is that of a {found}, not of a {wanted}")]
    Other {
        /// What it is.
        found: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
}

/// A spec as it is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Baked {
    Router(RouterSpec),
    Worker(GroupSpec),
}

impl Baked {
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a spec is plain data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use crate::spec::WorkerRole;
    use cloud::CloudName;
    use expect_test::expect;

    fn document(spec: String) -> BootDocument {
        BootDocument { spec, ..BootDocument::default() }
    }

    #[test]
    fn a_spec_comes_back() {
        let (made_router, made_worker) =
            (sample::router(CloudName::Aws), sample::group("mocker", WorkerRole::Decode, None));
        let router_document = document(Baked::Router(made_router.clone()).to_json());
        let worker_document = document(Baked::Worker(made_worker.clone()).to_json());
        assert_eq!(router(&router_document).unwrap(), made_router);
        assert_eq!(worker(&worker_document).unwrap(), made_worker);
        let errors = [
            router(&worker_document).unwrap_err().to_string(),
            worker(&router_document).unwrap_err().to_string(),
            worker(&document("{}".to_owned())).unwrap_err().to_string(),
        ];
        expect![[r#"
            it is that of a worker, not of a router
            it is that of a router, not of a worker
            its spec is not of the shape that this release writes"#]]
        .assert_eq(&errors.join("\n"));
    }
}
