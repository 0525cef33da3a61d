//! The system calls a worker needs once it has its evidence: reads, its socket, memory, threads, clocks.
//!
//! Everything else is refused with EPERM, so that what a library merely tries (a file of time zones) does without.
//! The list is the same on both processors; each call's number is that of the processor at hand.
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;
#[cfg(target_arch = "riscv64")]
const ARCH: TargetArch = TargetArch::riscv64;

/// Allowed whatever their arguments: they act on descriptors and memory that the worker already has.
const ALLOWED: &[libc::c_long] = &[
    // Evidence and the socket to the parent.
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_readv,
    libc::SYS_preadv,
    libc::SYS_lseek,
    libc::SYS_write,
    libc::SYS_writev,
    // Requests of a mount, on their way from the kernel into the file that the parent shares.
    libc::SYS_splice,
    libc::SYS_pwrite64,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_fstat,
    libc::SYS_fadvise64,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_ppoll,
    // Memory; what maps or protects it is checked below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads and their ends. `clone3` is refused on its own, see `enter`.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_membarrier,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Clocks and randomness (hash tables).
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
];
/// `poll` exists only on older processors' tables.
#[cfg(target_arch = "x86_64")]
const ALSO: &[libc::c_long] = &[libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const ALSO: &[libc::c_long] = &[];

/// PR_SET_VMA of prctl(2); libc does not name it on every system.
const SET_VMA: u64 = 0x5356_4d41;

/// Confines this thread, and all that it starts. Gives how many calls are allowed.
pub(super) fn enter() -> Result<usize, String> {
    let allowed = allowed().map_err(|e| e.to_string())?;
    let count = allowed.len();
    let listed = filter(allowed, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?;
    // The flags of `clone3` lie in memory, where no filter can read them: the C library takes `clone` then.
    let refused = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let without = filter(refused, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))?;
    for program in [without, listed] {
        seccompiler::apply_filter(&program).map_err(|e| e.to_string())?;
    }
    Ok(count)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn filter(rules: Rules, other: SeccompAction, listed: SeccompAction) -> Result<BpfProgram, String> {
    let filter = SeccompFilter::new(rules, other, listed, ARCH).map_err(|e| e.to_string())?;
    BpfProgram::try_from(filter).map_err(|e| e.to_string())
}

fn allowed() -> Result<Rules, seccompiler::BackendError> {
    // An empty list of rules stands for: whatever the arguments.
    let mut rules: Rules = ALLOWED.iter().chain(ALSO).map(|call| (*call, Vec::new())).collect();
    let bits = |argument, mask: u64, value: u64| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    // Memory that could be run is never mapped: no parser makes code.
    let runs = libc::PROT_EXEC as u64;
    rules.insert(libc::SYS_mmap, bits(2, runs, 0)?);
    rules.insert(libc::SYS_mprotect, bits(2, runs, 0)?);
    // Threads of this process, no further process.
    let thread = libc::CLONE_THREAD as u64;
    rules.insert(libc::SYS_clone, bits(0, thread, thread)?);
    // Names of threads and of memory, nothing that changes what the process may do.
    let names = [u64::from(libc::PR_SET_NAME.unsigned_abs()), SET_VMA];
    let named = names.map(|name| {
        let is = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, name)?;
        SeccompRule::new(vec![is])
    });
    rules.insert(libc::SYS_prctl, named.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}
