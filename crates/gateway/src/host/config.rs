//! `wasi:config/store@0.2.0-draft-2024-09-27`: the operator's settings.

use wasmtime::component::{HasData, Linker};

use super::{
    Instance,
    bindings::wasi::config::store::{Error, Host, add_to_linker},
};
use crate::settings::Settings;

/// Marks [`Config`] as this interface's view of an [`Instance`].
struct HasConfig;

impl HasData for HasConfig {
    type Data<'a> = Config<'a>;
}

/// The part of an instance that the interface uses.
struct Config<'a> {
    settings: &'a Settings,
}

impl Host for Config<'_> {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, Error>> {
        Ok(Ok(self.settings.get(&key).map(str::to_owned)))
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, Error>> {
        let all = self.settings.iter();
        Ok(Ok(all.map(|(k, v)| (k.to_owned(), v.to_owned())).collect()))
    }
}

/// Links the interface.
pub(super) fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    add_to_linker::<_, HasConfig>(linker, |instance| Config {
        settings: &instance.settings,
    })
}
