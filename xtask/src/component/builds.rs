//! The ways to build a component.

use super::{PROFILE, TARGET};

/// A package that is a component.
pub(super) struct Package {
    pub(super) name: &'static str,
    /// What cargo names its result.
    pub(super) file: &'static str,
}

pub(super) const SERVER: Package = Package {
    name: "anonymous-domains",
    file: "anonymous_domains.wasm",
};

pub(super) const STORE_CHECK: Package = Package {
    name: "anonymous-domains-store-check",
    file: "store_check.wasm",
};

pub(super) const CRYPTO_CHECK: Package = Package {
    name: "anonymous-domains-crypto-check",
    file: "crypto-check.wasm",
};

/// One way to build a component.
pub(super) struct Build {
    pub(super) package: &'static Package,
    /// The name of the result, beside the others.
    pub(super) file: &'static str,
    /// The name of its directory below the build directory, so that no build takes the place of
    /// another. Empty for plain cargo's own.
    pub(super) directory: &'static str,
    /// Compiler flags in place of the ones in `.cargo/config.toml`.
    pub(super) flags: Option<&'static [&'static str]>,
    /// Options of cargo.
    pub(super) options: &'static [&'static str],
}

impl Build {
    /// The arguments of cargo, but for the build directory.
    pub(super) fn arguments(&self) -> Vec<&'static str> {
        let always = [
            "build",
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "--locked",
        ];
        let package = ["--package", self.package.name];
        [&always[..], &package, self.options].concat()
    }
}

/// For any host with WASI 0.3.
pub(super) const PORTABLE: Build = Build {
    package: &SERVER,
    file: SERVER.file,
    directory: "",
    flags: None,
    options: &[],
};

/// WebAssembly's 64 x 64 -> 128 bit multiplication, and 64-bit limbs, which need it.
pub(super) const WIDE: Build = Build {
    package: &SERVER,
    file: "anonymous_domains.wide.wasm",
    directory: "wide",
    flags: Some(&[
        "-Ctarget-feature=+simd128,+wide-arithmetic",
        "--cfg",
        "cpubits=\"64\"",
    ]),
    options: &[],
};

/// For hosts with WASI 0.2 only. spin.toml builds the same.
pub(super) const P2: Build = Build {
    package: &SERVER,
    file: "anonymous_domains.p2.wasm",
    directory: "p2",
    flags: None,
    options: &["--no-default-features", "--features", "wasi-p2"],
};

/// The check of a host's store, for hosts with WASI 0.3.
pub(super) const STORE_CHECK_P3: Build = Build {
    package: &STORE_CHECK,
    file: STORE_CHECK.file,
    ..PORTABLE
};

/// The same for hosts with WASI 0.2.
pub(super) const STORE_CHECK_P2: Build = Build {
    package: &STORE_CHECK,
    file: "store_check.p2.wasm",
    ..P2
};

/// The check of P-256 and RSA, with 32-bit limbs.
pub(super) const CRYPTO_CHECK_PORTABLE: Build = Build {
    package: &CRYPTO_CHECK,
    file: CRYPTO_CHECK.file,
    ..PORTABLE
};

/// The same with 64-bit limbs.
pub(super) const CRYPTO_CHECK_WIDE: Build = Build {
    package: &CRYPTO_CHECK,
    file: "crypto-check.wide.wasm",
    ..WIDE
};

#[cfg(test)]
mod tests {
    use super::*;

    /// `spin build` makes what `cargo xtask component` makes, where the manifest looks for it.
    #[test]
    fn spins_manifests_build_the_same() {
        let manifests = [
            (&P2, include_str!("../../../spin.toml")),
            (&PORTABLE, include_str!("../../../spin-p3.toml")),
        ];
        for (build, manifest) in manifests {
            let value = |name: &str| {
                let start = format!("{name} = \"");
                let mut lines = manifest.lines();
                let line = lines.find_map(|line| line.strip_prefix(&start)).unwrap();
                line.strip_suffix('"').unwrap().to_owned()
            };
            let mut directory = "target".to_owned();
            let mut expected = build.arguments();
            if !build.directory.is_empty() {
                directory = format!("{directory}/{}", build.directory);
                expected.extend(["--target-dir", &directory]);
            }
            let command = value("command");
            let mut words: Vec<_> = command.split(' ').skip(1).collect();
            words.sort_unstable();
            expected.sort_unstable();
            assert_eq!(words, expected, "{command}");
            let file = format!("{directory}/{TARGET}/{PROFILE}/{}", build.package.file);
            assert_eq!(value("source"), file);
        }
    }
}
