//! What systemd is told (sd_notify(3)), where it asks.

use sd_notify::NotifyState;

/// Requests are served.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The shutdown begins.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Configuration is being read again. [`ready`] says when that is over.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(reason = %error, "systemd cannot be told of a reload"),
    }
}

/// Tells systemd that the process lives, twice as often as it wants to hear it, for ever. Returns at
/// once if it does not.
pub(crate) async fn keep_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = tokio::time::interval((limit / 2).max(std::time::Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

/// Does nothing without systemd.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(reason = %error, "systemd cannot be told");
    }
}
