//! The one source of randomness: the system's.

use getrandom::{SysRng, rand_core::UnwrapErr};

/// The system's generator, as the infallible `CryptoRng` that the RustCrypto crates ask for.
///
/// It panics where the system has no randomness to give: no key can be made then, and a
/// predictable one must not be.
pub(crate) fn system() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}
