//! What the kernel tells of running processes.

/// The most memory that a process has used so far, in bytes; nothing when it is gone.
pub fn peak_memory_bytes(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// The processes below a process, and those below them.
pub fn children(process: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own: Vec<u32> = all.filter(|id| parent(*id) == Some(process)).collect();
    own.iter().flat_map(|child| std::iter::once(*child).chain(children(*child))).collect()
}

fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// Whether a process runs; one that died and was not waited for does not.
pub fn is_running(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_has_children_and_memory_while_it_runs() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60; true"]).stdin(Stdio::null()).spawn().unwrap();
        let id = shell.id();
        while children(id).is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let sleep = children(id)[0];
        assert!(children(std::process::id()).contains(&sleep));
        assert!(is_running(id) && peak_memory_bytes(id).unwrap() > 100_000);
        crate::run(Command::new("kill").arg(sleep.to_string())).unwrap();
        shell.wait().unwrap();
        assert!(!is_running(id) && !is_running(sleep) && peak_memory_bytes(id).is_none());
    }
}
