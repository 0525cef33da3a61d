//! The journals of systemd among the logs: what their entries say, searched like the lines of a text log.
use super::patterns::Patterns;
use super::scan::{Scan, Spot};
use super::talk::Origin;
use super::{File, TOTAL_BUDGET};
use crate::artifact::Out;
use crate::base::{Digits, Name, Time};
use crate::evidence::{Entry, System};
use crate::format::journal;

/// The message, who said it, and on which machine.
const WANTED: &[&str] = &["MESSAGE", "SYSLOG_IDENTIFIER", "_COMM", "_PID", "_HOSTNAME"];
/// Of a message that is searched.
const MESSAGE: usize = 64 << 10;

/// All journal files of a system, also those that were set aside as damaged (`.journal~`). One folder is one family:
/// journald spreads what it is told over the files in it.
pub(super) fn files(system: &System) -> Vec<File<'_>> {
    let mut all: Vec<&Entry> =
        ["/var/log/journal/**", "/run/log/journal/**"].iter().flat_map(|p| system.glob(p)).collect();
    all.retain(|e| {
        let name = e.path.file_name();
        e.is_file() && (name.ends_with(b".journal") || name.ends_with(b".journal~"))
    });
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    all.into_iter().map(|entry| File { entry, family: Name::new(entry.path.parent()), age: 0 }).collect()
}

/// Searches one file; `None` (and a gap) where it is none.
pub(super) fn read<'p>(
    system: &System,
    file: &'p File<'_>,
    patterns: &'p Patterns,
    spent: &mut u64,
    out: &Out,
) -> Option<Scan<'p>> {
    let entry = file.entry;
    let gap = |what: &dyn std::fmt::Display| out.gap(entry, what);
    let source = system.open(entry).map_err(|e| gap(&e)).ok()?;
    let len = source.len();
    *spent = spent.saturating_add(len);
    if *spent > TOTAL_BUDGET {
        gap(&"budget: logs; this journal was not searched");
        return None;
    }
    let read = |at: u64, buf: &mut [u8]| source.read_at(at, buf).map_err(|e| e.to_string());
    let header = journal::header(len, &read).map_err(|e| gap(&e)).ok()?;
    let own = crate::base::hex(&header.machine_id);
    let path = std::str::from_utf8(entry.path.bytes()).unwrap_or_default();
    let mut scan = Scan::new(patterns, path);
    scan.own_host.clone_from(&system.info.hostname);
    // A copied master brings its journals along: what they tell of was on another machine.
    if !system.info.machine_id.is_empty() && own != system.info.machine_id {
        scan.machine = Some(format!("machine-id {own}"));
    }
    let mut cut = (0_u64, 0_u64);
    let walk = journal::walk(&header, len, &read, WANTED, &mut |found| {
        let Some(Some(message)) = found.values.first() else { return };
        let program =
            found.values.iter().skip(1).take(2).flatten().map(|v| v.bytes.as_slice()).next().unwrap_or_default();
        let field = |at: usize| found.values.get(at).and_then(Option::as_ref).map(|v| v.bytes.as_slice());
        let pid = field(3).and_then(|p| std::str::from_utf8(p).ok()).and_then(|p| p.parse().ok()).unwrap_or(0);
        let origin = Origin { program, pid, host: field(4) };
        let micros = i64::try_from(found.realtime).unwrap_or(i64::MAX);
        let time = Time {
            seconds: micros.div_euclid(1_000_000),
            nanos: u32::try_from(micros.rem_euclid(1_000_000)).unwrap_or(0).saturating_mul(1000),
            digits: Digits::Six,
        };
        let spot = Spot { line: 0, offset: message.offset, len: message.len, seqnum: found.seqnum };
        if message.bytes.len() > MESSAGE {
            cut = (cut.0.saturating_add(1), cut.1.saturating_add((message.bytes.len() - MESSAGE) as u64));
        }
        let text = message.bytes.get(..MESSAGE).unwrap_or(&message.bytes);
        for line in text.split(|b| *b == b'\n') {
            scan.entry(time, origin, line, spot);
        }
    });
    scan.finish();
    for fault in walk.faults {
        out.gap_in(entry, fault.offset, fault.what, fault.len);
    }
    if cut.0 > 0 {
        let (messages, bytes) = cut;
        out.gap_bytes(
            entry,
            format!("{messages} messages are longer than 64 KiB; {bytes} bytes of them were not searched"),
            bytes,
        );
    }
    if scan.usb.dropped > 0 {
        gap(&format!("budget: devices; {} USB devices were not listed", scan.usb.dropped));
    }
    Some(scan)
}
