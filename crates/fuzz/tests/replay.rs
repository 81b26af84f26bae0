//! Every target over its seeds, and over mutations of them that are always the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anonymous_domains_fuzz::{ALL, Target};
use anonymous_domains_simulation::Random;

#[test]
fn names_are_unique_and_seeds_small() {
    for (at, target) in ALL.iter().enumerate() {
        assert!(ALL[..at].iter().all(|other| other.name != target.name));
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty() && seeds.len() < 64, "{}", target.name);
        for seed in seeds {
            assert!(seed.len() < 16 * 1024, "{}: {}", target.name, seed.len());
        }
    }
}

#[test]
fn all_targets_hold_over_their_seeds_and_mutations_of_them() {
    let failed: Vec<_> = ALL.iter().filter_map(replay).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The first input for which a target does not hold.
fn replay(target: &Target) -> Option<String> {
    let seeds = (target.seeds)();
    let mut random = Random::new(0);
    let mut mutated = || {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &seeds, &mut random);
        }
        input
    };
    let mut inputs = seeds
        .iter()
        .cloned()
        .chain((0..target.mutations).map(|_| mutated()));
    let input = inputs.find(|input| {
        let run = AssertUnwindSafe(|| (target.run)(input));
        catch_unwind(run).is_err()
    })?;
    let shown = input.escape_ascii();
    Some(format!("{} does not hold for b\"{shown}\"", target.name))
}

/// One change, of the kinds that libFuzzer makes.
fn mutate(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.below(8) {
        0 => input.insert(at, random.next_u64() as u8),
        1 if at < input.len() => drop(input.remove(at)),
        2 | 3 if at < input.len() => input[at] ^= 1 << random.below(8),
        4 if at < input.len() => {
            input[at] = random.pick(b"\0\x01\x7f\x80\xff\"\\{}[],:./%&=-+09Aez\n")
        }
        5 => input.truncate(at),
        6 => {
            let from = random.below(input.len() + 1);
            let until = (from + random.below(32)).min(input.len());
            let copied = input[from..until].to_vec();
            input.splice(at..at, copied);
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend(&other[from..]);
        }
    }
}
