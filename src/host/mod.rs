//! The component's side of its world: `wasi:http` in, `wasi:keyvalue` and the rest out.

mod bindings;
mod environment;
mod keyvalue;
mod spin;

use std::{cell::RefCell, rc::Rc};

use anonymous_domains_protocol::problem::ErrorName;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use spin_sdk::{
    http::{FullBody, Request},
    http_service,
    wasip3::{http::types, http_compat::http_into_wasi_response},
};

use self::{bindings::wasi::config, environment::Wasi, keyvalue::KeyValue};
use crate::{
    environment::Environment,
    error::Error,
    http::{App, Body},
    settings::Settings,
    store::rows::Limits,
    tables::Tables,
};

thread_local! {
    /// Settings, keys and the open bucket, kept for the instance's life: many requests.
    static APP: RefCell<Option<Rc<App<KeyValue, Wasi>>>> = const { RefCell::new(None) };
}

#[http_service]
async fn handle(request: Request) -> Result<types::Response, types::ErrorCode> {
    let pause = spin::Pause::before(&request);
    let (head, body) = request.into_parts();
    let answer = app().answer(&head, body).await;
    let answer = answer.map(|body| FullBody::new(Bytes::from(body)));
    // From here on the body's writer is a task of its own, which begins while this one pauses.
    let response = http_into_wasi_response(answer)?;
    if let Some(pause) = pause {
        pause.take().await;
    }
    Ok(response)
}

/// The instance's app. One that cannot be used is made again for every request, so that mended
/// settings take effect.
fn app() -> Rc<App<KeyValue, Wasi>> {
    APP.with_borrow_mut(|kept| match kept {
        Some(app) => Rc::clone(app),
        None => {
            let settings = Settings::read(setting);
            let owner = settings.as_ref().ok().map(Settings::owner);
            let tables = Tables::new(KeyValue::open(), Wasi, owner, Limits::default());
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

impl<B> Body for B
where
    B: http_body_util::BodyExt + http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn read(self, limit: usize) -> Result<Vec<u8>, Error> {
        match Limited::new(self, limit).collect().await {
            Ok(body) => Ok(body.to_bytes().into()),
            Err(error) if error.is::<LengthLimitError>() => Err(Error::refused(
                ErrorName::PayloadTooLarge,
                format!("the body may have {limit} bytes"),
            )),
            Err(_) => Err(Error::refused(
                ErrorName::InvalidRequest,
                "the body could not be read to its end",
            )),
        }
    }
}
