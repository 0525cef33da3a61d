//! The worker's confinement, entered before the first byte of evidence is parsed and before any thread starts.
//!
//! Linux: limits (setrlimit(2)), Landlock without a single exception (landlock(7)), an allow-list of system calls
//! (seccomp(2)). Afterwards the worker tries what must not work, and tells its parent what came of it. What the
//! kernel lacks is told; whether the examination goes on without it is the parent's word.
use super::protocol::Confinement;
#[cfg(target_os = "linux")]
pub(super) use linux::enter;

/// Other systems give a process of its own and nothing more.
#[cfg(not(target_os = "linux"))]
pub(super) fn enter(_threads: u32, _scratch: u64) -> Confinement {
    let missing = vec!["this system offers the worker no confinement that this version knows".to_owned()];
    Confinement { missing, ..Confinement::default() }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Confinement;
    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr,
        RulesetError, RulesetStatus, Scope,
    };
    use rustix::fs::{Mode, OFlags, open};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::fs::File;
    use std::io;
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Bytes of private memory; a hostile structure that asks for more ends the worker, which costs one item.
    const MEMORY: u64 = 4 << 30;
    /// Further bytes for each thread's stack and buffers.
    const MEMORY_A_THREAD: u64 = 64 << 20;
    /// Seconds of processor time for each thread: far beyond any disk, and not for ever.
    const PROCESSOR: u64 = 72 * 3600;
    /// Bytes of the file in which a mount's requests are in hand, at least.
    const REQUESTS: u64 = 16 << 20;

    pub(in crate::worker) fn enter(threads: u32, scratch: u64) -> Confinement {
        let mut told = Confinement::default();
        let mut note = |part: &str, outcome: Result<String, String>| match outcome {
            Ok(text) => told.parts.push(text),
            Err(why) => told.missing.push(format!("{part}: {why}")),
        };
        note("limits", limits(threads, scratch));
        note("Landlock", landlock());
        note("seccomp", system_calls());
        // Trying to run another program would succeed without these.
        if told.missing.is_empty() {
            for (what, denied) in attempts() {
                if denied { &mut told.denied } else { &mut told.missing }.push(what.to_owned());
            }
        }
        told
    }

    fn limits(threads: u32, scratch: u64) -> Result<String, String> {
        let threads = u64::from(threads);
        let memory = MEMORY.saturating_add(MEMORY_A_THREAD.saturating_mul(threads));
        // A limit that the examiner's own shell has set is kept where it is lower; it could not be raised.
        let set = |resource, value: u64| {
            let value = getrlimit(resource).maximum.map_or(value, |most| most.min(value));
            let limit = Rlimit { current: Some(value), maximum: Some(value) };
            setrlimit(resource, limit).map(|()| value).map_err(|e| e.to_string())
        };
        let memory = set(Resource::Data, memory)?;
        set(Resource::Cpu, PROCESSOR.saturating_mul(threads.max(1)))?;
        // What it has to write to is a temporary file and the requests of a mount.
        set(Resource::Fsize, scratch.max(REQUESTS))?;
        // A core dump would carry evidence into the folder the program was started in.
        set(Resource::Core, 0)?;
        Ok(format!("at most {} MiB of memory", memory >> 20))
    }

    /// Denies every file and every network access that the kernel's Landlock knows.
    fn landlock() -> Result<String, String> {
        let denied = || -> Result<RestrictionStatus, RulesetError> {
            // What every kernel with Landlock can deny must be denied, the rest where it is known.
            Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(ABI::V6))?
                .handle_access(AccessNet::from_all(ABI::V6))?
                .scope(Scope::from_all(ABI::V6))?
                .create()?
                .restrict_self()
        };
        let status = denied().map_err(|e| e.to_string())?;
        if !status.no_new_privs {
            return Err("new privileges cannot be ruled out".into());
        }
        match status.ruleset {
            RulesetStatus::FullyEnforced => Ok("Landlock: no file, no network".into()),
            RulesetStatus::PartiallyEnforced => Ok("Landlock: no file, as far as this kernel's version goes".into()),
            RulesetStatus::NotEnforced => Err("this kernel does not have it, or it is turned off".into()),
        }
    }

    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
    fn system_calls() -> Result<String, String> {
        crate::worker::syscalls::enter().map(|n| format!("seccomp: {n} system calls allowed, no other"))
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    fn system_calls() -> Result<String, String> {
        Err("there is no list of system calls for this processor".into())
    }

    /// What a parser taken over by its input would try, and whether it was denied.
    fn attempts() -> [(&'static str, bool); 4] {
        let connect = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).err();
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let write = open("/tmp/cranescope-must-not-be-written", create, Mode::RUSR).err().map(io::Error::from);
        let read = File::open("/etc/passwd").err();
        // Comes back only if it was denied.
        let run = Some(Command::new("/proc/self/exe").arg("--version").exec());
        let is_denied = |e: Option<io::Error>| e.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
        [
            ("connect", is_denied(connect)),
            ("write a file", is_denied(write)),
            ("read another file", is_denied(read)),
            ("execute", is_denied(run)),
        ]
    }
}
