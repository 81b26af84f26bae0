//! `wasi:config/store@0.2.0-draft-2024-09-27`: the operator's settings.
//!
//! Linked by hand: what is generated from the interface takes the values as texts of its own, and
//! leaves them in the host's memory when it has written them to the guest's.

use std::sync::Arc;

use wasmtime::{StoreContextMut, component::Linker};

use super::{Instance, bindings::wasi::config::store::Error};

/// The interface's name, with its version.
const INTERFACE: &str = "wasi:config/store@0.2.0-draft-2024-09-27";

type Caller<'a> = StoreContextMut<'a, Instance>;

/// A result that the guest sees.
type Answer<T> = wasmtime::Result<(Result<T, Error>,)>;

/// Links the interface.
pub(super) fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("get", get)?;
    interface.func_wrap("get-all", get_all)?;
    Ok(())
}

/// The instance has the settings for longer than a call lasts.
fn get(caller: Caller<'_>, (name,): (String,)) -> Answer<Option<Arc<str>>> {
    Ok((Ok(caller.data().settings.shared(&name)),))
}

fn get_all(caller: Caller<'_>, (): ()) -> Answer<Vec<(String, Arc<str>)>> {
    let settings = &caller.data().settings;
    let all = settings
        .iter()
        .filter_map(|(name, _)| Some((name.to_owned(), settings.shared(name)?)));
    Ok((Ok(all.collect()),))
}
