//! What an instance keeps for its life.

use std::{cell::RefCell, rc::Rc};

use super::{bindings::wasi::config, environment::Wasi, keyvalue::KeyValue};
use crate::{
    environment::Environment, http::App, settings::Settings, store::rows::Limits, tables::Tables,
};

thread_local! {
    /// Settings, keys and the open bucket. With WASI 0.3, for many requests.
    static APP: RefCell<Option<Rc<App<KeyValue, Wasi>>>> = const { RefCell::new(None) };
}

/// The instance's app. One that cannot be used is made again for every request, so that corrected
/// settings take effect.
pub fn app() -> Rc<App<KeyValue, Wasi>> {
    APP.with_borrow_mut(|kept| match kept {
        Some(app) => Rc::clone(app),
        None => {
            let settings = Settings::read(setting);
            let keys = settings.as_ref().map(Settings::key_digests);
            let keys = keys.unwrap_or_default();
            let tables = Tables::new(KeyValue::open(), Wasi, keys, Limits::default());
            let app = Rc::new(App::new(tables, settings));
            match &app.settings {
                Ok(_) if app.tables.store.is_open() => *kept = Some(Rc::clone(&app)),
                Ok(_) => {}
                Err(wrong) => {
                    for what in wrong {
                        app.tables.env.log(&format!("error: settings: {what}"));
                    }
                }
            }
            app
        }
    })
}

fn setting(name: &str) -> Option<String> {
    match config::store::get(name) {
        Ok(text) => text,
        Err(error) => {
            Wasi.log(&format!("error: setting {name} cannot be read: {error}"));
            None
        }
    }
}
