//! The process that started us.

/// Waits for the end of the process that is our parent now. It waits for ever where the system
/// cannot tell; the last connection's end tells as well, once there was one.
#[cfg(target_os = "linux")]
pub(crate) fn end() -> impl Future<Output = ()> {
    use rustix::process::{PidfdFlags, getppid, pidfd_open};

    let parent = getppid().and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
    let parent = parent.and_then(watch);
    async move {
        // It becomes readable when the process ends.
        match &parent {
            Some(parent) if parent.readable().await.is_ok() => {}
            _ => std::future::pending().await,
        }
    }
}

#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "tokio asks for a descriptor that stays open, which an owned one is"
)]
fn watch(
    descriptor: std::os::fd::OwnedFd,
) -> Option<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    // SAFETY: the descriptor is owned, so it is open and the same until it is dropped.
    unsafe { tokio::io::unix::AsyncFd::register(descriptor) }.ok()
}

/// Waits for ever: this system cannot tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn end() -> impl Future<Output = ()> {
    std::future::pending()
}
