//! A filter of system calls: what no command of an agent needs and every escape wants.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule, sock_filter,
};

use crate::plan::{Policy, Sockets};

/// A system call that is refused, always or with some arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forbidden {
    pub call: &'static str,
    /// What it would be good for.
    pub why: &'static str,
    number: i64,
}

macro_rules! forbidden {
    ($($call:ident $number:ident $why:literal;)*) => {
        &[$(Forbidden { call: stringify!($call), why: $why, number: libc::$number }),*]
    };
}

const ALWAYS: &[Forbidden] = forbidden! {
    ptrace SYS_ptrace "controls another process";
    process_vm_readv SYS_process_vm_readv "reads another process's memory";
    process_vm_writev SYS_process_vm_writev "writes another process's memory";
    pidfd_getfd SYS_pidfd_getfd "takes an open file out of another process";
    kcmp SYS_kcmp "compares what processes hold in the kernel";
    mount SYS_mount "puts something else where files are";
    umount2 SYS_umount2 "uncovers what is hidden by a mount";
    pivot_root SYS_pivot_root "changes what is the root";
    chroot SYS_chroot "changes what is the root";
    mount_setattr SYS_mount_setattr "makes a read-only mount writable";
    move_mount SYS_move_mount "puts something else where files are";
    open_tree SYS_open_tree "holds on to a mount";
    fsopen SYS_fsopen "makes a file system";
    fsconfig SYS_fsconfig "makes a file system";
    fsmount SYS_fsmount "makes a file system";
    fspick SYS_fspick "changes a file system";
    swapon SYS_swapon "changes the machine's memory";
    swapoff SYS_swapoff "changes the machine's memory";
    unshare SYS_unshare "makes namespaces, in which more of the kernel can be reached";
    setns SYS_setns "enters another process's namespaces";
    bpf SYS_bpf "runs programs in the kernel";
    io_uring_setup SYS_io_uring_setup "makes system calls that no filter sees";
    io_uring_enter SYS_io_uring_enter "makes system calls that no filter sees";
    io_uring_register SYS_io_uring_register "makes system calls that no filter sees";
    keyctl SYS_keyctl "reads keys that the kernel keeps for the user";
    add_key SYS_add_key "stores keys with the kernel";
    request_key SYS_request_key "starts a program outside to find a key";
    kexec_load SYS_kexec_load "starts another kernel";
    kexec_file_load SYS_kexec_file_load "starts another kernel";
    init_module SYS_init_module "loads code into the kernel";
    finit_module SYS_finit_module "loads code into the kernel";
    delete_module SYS_delete_module "unloads code from the kernel";
    userfaultfd SYS_userfaultfd "stops the kernel half-way, which most exploits need";
    perf_event_open SYS_perf_event_open "watches other processes and the kernel";
    open_by_handle_at SYS_open_by_handle_at "opens files past their folders";
    name_to_handle_at SYS_name_to_handle_at "names files past their folders";
    fanotify_init SYS_fanotify_init "watches everybody's files";
    reboot SYS_reboot "stops the machine";
    acct SYS_acct "writes down what everybody runs";
    quotactl SYS_quotactl "changes who may use how much disk";
    syslog SYS_syslog "reads the kernel's messages";
    settimeofday SYS_settimeofday "changes the machine's clock";
    clock_settime SYS_clock_settime "changes the machine's clock";
    adjtimex SYS_adjtimex "changes the machine's clock";
    clock_adjtime SYS_clock_adjtime "changes the machine's clock";
    sethostname SYS_sethostname "changes the machine's name";
    setdomainname SYS_setdomainname "changes the machine's name";
    vhangup SYS_vhangup "takes a terminal from somebody";
    move_pages SYS_move_pages "moves another process's memory";
    migrate_pages SYS_migrate_pages "moves another process's memory";
};

/// Refused where the call shares the machine's namespaces: files outside have owners, and
/// Landlock knows no right to change them.
const SHARED: &[Forbidden] = forbidden! {
    fchown SYS_fchown "gives files outside to somebody else";
    fchownat SYS_fchownat "gives files outside to somebody else";
    setxattr SYS_setxattr "changes attributes of files outside";
    lsetxattr SYS_lsetxattr "changes attributes of files outside";
    fsetxattr SYS_fsetxattr "changes attributes of files outside";
    removexattr SYS_removexattr "changes attributes of files outside";
    lremovexattr SYS_lremovexattr "changes attributes of files outside";
    fremovexattr SYS_fremovexattr "changes attributes of files outside";
    shmget SYS_shmget "shares memory with programs outside";
    shmat SYS_shmat "shares memory with programs outside";
    semget SYS_semget "shares locks with programs outside";
    msgget SYS_msgget "sends messages to programs outside";
    mq_open SYS_mq_open "sends messages to programs outside";
};

#[cfg(target_arch = "x86_64")]
const SHARED_THERE: &[Forbidden] = forbidden! {
    chown SYS_chown "gives files outside to somebody else";
    lchown SYS_lchown "gives files outside to somebody else";
};
#[cfg(not(target_arch = "x86_64"))]
const SHARED_THERE: &[Forbidden] = &[];

#[cfg(target_arch = "x86_64")]
const MACHINES_OWN: &[Forbidden] = forbidden! {
    iopl SYS_iopl "reaches devices past the kernel";
    ioperm SYS_ioperm "reaches devices past the kernel";
    modify_ldt SYS_modify_ldt "an old way into the kernel";
};
#[cfg(not(target_arch = "x86_64"))]
const MACHINES_OWN: &[Forbidden] = &[];

/// Refused with some arguments only; the conditions are in [`conditional`].
const SOMETIMES: &[Forbidden] = forbidden! {
    clone SYS_clone "makes namespaces, in which more of the kernel can be reached";
    personality SYS_personality "switches protections of memory off";
    ioctl SYS_ioctl "types into the terminal (`TIOCSTI`, `TIOCLINUX`)";
    socket SYS_socket "reaches what is not of this call: networks, devices, other virtual machines";
    fchmod SYS_fchmod "makes a program that runs as its owner for everybody (setuid)";
    fchmodat SYS_fchmodat "makes a program that runs as its owner for everybody (setuid)";
    openat SYS_openat "makes a program that runs as its owner for everybody (setuid)";
    mknodat SYS_mknodat "makes devices";
    prlimit64 SYS_prlimit64 "takes resources from a process outside";
};

#[cfg(target_arch = "x86_64")]
const SOMETIMES_THERE: &[Forbidden] = forbidden! {
    chmod SYS_chmod "makes a program that runs as its owner for everybody (setuid)";
    open SYS_open "makes a program that runs as its owner for everybody (setuid)";
    creat SYS_creat "makes a program that runs as its owner for everybody (setuid)";
    mknod SYS_mknod "makes devices";
};
#[cfg(not(target_arch = "x86_64"))]
const SOMETIMES_THERE: &[Forbidden] = &[];

/// Said not to exist, so that programs fall back on older calls.
const ABSENT: &[Forbidden] = &[
    Forbidden {
        call: "clone3",
        why: "`clone` with arguments that cannot be checked",
        number: libc::SYS_clone3,
    },
    Forbidden {
        call: "openat2",
        why: "`openat` with arguments that cannot be checked",
        number: libc::SYS_openat2,
    },
    Forbidden {
        call: "memfd_create",
        why: "keeps files in memory that no limit counts",
        number: libc::SYS_memfd_create,
    },
];

/// `fchmodat` with flags; the same number everywhere, and newer than most lists of them.
const FCHMODAT2: i64 = 452;

/// Done as if, where the call shares the machine's namespaces: they reach files outside.
#[cfg(target_arch = "x86_64")]
const MODES: &[i64] = &[libc::SYS_chmod, libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2];
#[cfg(not(target_arch = "x86_64"))]
const MODES: &[i64] = &[libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2];

/// Set on the numbers of the x32 calls: the same work under other numbers.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

const PERMITTED_PERSONALITIES: [u64; 2] = [0, 0xffff_ffff];
const SETUID: u64 = 0o4000;
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541C;

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
/// Lists the interfaces of the network; changes nothing without the right to.
const AF_NETLINK: u64 = 16;

/// Returns the system calls that are refused, for the page that says so.
pub fn forbidden() -> Vec<Forbidden> {
    [ALWAYS, MACHINES_OWN, SOMETIMES, SOMETIMES_THERE, ABSENT, SHARED, SHARED_THERE].concat()
}

/// Filters the system calls of this process and all it starts, for good.
pub(crate) fn apply(policy: &Policy) -> Result<(), String> {
    for program in programs(policy.sockets, policy.shared)
        .map_err(|error| format!("the filter of system calls: {error}"))?
    {
        seccompiler::apply_filter(&program)
            .map_err(|error| format!("the filter of system calls: {error}"))?;
    }
    Ok(())
}

fn programs(sockets: Sockets, shared: bool) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let errno = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let always = ALWAYS.iter().chain(MACHINES_OWN).map(|entry| (entry.number, Vec::new()));
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = always.collect();
    refused.extend(conditional(sockets)?);
    if shared {
        let shared = SHARED.iter().chain(SHARED_THERE);
        refused.extend(shared.map(|entry| (entry.number, Vec::new())));
    }
    let absent = ABSENT.iter().map(|entry| (entry.number, Vec::new())).collect();
    let mut refuse = compile(refused, errno(libc::EPERM))?;
    let absent = compile(absent, errno(libc::ENOSYS))?;
    #[cfg(target_arch = "x86_64")]
    refuse.splice(0..0, without_x32());
    let mut programs = vec![refuse, absent];
    if shared {
        // Git gives up where it may not change a mode, and works where the mode stays.
        let ignored = MODES.iter().map(|number| (*number, Vec::new())).collect();
        programs.push(compile(ignored, errno(0))?);
    }
    Ok(programs)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    action: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()?)
}

/// `if number >= X32 { return ENOSYS }`, before all else.
#[cfg(target_arch = "x86_64")]
fn without_x32() -> [sock_filter; 3] {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_NOT_LESS: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    [
        sock_filter { code: LOAD_NUMBER, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_NOT_LESS, jt: 0, jf: 1, k: X32 },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: absent },
    ]
}

type Rules = Vec<(i64, Vec<SeccompRule>)>;

fn conditional(sockets: Sockets) -> Result<Rules, seccompiler::BackendError> {
    let is = |arg, op, value| SeccompCondition::new(arg, Len::Dword, op, value);
    let has = |arg, bits| SeccompRule::new(vec![is(arg, Op::MaskedEq(bits), bits)?]);
    let none_of = |arg, values: &[u64]| {
        SeccompRule::new(
            values.iter().map(|value| is(arg, Op::Ne, *value)).collect::<Result<_, _>>()?,
        )
    };

    let namespaces = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWCGROUP,
    ];
    let namespaces = namespaces.into_iter().map(|flag| has(0, u64::from(flag.unsigned_abs())));
    let kinds: &[u64] = match sockets {
        // With `socketpair` a call still talks to itself.
        Sockets::Pairs => &[],
        Sockets::Network { local: true } => &[AF_UNIX, AF_INET, AF_INET6, AF_NETLINK],
        Sockets::Network { local: false } => &[AF_INET, AF_INET6, AF_NETLINK],
    };
    let socket = if kinds.is_empty() { Vec::new() } else { vec![none_of(0, kinds)?] };
    let device = |arg| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let format = u64::from(libc::S_IFMT);
        [libc::S_IFCHR, libc::S_IFBLK]
            .into_iter()
            .map(|kind| SeccompRule::new(vec![is(arg, Op::MaskedEq(format), u64::from(kind))?]))
            .collect()
    };
    let mut rules: Rules = vec![
        (libc::SYS_clone, namespaces.collect::<Result<_, _>>()?),
        (libc::SYS_personality, vec![none_of(0, &PERMITTED_PERSONALITIES)?]),
        (
            libc::SYS_ioctl,
            vec![
                SeccompRule::new(vec![is(1, Op::Eq, TIOCSTI)?])?,
                SeccompRule::new(vec![is(1, Op::Eq, TIOCLINUX)?])?,
            ],
        ),
        (libc::SYS_socket, socket),
        (libc::SYS_fchmod, vec![has(1, SETUID)?]),
        (libc::SYS_fchmodat, vec![has(2, SETUID)?]),
        (FCHMODAT2, vec![has(2, SETUID)?]),
        (libc::SYS_openat, vec![created_setuid(2, 3)?]),
        (libc::SYS_mknodat, device(2)?),
        (libc::SYS_prlimit64, vec![none_of(0, &[0])?]),
    ];
    #[cfg(target_arch = "x86_64")]
    rules.extend([
        (libc::SYS_chmod, vec![has(1, SETUID)?]),
        (libc::SYS_open, vec![created_setuid(1, 2)?]),
        (libc::SYS_creat, vec![has(1, SETUID)?]),
        (libc::SYS_mknod, device(1)?),
    ]);
    Ok(rules)
}

/// Without `O_CREAT` the mode is whatever was in the register.
fn created_setuid(flags: u8, mode: u8) -> Result<SeccompRule, seccompiler::BackendError> {
    let create = u64::from(libc::O_CREAT.unsigned_abs());
    SeccompRule::new(vec![
        SeccompCondition::new(flags, Len::Dword, Op::MaskedEq(create), create)?,
        SeccompCondition::new(mode, Len::Dword, Op::MaskedEq(SETUID), SETUID)?,
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn every_entry_is_in_a_filter_and_has_a_reason() {
        let rules = conditional(Sockets::Pairs).unwrap();
        for entry in SOMETIMES.iter().chain(SOMETIMES_THERE) {
            assert!(rules.iter().any(|(number, _)| *number == entry.number), "{}", entry.call);
        }
        let all = forbidden();
        for entry in &all {
            assert!(!entry.why.is_empty());
            assert_eq!(all.iter().filter(|other| other.call == entry.call).count(), 1);
        }
    }

    #[test]
    fn the_filters_fit_into_the_kernel() {
        for sockets in [Sockets::Pairs, Sockets::Network { local: true }] {
            for program in programs(sockets, true).unwrap() {
                assert!(program.len() < 4_096, "{}", program.len());
            }
        }
    }
}
