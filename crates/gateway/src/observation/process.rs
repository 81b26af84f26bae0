//! The process itself, as Prometheus' clients have it: what `/proc` says when the metrics are read.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Writes the metrics `process_*` that the system has.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let found = Found::read();
        let counter = found.cpu_seconds.map(ConstCounter::new);
        if let Some(counter) = counter {
            let metric = encoder.encode_descriptor(
                "process_cpu_seconds",
                "Processor time that was used, in seconds",
                None,
                MetricType::Counter,
            )?;
            counter.encode(metric)?;
        }
        for (name, help, value) in [
            ("process_open_fds", "Open file descriptors", found.open_fds),
            (
                "process_max_fds",
                "File descriptors that may be open",
                found.max_fds,
            ),
            (
                "process_virtual_memory_bytes",
                "Address space, in bytes",
                found.virtual_bytes,
            ),
            (
                "process_resident_memory_bytes",
                "Memory, in bytes",
                found.resident_bytes,
            ),
            (
                "process_start_time_seconds",
                "When the process began, in seconds since 1970",
                found.start_seconds,
            ),
            ("process_threads", "Threads", found.threads),
        ] {
            let Some(value) = value else {
                continue;
            };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

/// What the system says of the process; `None` for what it does not say.
#[derive(Debug, Default)]
struct Found {
    cpu_seconds: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
    virtual_bytes: Option<f64>,
    resident_bytes: Option<f64>,
    start_seconds: Option<f64>,
    threads: Option<f64>,
}

impl Found {
    fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name: &str| Some(number(&status, name)? * 1024.0);
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = |field: usize| ticks(&stat, field);
        let system = fs::read_to_string("/proc/stat").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        Self {
            cpu_seconds: ticks(14).zip(ticks(15)).map(|(user, system)| user + system),
            // The directory itself is open while it is read.
            open_fds: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|all| all.count().saturating_sub(1) as f64),
            max_fds: number(&limits, "Max open files"),
            virtual_bytes: kib("VmSize:"),
            resident_bytes: kib("VmRSS:"),
            start_seconds: number(&system, "btime")
                .zip(ticks(22))
                .map(|(boot, since)| boot + since),
            threads: number(&status, "Threads:"),
        }
    }
}

/// The number after `name` at the beginning of a line.
fn number(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/self/stat` (proc_pid_stat(5), from 1) that is a time, in seconds.
fn ticks(stat: &str, field: usize) -> Option<f64> {
    // The name of the program, in parentheses, may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: f64 = rest
        .split_whitespace()
        .nth(field.checked_sub(3)?)?
        .parse()
        .ok()?;
    Some(ticks / ticks_per_second())
}

/// The unit of these times, which the kernel says in the auxiliary vector (getauxval(3), AT_CLKTCK);
/// it is 100 on nearly every machine.
fn ticks_per_second() -> f64 {
    const AT_CLKTCK: usize = 17;
    const WORD: usize = size_of::<usize>();
    let vector = fs::read("/proc/self/auxv").unwrap_or_default();
    let mut words = vector.chunks_exact(WORD).map(|bytes| {
        let mut word = [0; WORD];
        word.copy_from_slice(bytes);
        usize::from_ne_bytes(word)
    });
    while let (Some(kind), Some(value)) = (words.next(), words.next()) {
        if kind == AT_CLKTCK && value > 0 {
            return value as f64;
        }
    }
    100.0
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 0 0 20 0 9 0 1000 5 6";
        let seconds = |ticks| ticks / ticks_per_second();
        assert_eq!(ticks(stat, 14), Some(seconds(250.0)));
        assert_eq!(ticks(stat, 15), Some(seconds(150.0)));
        assert_eq!(ticks(stat, 22), Some(seconds(1000.0)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_says_everything() {
        let found = Found::read();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let start = found.start_seconds.unwrap();
        assert!(start > 1e9 && start <= now.as_secs_f64() + 1.0, "{start}");
        assert!(found.open_fds.unwrap() >= 3.0);
        assert!(found.max_fds.unwrap() >= found.open_fds.unwrap());
        assert!(found.virtual_bytes.unwrap() >= found.resident_bytes.unwrap());
        assert!(found.resident_bytes.unwrap() > 1e5);
        assert!(found.threads.unwrap() >= 1.0);
        assert!(found.cpu_seconds.unwrap() >= 0.0);
    }
}
