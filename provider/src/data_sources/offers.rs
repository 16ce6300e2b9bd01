//! `disagg_offers`: the catalogue, without a call.

use crate::session::Session;
use async_trait::async_trait;
use cloud::{CloudName, Offer};
use domain::catalogue::Resources;
use plugin::{Attr, AttributePath, Ctx, DataSource, Diagnostic, Diagnostics, Schema};
use schemas::{OfferedMachine, Offers};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct OffersDataSource {
    session: Arc<Session>,
}

impl OffersDataSource {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

#[async_trait]
impl DataSource for OffersDataSource {
    type Model = Offers;

    fn type_name(&self) -> &'static str {
        "disagg_offers"
    }

    fn schema(&self) -> Schema {
        schemas::schema::<Offers>(0)
    }

    async fn read(
        &self,
        _: &Ctx,
        mut config: Offers,
    ) -> Result<(Offers, Diagnostics), Diagnostics> {
        let found = look_up(&self.session, &config)?;
        config.offers = Attr::Known(found.into_iter().map(offered).collect());
        Ok((config, Diagnostics::default()))
    }
}

fn look_up(session: &Session, config: &Offers) -> Result<Vec<Offer>, Diagnostics> {
    let number = |attribute: &Attr<i64>| {
        attribute.known().map(|value| u32::try_from(*value).unwrap_or(u32::MAX))
    };
    let cloud = config.cloud.known().map_or("", String::as_str).parse::<CloudName>();
    let cloud = cloud.map_err(|error| {
        Diagnostic::error("Unknown cloud", format!("{error}.")).at(AttributePath::root("cloud"))
    })?;
    let wanted = Resources {
        gpu: config.gpu.known().and_then(|gpu| gpu.parse().ok()),
        cpu: number(&config.cpu),
        memory_gb: number(&config.memory_gb),
        disk_gb: None,
    };
    let gpus = session.local_gpus(cloud);
    if wanted.gpu.is_none() {
        return Ok(gpus.all(cloud, &wanted));
    }
    gpus.offers(cloud, &wanted).map_err(|error| {
        Diagnostic::error("No machine fits", format!("On cloud `{cloud}`: {error}."))
            .at(AttributePath::root("gpu"))
            .into()
    })
}

fn offered(offer: Offer) -> OfferedMachine {
    OfferedMachine {
        instance_type: offer.instance_type,
        gpu: Attr::from(offer.gpu),
        gpu_count: offer.gpu_count.into(),
        cpu: offer.cpu.into(),
        memory_gb: offer.memory_gb.into(),
        interconnect: offer.interconnect.as_str().to_owned(),
        hourly_cost: offer.hourly_cost,
        priced_on: offer.priced_on,
    }
}
