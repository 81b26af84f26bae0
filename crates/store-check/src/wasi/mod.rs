//! The component's side: `wasi:http` in, `wasi:keyvalue` out. There are two builds, as of the server
//! itself: by the features `wasi-p3` and `wasi-p2`.

mod keyvalue;
#[cfg(feature = "wasi-p2")]
mod p2;
#[cfg(feature = "wasi-p3")]
mod p3;

#[cfg(all(feature = "wasi-p2", feature = "wasi-p3"))]
compile_error!("a component exports one handler: build wasi-p2 with --no-default-features");
#[cfg(not(any(feature = "wasi-p2", feature = "wasi-p3")))]
compile_error!("choose the handler to export: the feature wasi-p2 or wasi-p3");
