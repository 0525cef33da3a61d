//! Imported functions that tell what a program is able to do: talk to a network, give a terminal
//! away, start programs, change its user, drive a serial port, act on a screen, load drivers.

/// Whole names, sorted.
pub const TELLING: &[&str] = &[
    "PQconnectdb",
    "SSL_accept",
    "SSL_connect",
    "SSL_read",
    "SSL_write",
    "accept",
    "accept4",
    "bind",
    "capset",
    "cfsetispeed",
    "cfsetospeed",
    "cfsetspeed",
    "chroot",
    "clone",
    "connect",
    "crypt",
    "crypt_r",
    "curl_easy_perform",
    "daemon",
    "delete_module",
    "dlmopen",
    "dlopen",
    "dlsym",
    "execl",
    "execle",
    "execlp",
    "execv",
    "execve",
    "execveat",
    "execvp",
    "execvpe",
    "fexecve",
    "finit_module",
    "fork",
    "forkpty",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname2",
    "gethostbyname_r",
    "getpeername",
    "getpwnam",
    "getspnam",
    "gnutls_handshake",
    "grantpt",
    "init_module",
    "listen",
    "login",
    "login_tty",
    "logwtmp",
    "memfd_create",
    "mount",
    "openpty",
    "pivot_root",
    "popen",
    "posix_openpt",
    "posix_spawn",
    "posix_spawnp",
    "prctl",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "ptsname",
    "ptsname_r",
    "putpwent",
    "putspent",
    "pututline",
    "pututxline",
    "recvfrom",
    "recvmsg",
    "res_query",
    "sendmsg",
    "sendto",
    "setegid",
    "seteuid",
    "setgid",
    "setgroups",
    "setns",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
    "shm_open",
    "socket",
    "socketpair",
    "system",
    "tcsetattr",
    "tcsetpgrp",
    "umount2",
    "unlockpt",
    "unshare",
    "updwtmpx",
    "vfork",
];

/// Families, by the beginning of the name.
const FAMILIES: &[&str] = &["XTest", "libssh2_session_", "libusb_", "mosquitto_", "pam_", "pcap_", "rfb", "ssh_"];

pub(super) fn is_telling(name: &[u8]) -> bool {
    TELLING.binary_search_by(|known| known.as_bytes().cmp(name)).is_ok()
        || FAMILIES.iter().any(|family| name.starts_with(family.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(TELLING.is_sorted());
        for name in TELLING {
            assert!(is_telling(name.as_bytes()), "{name}");
        }
        assert!(is_telling(b"pcap_open_live") && !is_telling(b"printf") && !is_telling(b"soc"));
    }
}
