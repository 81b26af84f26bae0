//! The program, with real devices.
//!
//! `cargo xtask test` names the component and the device's command by `ANONYMOUS_DOMAINS_COMPONENT`
//! and `ANONYMOUS_DOMAINS_DEVICE`. Where they are not set, this test says so and passes.

use std::process::Command;

use anonymous_domains_testkit::{Gateway, component_and_device, domain_life};

#[test]
fn devices_join_and_leave() {
    let Some((component, device)) = component_and_device() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_embed-wasmtime"));
    command.arg("127.0.0.1:0").arg(component);
    let server = Gateway::start(command).unwrap();
    domain_life(&device, directory.path(), &server.origin).unwrap();
}
