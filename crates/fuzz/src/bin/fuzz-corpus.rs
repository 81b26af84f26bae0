//! `fuzz-corpus` lists the targets; `fuzz-corpus TARGET DIR` writes a target's seeds, a file each;
//! `fuzz-corpus --run TARGET FILE...` runs a target on files, such as one that made it panic.

#![forbid(unsafe_code)]

use std::{fs, path::Path};

use anonymous_domains_fuzz::{ALL, Target, find};
use anyhow::{Context as _, bail};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            for target in ALL {
                println!("{} {}", target.name, target.about);
            }
        }
        ["--run", target, ref files @ ..] => {
            for file in files {
                let input = fs::read(file).with_context(|| format!("cannot read {file}"))?;
                (named(target)?.run)(&input);
                println!("{file}: holds");
            }
        }
        [target, directory] => {
            fs::create_dir_all(directory)?;
            for (number, seed) in (named(target)?.seeds)().iter().enumerate() {
                fs::write(Path::new(directory).join(format!("seed-{number}")), seed)?;
            }
        }
        _ => bail!("fuzz-corpus [TARGET DIR | --run TARGET FILE...]"),
    }
    Ok(())
}

fn named(name: &str) -> anyhow::Result<&'static Target> {
    find(name).with_context(|| format!("there is no target {name}"))
}
