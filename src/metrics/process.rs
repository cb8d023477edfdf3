//! The process as its system sees it: memory, processor time, descriptors, threads, and since when it runs.
//!
//! **Owns** nothing; read from `/proc/self` at every exposition, which takes a tenth of a millisecond. **Fails** by leaving out
//! what cannot be read, as on a system without `/proc`.

use std::fs;

use super::Reading;

/// In how many parts Linux counts a second for programs (`USER_HZ`), on every architecture that we run on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where the fields of `/proc/self/stat` stand behind the program's name (proc(5): state is the third).
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const STARTED_TICKS: usize = 19;

/// What can be told of this process; the names are those of Prometheus's own clients.
pub fn readings() -> Vec<Reading> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let mut readings = of_status(&text("/proc/self/status"));
    readings.extend(of_stat(&text("/proc/self/stat"), &text("/proc/stat")));
    readings.extend(of_limits(&text("/proc/self/limits")));
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let help = "Descriptors that are open.";
        readings.push(Reading::gauge("process_open_fds", help).of(open.count() as f64));
    }
    readings
}

fn of_status(status: &str) -> Vec<Reading> {
    let field = |name: &str| -> Option<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse().ok()
    };
    let resident = field("VmRSS").map(|kib| {
        Reading::gauge("process_resident_memory_bytes", "Memory that is resident.").of(kib * 1_024.0)
    });
    let mapped = field("VmSize").map(|kib| {
        Reading::gauge("process_virtual_memory_bytes", "Memory that is mapped.").of(kib * 1_024.0)
    });
    let threads = field("Threads").map(|count| Reading::gauge("process_threads", "Threads.").of(count));
    resident.into_iter().chain(mapped).chain(threads).collect()
}

fn of_stat(stat: &str, system: &str) -> Vec<Reading> {
    // The name may hold blanks and brackets; it ends with the last bracket.
    let Some((_, fields)) = stat.rsplit_once(')') else { return Vec::new() };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let seconds =
        |place: usize| -> Option<f64> { Some(fields.get(place)?.parse::<f64>().ok()? / TICKS_PER_SECOND) };
    let mut readings = Vec::new();
    if let (Some(user), Some(kernel)) = (seconds(USER_TICKS), seconds(SYSTEM_TICKS)) {
        let help = "Processor time, of the process and of the system for it.";
        readings.push(Reading::counter("process_cpu_seconds", help).of(user + kernel));
    }
    let booted = system.lines().find_map(|line| line.strip_prefix("btime "));
    let booted = booted.and_then(|text| text.trim().parse::<f64>().ok());
    if let (Some(booted), Some(after)) = (booted, seconds(STARTED_TICKS)) {
        let help = "When the process began, in seconds since 1970.";
        readings.push(Reading::gauge("process_start_time_seconds", help).of(booted + after));
    }
    readings
}

fn of_limits(limits: &str) -> Option<Reading> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    // "unlimited" is no number, and then there is nothing to be compared with.
    let most: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(Reading::gauge("process_max_fds", "Descriptors that may be open.").of(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(readings: &[Reading], name: &str) -> f64 {
        readings.iter().find(|reading| reading.name == name).expect(name).series[0].value
    }

    #[test]
    fn the_files_of_linux_are_read() {
        let status = of_status("Name:\tbursar\nVmSize:\t  20480 kB\nVmRSS:\t  10240 kB\nThreads:\t7\n");
        assert!((value(&status, "process_resident_memory_bytes") - 10_485_760.0).abs() < 0.5);
        assert!((value(&status, "process_threads") - 7.0).abs() < 0.5);
        let stat = "42 (a (b) c) S 1 1 1 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 1000 0 0";
        let stat = of_stat(stat, "cpu 1 2\nbtime 1700000000\n");
        assert!((value(&stat, "process_cpu_seconds") - 3.0).abs() < 0.001);
        assert!((value(&stat, "process_start_time_seconds") - 1_700_000_010.0).abs() < 0.001);
        let limits = of_limits("Max open files            1024                 4096                 files\n");
        assert!((limits.expect("a limit").series[0].value - 1_024.0).abs() < 0.5);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert!(of_status("").is_empty() && of_stat("", "").is_empty());
        assert!(
            of_limits("Max open files            unlimited            unlimited            files\n")
                .is_none()
        );
    }

    #[test]
    fn this_very_process_has_its_readings() {
        let readings = readings();
        for name in ["process_resident_memory_bytes", "process_open_fds"] {
            assert!(value(&readings, name) > 0.0, "{name}");
        }
    }
}
