//! The functions `provider::disagg::…`, one file each: pure, without a cloud and without the
//! provider's configuration.

mod gpu;
mod user_data;

pub(crate) use gpu::GpuFunction;
pub(crate) use user_data::UserDataFunction;
