//! Tables of what was done and when: periods of use, and what is left of them where no file has them any more.
use super::record::record;
use crate::base::{Name, Time};
use std::sync::Arc;

record! {
    /// Periods of use as logs recorded them: links over modems, tunnels, and logins, each from its start to its end.
    Session in "sessions", key [start, kind, program, interface, device, peer] {
        /// modem (over a cellular modem or a serial line), ppp (over another line), tunnel, login.
        kind: Arc<str>,
        /// What recorded it: pppd, ModemManager, NetworkManager, netifd, openvpn, sshd, wtmp …; several where they tell of the same period.
        program: String,
        /// `None` where the log begins later, or its lines have no usable time.
        start: Option<Time>,
        /// `None` where no line tells of the end.
        end: Option<Time>,
        /// How it ended: recorded, restart (the machine started anew, no end is recorded), superseded (a new one began on the same line, no end is recorded), shutdown (the machine was shut down), not-recorded.
        ended: Arc<str>,
        /// Where no end is recorded: it was over by then.
        end_before: Option<Time>,
        /// Who started it, or logged in.
        user: String,
        /// Modem, serial port or terminal.
        device: String,
        interface: String,
        /// Name of the connection or account of the link.
        connection: String,
        /// Own addresses.
        address: Vec<String>,
        /// The other end: address, host or server.
        peer: Vec<String>,
        /// Name servers that were given.
        dns: Vec<String>,
        operator: Vec<String>,
        apn: String,
        /// Number dialed.
        number: String,
        /// Bytes, where the log tells.
        sent: Option<u64>,
        /// Bytes, where the log tells.
        received: Option<u64>,
        /// Lines that tell of it.
        lines: u32,
        /// The lines, `path:line: text`; of many the first and the last.
        log: Vec<String>,
        /// Where the log tells that another machine recorded it, or this one under another name: `machine-id …`, `host …`, `DMI …` (of its board), `MAC …` (of its network cards). Such a period is recorded on this disk, and not shown to be of this machine.
        recorded_as: String,
        /// What bounds what the row says: the clock was set meanwhile, an end before its start.
        notes: Vec<String>,
    }
}
record! {
    /// Lines that tell of modems, tunnels and their numbers where no file has them any more: in deleted files, in space that no file has, in swap. They were once on this disk; of which machine and when they do not show.
    Trace in "traces", key [kind, value, area, image_offset] {
        /// What was recognised: a pattern of logs (pppd-address …), a setting (at-context, wireguard-settings …), imei, iccid, imsi.
        kind: Arc<str>,
        /// modem-hardware, modem-use, remote-access, modem-setting, tunnel-setting, modem-identity, history.
        class: Arc<str>,
        /// The number, or what was captured: `address=10.1.2.3`.
        value: String,
        /// Of an IMSI: the network that gave it out, by its codes of country and network.
        operator: String,
        /// The line, as far as it lies in one piece.
        text: String,
        /// deleted-file, unallocated (of a file system), swap, unclaimed (of no partition).
        area: Arc<str>,
        /// The deleted file.
        path: Name,
        /// Byte of the image where the line begins; `None` where it lies in a piece that a decoder gives.
        image_offset: Option<u64>,
        /// Times the same stands in the same area (this one is the first).
        count: u32,
    }
}
record! {
    /// What deleted configuration said, as far as its content can still be read: what the reader of such files would give for one that is there. None of it is part of the system as it is.
    Removed in "removed", key [table, path, kind, name, values] {
        /// The table that has such rows of files that are there: connections, keys, services …
        table: Arc<str>,
        kind: String,
        name: String,
        /// The deleted file.
        path: Name,
        /// path (of its directory entry), content (nothing tells its name: what it is shows in what it holds).
        told_by: Arc<str>,
        /// The columns that say something: `apn=cmnet`.
        values: Vec<String>,
        /// `None` where the file system does not keep it.
        deleted_at: Option<Time>,
        /// A file of this name is there now.
        replaced: bool,
    }
}
