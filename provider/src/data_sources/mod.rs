//! The data sources, one file each.

mod offers;
mod service;

pub(crate) use offers::OffersDataSource;
pub(crate) use service::ServiceDataSource;
