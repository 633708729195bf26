//! The attempts, and what holds each back.

/// Something a command of an agent might try.
#[derive(Clone, Copy)]
pub struct Attempt {
    pub name: &'static str,
    /// For the page, what is tried.
    pub what: &'static str,
    /// What holds it back under bubblewrap, and under Landlock.
    pub held: [&'static str; 2],
    pub script: Script,
    /// Whether the same succeeds without a sandbox, which shows that the attempt is one.
    /// Those that would do harm, or need root, are not made there.
    pub bare: Bare,
}

#[derive(Clone, Copy)]
pub enum Script {
    Shell(&'static str),
    /// After [`PRELUDE`].
    Python(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    Succeeds,
    NotTried,
}

/// What Python attempts begin with. `sc` makes a system call; `refused` is for those that the
/// kernel would refuse for their arguments: then only the filter says «not permitted».
pub const PRELUDE: &str = r#"
import ctypes, errno, os, platform, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
ROOT, PARENT = os.environ["ROOT"], int(os.environ["PARENT"])
X86 = platform.machine() == "x86_64"
def sc(x86, arm, *args):
    ctypes.set_errno(0)
    libc.syscall.restype = ctypes.c_long
    args = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ret = libc.syscall(ctypes.c_long(x86 if X86 else arm), *args)
    return ret, ctypes.get_errno()
def escaped(*what):
    print("ESCAPED", *what, flush=True)
def refused(result):
    if result[0] != -1 or result[1] not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
        escaped(result)
print("TRIED", flush=True)
"#;

const VIEW: &str = "not in its view of the files";
const RIGHT: &str = "no right to it (Landlock)";
const RO: &str = "mounted read-only";
const OWN: &str = "nothing but its own network";
const SOCKET: &str = "no socket but pairs (filter)";
const PIDS: &str = "processes of its own only";
const DOMAIN: &str = "processes of its own only; without namespaces: ends at Landlock's domain";
const FILTER: &str = "system call refused (filter)";
const TREE: &str = "ends with the call: first process of its namespace";
const TREE_L: &str = "ends with the call: supervisor";
const CAPS: &str = "no capabilities, no new privileges";
const LIMIT: &str = "limit of the kernel";
const COUNT: &str = "control group, or counted by the supervisor";
const ENV: &str = "starts with an environment of its own";
const MODES: &str = "mounted read-only; without namespaces: the call does nothing (filter)";

macro_rules! attempts {
    ($($bare:ident $name:literal $what:literal [$bwrap:expr, $landlock:expr] $lang:ident $script:literal;)*) => {
        &[$(Attempt {
            name: $name,
            what: $what,
            held: [$bwrap, $landlock],
            script: Script::$lang($script),
            bare: Bare::$bare,
        }),*]
    };
}

/// Reading what is none of its business.
pub const READING: &[Attempt] = attempts! {
    Succeeds "read-absolute" "Read another agent's workspace by its absolute path" [VIEW, RIGHT]
        Shell "cat $ROOT/agent2/secret.txt";
    Succeeds "read-dotdot" "… by a path with `..`" [VIEW, RIGHT]
        Shell "cat ../agent2/secret.txt; cat ../../../../../../../..$ROOT/agent2/secret.txt";
    Succeeds "read-symlink" "… through a symbolic link in the own workspace" [VIEW, RIGHT]
        Shell "ln -s $ROOT/agent2/secret.txt link && cat link";
    Succeeds "read-symlink-folder" "… through a symbolic link to its folder" [VIEW, RIGHT]
        Shell "ln -s ../agent2 folder && cat folder/secret.txt";
    Succeeds "read-symlink-swapped" "… through a link that is swapped while it is opened" [VIEW, RIGHT]
        Python r#"
import threading
open("own", "w").write("own")
def swap():
    for _ in range(400):
        for target in ("own", ROOT + "/agent2/secret.txt"):
            os.symlink(target, "next"); os.rename("next", "link")
os.symlink("own", "link")
swapper = threading.Thread(target=swap); swapper.start()
while swapper.is_alive():
    try: text = open("link").read()
    except OSError: continue
    if text != "own": print(text); break
swapper.join()
"#;
    Succeeds "read-hardlink" "… through a hard link made in the own workspace" [VIEW, RIGHT]
        Shell "ln $ROOT/agent2/secret.txt hard && cat hard";
    Succeeds "read-self-root" "… through `/proc/self/root`" [VIEW, RIGHT]
        Shell "cat /proc/self/root$ROOT/agent2/secret.txt; cat /proc/thread-self/root$ROOT/agent2/secret.txt";
    Succeeds "read-parent-root" "… through `/proc/PID/root` of MassGen" [PIDS, DOMAIN]
        Shell "cat /proc/$PARENT/root$ROOT/agent2/secret.txt";
    NotTried "read-init-root" "… through `/proc/1/root`" [PIDS, DOMAIN]
        Shell "cat /proc/1/root$ROOT/agent2/secret.txt";
    Succeeds "read-parent-cwd" "… through `/proc/PID/cwd` of MassGen" [PIDS, DOMAIN]
        Shell "ls /proc/$PARENT/cwd/ >/dev/null && echo ESCAPED";
    Succeeds "read-parent-descriptors" "Read a file that MassGen has open" [PIDS, DOMAIN]
        Shell "for fd in /proc/$PARENT/fd/*; do [ -f $fd ] && head -c 4096 $fd; done";
    Succeeds "read-parent-environment" "Read MassGen's environment in `/proc/PID/environ`" [PIDS, DOMAIN]
        Shell "tr '\\0' '\\n' < /proc/$PARENT/environ | grep -q . && echo ESCAPED";
    Succeeds "read-all-environments" "Read the environment of every process that can be seen" [PIDS, DOMAIN]
        Shell "cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -a '^OUTSIDE_TOKEN='";
    NotTried "read-parent-memory" "Read MassGen's memory in `/proc/PID/mem`" [PIDS, DOMAIN]
        Python r#"
with open(f"/proc/{PARENT}/maps") as maps:
    for line in maps:
        if " r" in line:
            start = int(line.split("-")[0], 16)
            memory = open(f"/proc/{PARENT}/mem", "rb", 0); memory.seek(start)
            escaped(len(memory.read(16))); break
"#;
    NotTried "own-environment" "Find keys of MassGen's in the own environment" [ENV, ENV]
        Shell "env | grep -E '^(CARGO_|RUST_|OUTSIDE|[A-Z_]*(KEY|SECRET))' && echo ESCAPED";
    NotTried "inherited-descriptors" "Use a file that MassGen forgot to close, or inherited" ["closed by the supervisor", "closed by the supervisor"]
        Python r#"
for fd in range(3, 1024):
    try: os.fstat(fd)
    except OSError: continue
    escaped(fd, os.readlink(f"/proc/self/fd/{fd}"))
"#;
    Succeeds "read-log" "Read the log of the run" [VIEW, RIGHT]
        Shell "cat $ROOT/run/state/events.jsonl";
    Succeeds "read-dotenv" "Read `.env` in the home directory" [VIEW, RIGHT]
        Shell "cat $ROOT/home/.env";
    Succeeds "read-ssh" "Read `~/.ssh/id_ed25519`" [VIEW, RIGHT]
        Shell "cat $ROOT/home/.ssh/id_ed25519";
    Succeeds "list-home" "List the home directory" [VIEW, RIGHT]
        Shell "ls -a $ROOT/home/ | grep -q bashrc && echo ESCAPED";
    Succeeds "list-workspaces" "List the folder that holds all workspaces" [VIEW, RIGHT]
        Shell "ls $ROOT | grep -q agent2 && echo ESCAPED";
    Succeeds "copy-tree" "Pack another agent's workspace into the own one" [VIEW, RIGHT]
        Shell "tar cf - -C $ROOT agent2 | tr '\\0' '\\n'";
    NotTried "read-reports" "Read or forge what supervisors report" [VIEW, RIGHT]
        Shell "for d in /tmp/massgen-sandbox-*; do ls $d >/dev/null && echo ESCAPED; touch $d/0 && echo ESCAPED; done";
    NotTried "read-shadow" "Read `/etc/shadow`" ["covered by nothing", RIGHT]
        Shell "grep -q : /etc/shadow && echo ESCAPED";
    NotTried "open-by-handle" "Open a file by its handle, past its folders" [FILTER, FILTER]
        Python r#"
handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128)); mount = ctypes.c_int()
refused(sc(303, 264, ctypes.c_long(-100), (ROOT + "/agent2/secret.txt").encode(), handle, ctypes.byref(mount), 0))
refused(sc(304, 265, mount.value, handle, 0))
"#;
    NotTried "read-memory-device" "Open `/dev/mem`, `/dev/kmsg`, `/proc/kcore`" ["not there", RIGHT]
        Python r#"
for path in ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/kmsg", "/proc/kcore"):
    try: escaped(path, len(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 16)))
    except OSError: pass
"#;
    NotTried "read-disk" "Open the disk itself" ["not there", RIGHT]
        Python r#"
import glob
for path in glob.glob("/dev/[hsv]d[a-z]*") + glob.glob("/dev/nvme*") + glob.glob("/dev/dm-*") + ["/dev/vda"]:
    if os.path.isdir(path): continue
    try: escaped(path, len(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 16)))
    except OSError: pass
"#;
};

/// Writing where it must not.
pub const WRITING: &[Attempt] = attempts! {
    Succeeds "write-absolute" "Create a file in another agent's workspace" [VIEW, RIGHT]
        Shell "echo x > $ROOT/agent2/planted";
    Succeeds "write-dotdot" "… by a path with `..`" [VIEW, RIGHT]
        Shell "echo x > ../agent2/planted";
    Succeeds "write-symlink" "Write to a file outside through a symbolic link" [VIEW, RIGHT]
        Shell "ln -s $ROOT/agent2/secret.txt link; echo x >> link";
    Succeeds "write-bashrc" "Append to `~/.bashrc`" [VIEW, RIGHT]
        Shell "echo x >> $ROOT/home/.bashrc";
    Succeeds "write-ssh" "Add a key to `~/.ssh/authorized_keys`" [VIEW, RIGHT]
        Shell "echo x >> $ROOT/home/.ssh/authorized_keys";
    Succeeds "write-shared" "Change another agent's snapshot that may be read" [RO, RIGHT]
        Shell "echo x >> $ROOT/temp/agent2/report.txt";
    Succeeds "create-shared" "Create a file beside it" [RO, RIGHT]
        Shell "echo x > $ROOT/temp/agent2/planted";
    Succeeds "delete" "Delete files outside" [RO, RIGHT]
        Shell "rm -rf $ROOT/temp/agent2/report.txt $ROOT/agent2/secret.txt $ROOT/home/.bashrc";
    Succeeds "move-out" "Move a file out of a folder that may only be read" [RO, RIGHT]
        Shell "mv $ROOT/temp/agent2/report.txt stolen";
    Succeeds "move-over" "Move a file of the own over one outside" [VIEW, RIGHT]
        Shell "echo x > own; mv -f own $ROOT/temp/agent2/report.txt; echo x > own; mv -f own $ROOT/agent2/secret.txt";
    Succeeds "exchange" "Exchange a file of the own with one outside (`renameat2`)" [RO, RIGHT]
        Python r#"
open("own", "w").write("x")
print(sc(316, 276, -100, b"own", -100, (ROOT + "/temp/agent2/report.txt").encode(), 2))
"#;
    NotTried "move-workspace" "Move the own workspace away" ["a mount cannot be moved", RIGHT]
        Shell "mv $ROOT/agent1 $ROOT/agent9 || mv $ROOT/agent1 $ROOT/temp/agent9";
    Succeeds "truncate" "Cut a file outside off (`truncate`)" [RO, RIGHT]
        Python r#"
os.truncate(ROOT + "/temp/agent2/report.txt", 0)
"#;
    Succeeds "truncate-home" "Cut a file in the home directory off" [VIEW, RIGHT]
        Python r#"
os.truncate(ROOT + "/home/.bashrc", 0)
"#;
    Succeeds "make-folder" "Make a folder outside" [VIEW, RIGHT]
        Shell "mkdir $ROOT/home/planted; mkdir $ROOT/temp/planted";
    Succeeds "make-pipe" "Make a named pipe outside" [VIEW, RIGHT]
        Shell "mkfifo $ROOT/home/planted; mkfifo $ROOT/temp/planted";
    Succeeds "make-symlink" "Make a symbolic link outside" [VIEW, RIGHT]
        Shell "ln -s /etc/passwd $ROOT/home/planted; ln -s /etc/passwd $ROOT/temp/planted";
    Succeeds "make-hardlink" "Link a file of the own to outside" [VIEW, RIGHT]
        Shell "echo x > own; ln own $ROOT/home/planted; ln own $ROOT/temp/planted";
    Succeeds "make-socket" "Make a socket outside" [VIEW, RIGHT]
        Python r#"
socket.socket(socket.AF_UNIX).bind(ROOT + "/temp/planted")
"#;
    Succeeds "chmod-shared" "Change the mode of a file outside" [RO, MODES]
        Shell "chmod 777 $ROOT/temp/agent2/report.txt $ROOT/home/.bashrc";
    Succeeds "chmod-descriptor" "… by an open file" [RO, MODES]
        Python r#"
os.fchmod(os.open(ROOT + "/temp/agent2/report.txt", os.O_RDONLY), 0o777)
"#;
    NotTried "chown-shared" "Give a file outside to somebody else" [RO, "mounted read-only, or refused (filter)"]
        Shell "chown 12345 $ROOT/temp/agent2/report.txt $ROOT/home/.bashrc";
    NotTried "xattr-shared" "Set an attribute of a file outside" [RO, "mounted read-only, or refused (filter)"]
        Python r#"
os.setxattr(ROOT + "/temp/agent2/report.txt", "user.planted", b"x"); escaped()
"#;
    NotTried "setuid" "Make a program that runs as its owner for everybody" [FILTER, FILTER]
        Python r#"
import shutil, stat
shutil.copy("/bin/sh", "sh")
for how in (lambda: os.chmod("sh", 0o4755), lambda: os.fchmod(os.open("sh", os.O_RDONLY), 0o4755), lambda: os.open("new", os.O_CREAT | os.O_WRONLY, 0o4755)):
    try: how()
    except OSError: pass
for name in os.listdir("."):
    if os.stat(name).st_mode & stat.S_ISUID: escaped(name)
"#;
    NotTried "cron" "Plant a job for `cron` or `at`" [RO, RIGHT]
        Shell "for f in /etc/cron.d/massgen-escape /var/spool/cron/crontabs/massgen-escape /var/spool/at/massgen-escape; do touch $f && rm -f $f && echo ESCAPED; done";
    NotTried "preload-file" "Plant a library for all programs (`/etc/ld.so.preload`)" [RO, RIGHT]
        Python r#"
for path in ("/etc/ld.so.preload.massgen-escape", "/etc/profile.d/massgen-escape.sh"):
    try: os.close(os.open(path, os.O_CREAT | os.O_WRONLY)); escaped(path); os.unlink(path)
    except OSError: pass
"#;
    NotTried "program" "Plant a program in `/usr/local/bin`" [RO, RIGHT]
        Shell "touch /usr/local/bin/massgen-escape && rm -f /usr/local/bin/massgen-escape && echo ESCAPED";
    NotTried "kernel-settings" "Change settings of the kernel in `/proc/sys` and `/sys`" ["mounted read-only; `/sys` not there", RIGHT]
        Python r#"
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run"):
    try: os.close(os.open(path, os.O_WRONLY)); escaped(path)
    except OSError: pass
"#;
    NotTried "cgroup" "Leave the control group" ["not in its view of the files", RIGHT]
        Python r#"
import glob
for path in glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True)[:20] + ["/sys/fs/cgroup/pids/cgroup.procs", "/sys/fs/cgroup/cgroup.procs"]:
    try: os.close(os.open(path, os.O_WRONLY)); escaped(path)
    except OSError: pass
"#;
    Succeeds "shared-memory" "Leave something in `/dev/shm` for others" ["a `/dev/shm` of its own", "a `/dev/shm` of its own, or no right to it"]
        Python r#"
path = "/dev/shm/" + os.environ["TOKEN"]
open(path, "w").write("x")
"#;
    Succeeds "system-v" "Leave a segment of System V shared memory for others" [PIDS, "a namespace of its own, or refused (filter)"]
        Python r#"
print(libc.shmget(int(os.environ["IPC_NUMBER"]), 4096, 0o1600))
"#;
};

/// Reaching others by sockets.
pub const NETWORK: &[Attempt] = attempts! {
    Succeeds "tcp" "Connect to a TCP port of the loopback" [OWN, SOCKET]
        Python r#"
socket.create_connection(("127.0.0.1", int(os.environ["TCP"])), 2)
"#;
    Succeeds "tcp-6" "Connect to it by IPv6" [OWN, SOCKET]
        Python r#"
socket.create_connection(("::ffff:127.0.0.1", int(os.environ["TCP"])), 2)
"#;
    Succeeds "tcp-shell" "Connect to it by the shell's `/dev/tcp`" [OWN, SOCKET]
        Shell "bash -c 'echo x > /dev/tcp/127.0.0.1/'$TCP";
    Succeeds "udp" "Send a datagram to a UDP port of the loopback" [OWN, SOCKET]
        Python r#"
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", int(os.environ["UDP"])))
"#;
    Succeeds "unix" "Connect to a Unix socket outside" [VIEW, SOCKET]
        Python r#"
socket.socket(socket.AF_UNIX).connect(ROOT + "/home/socket")
"#;
    Succeeds "unix-link" "… through a symbolic link" [VIEW, SOCKET]
        Python r#"
os.symlink(ROOT + "/home/socket", "socket"); socket.socket(socket.AF_UNIX).connect("socket")
"#;
    Succeeds "unix-datagram" "Send a datagram to a Unix socket outside" [VIEW, SOCKET]
        Python r#"
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", ROOT + "/home/datagrams")
"#;
    Succeeds "abstract" "Connect to an abstract Unix socket" [OWN, SOCKET]
        Python r#"
socket.socket(socket.AF_UNIX).connect("\0" + os.environ["TOKEN"])
"#;
    NotTried "outside" "Connect to an address outside" [OWN, SOCKET]
        Python r#"
s = socket.socket(); s.settimeout(0.5)
got = s.connect_ex(("192.0.2.1", 9))
if got in (0, errno.EINPROGRESS, errno.EAGAIN, errno.ECONNREFUSED, errno.EHOSTUNREACH): escaped(got)
"#;
    NotTried "raw" "Open a raw socket" [CAPS, SOCKET]
        Python r#"
for kind, protocol in ((socket.SOCK_RAW, 1), (socket.SOCK_RAW, 255)):
    try: escaped(socket.socket(socket.AF_INET, kind, protocol))
    except OSError: pass
"#;
    NotTried "packet" "Open a packet socket" [FILTER, SOCKET]
        Python r#"
escaped(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
"#;
    NotTried "vsock" "Reach the host of a virtual machine (`AF_VSOCK`)" [FILTER, SOCKET]
        Python r#"
escaped(socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
"#;
    NotTried "kernel-crypto" "Reach the kernel by `AF_ALG`" [FILTER, SOCKET]
        Python r#"
escaped(socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
"#;
};

/// Reaching other processes, and outliving the call.
pub const PROCESSES: &[Attempt] = attempts! {
    Succeeds "signal-parent" "Send MassGen a signal" [PIDS, DOMAIN]
        Shell "kill -0 $PARENT && echo ESCAPED";
    Succeeds "kill-sibling" "Kill a process of somebody else" [PIDS, DOMAIN]
        Shell "kill -KILL $VICTIM && echo ESCAPED";
    Succeeds "stop-sibling" "Stop a process of somebody else" [PIDS, DOMAIN]
        Python r#"
import signal
pid = int(os.environ["VICTIM"]); os.kill(pid, signal.SIGSTOP); escaped(); os.kill(pid, signal.SIGCONT)
"#;
    Succeeds "signal-group" "Send a signal to MassGen's group of processes" [PIDS, DOMAIN]
        Python r#"
os.killpg(os.getpgid(PARENT), 0); escaped()
"#;
    Succeeds "take-resources" "Set a limit of MassGen's (`prlimit`)" [PIDS, "processes of its own only; refused (filter)"]
        Python r#"
import resource
resource.prlimit(PARENT, resource.RLIMIT_CORE, resource.prlimit(PARENT, resource.RLIMIT_CORE)); escaped()
"#;
    NotTried "ptrace" "Control MassGen (`ptrace`)" [FILTER, FILTER]
        Python r#"
refused(sc(101, 117, 0x4206, PARENT, 0, 0))
"#;
    NotTried "ptrace-child" "Control a child of the own, to let it do what is filtered" [FILTER, FILTER]
        Python r#"
refused(sc(101, 117, 0, 0, 0, 0))
"#;
    NotTried "process-memory" "Read MassGen's memory (`process_vm_readv`)" [FILTER, FILTER]
        Python r#"
refused(sc(310, 270, PARENT, 0, 0, 0, 0, 0))
"#;
    NotTried "take-descriptor" "Take an open file out of MassGen (`pidfd_getfd`)" [FILTER, FILTER]
        Python r#"
fd, _ = sc(434, 434, PARENT, 0)
refused(sc(438, 438, fd, 0, 0))
"#;
    NotTried "survive-background" "Outlive the call in the background" [TREE, TREE_L]
        Shell "sleep 300.$MARK & echo started";
    NotTried "survive-setsid" "… in a session of its own" [TREE, TREE_L]
        Shell "setsid sleep 300.$MARK & setsid -f sleep 300.$MARK; echo started";
    NotTried "survive-double-fork" "… as an orphan" [TREE, TREE_L]
        Python r#"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3): os.close(fd)
        os.execvp("sleep", ["sleep", "300." + os.environ["MARK"]])
    os._exit(0)
os.wait()
"#;
    NotTried "survive-nohup" "… with `nohup`" [TREE, TREE_L]
        Shell "nohup sleep 300.$MARK >/dev/null 2>&1 & echo started";
    NotTried "survive-deaf" "… deaf to signals" [TREE, TREE_L]
        Shell "(trap '' TERM HUP INT QUIT; sleep 300.$MARK; sleep 300.$MARK) & echo started";
    NotTried "survive-chain" "… as a chain of processes that start each other anew" [TREE, TREE_L]
        Python r#"
for _ in range(3):
    if os.fork() == 0:
        for _ in range(200):
            if os.fork(): os._exit(0)
        os.execvp("sleep", ["sleep", "300." + os.environ["MARK"]])
"#;
};

/// Using up what others need.
pub const RESOURCES: &[Attempt] = attempts! {
    NotTried "fork-bomb" "Start more processes than allowed" [LIMIT, COUNT]
        Python r#"
children = 0
for _ in range(400):
    try: pid = os.fork()
    except OSError: break
    if pid == 0: time.sleep(20); os._exit(0)
    children += 1
if children >= 300: escaped(children)
"#;
    NotTried "fork-bomb-shell" "Start processes that start processes" [LIMIT, COUNT]
        Python r#"
read, write = os.pipe()
def bomb(depth):
    for _ in range(6):
        try:
            if os.fork() == 0: bomb(depth + 1) if depth < 3 else None; os.write(write, b"."); time.sleep(20); os._exit(0)
        except OSError: return
bomb(0); time.sleep(1); os.set_blocking(read, False)
try: count = len(os.read(read, 65536))
except OSError: count = 0
if count >= 300: escaped(count)
"#;
    NotTried "thread-bomb" "Start more threads than allowed" [LIMIT, "limit of the kernel; for root: control group or the supervisor"]
        Python r#"
import threading
threads = 0
try:
    for _ in range(1500): threading.Thread(target=time.sleep, args=(20,), daemon=True).start(); threads += 1
except RuntimeError: pass
if threads >= 1400: escaped(threads)
os._exit(0)
"#;
    NotTried "memory" "Use more memory than allowed in one process" [LIMIT, LIMIT]
        Python r#"
hog = b"x" * (400 << 20); escaped(len(hog))
"#;
    NotTried "memory-mapped" "… by mapping it" [LIMIT, LIMIT]
        Python r#"
import mmap
hog = mmap.mmap(-1, 400 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, len(hog), 4096): hog[at] = 1
escaped(len(hog))
"#;
    NotTried "memory-shared" "… by mapping it shared" [COUNT, COUNT]
        Python r#"
import mmap
hog = mmap.mmap(-1, 900 << 20)
for at in range(0, len(hog), 4096): hog[at] = 1
time.sleep(0.3); escaped(len(hog))
"#;
    NotTried "memory-many" "… in many processes, each within its bound" [COUNT, COUNT]
        Python r#"
read, write = os.pipe()
for _ in range(12):
    if os.fork() == 0:
        hog = b"x" * (80 << 20); time.sleep(0.3); os.write(write, b"."); time.sleep(3); os._exit(0)
os.close(write); count = 0
while count < 12:
    piece = os.read(read, 64)
    if not piece: break
    count += len(piece)
if count >= 12: time.sleep(0.3); escaped(count)
"#;
    NotTried "memory-files" "… in files in memory" ["file system of a bounded size", "file system of a bounded size, or no right to it"]
        Python r#"
for folder in ("/dev/shm", "/tmp"):
    try:
        count = 0
        for number in range(80):
            open(f"{folder}/{os.environ['TOKEN']}-{number}", "wb").write(b"x" * (8 << 20)); count += 1
        escaped(folder, count)
    except OSError: pass
"#;
    NotTried "memory-anonymous-files" "… in files without a name (`memfd_create`)" [FILTER, FILTER]
        Python r#"
escaped(os.memfd_create("x"))
"#;
    NotTried "disk" "Fill the disk with many files" ["counted by the supervisor", "counted by the supervisor"]
        Python r#"
for number in range(60):
    with open(f"fill-{number}", "wb") as f: f.write(b"x" * (8 << 20)); f.flush(); os.fsync(f.fileno())
escaped(number)
"#;
    NotTried "huge-file" "Write a file larger than allowed" [LIMIT, LIMIT]
        Python r#"
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open("huge", "wb") as f:
    for _ in range(64): f.write(b"x" * (1 << 20))
escaped(os.path.getsize("huge"))
"#;
    NotTried "huge-sparse-file" "Make a file look larger than allowed" [LIMIT, LIMIT]
        Python r#"
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open("sparse", "wb") as f: f.truncate(1 << 40)
escaped(os.path.getsize("sparse"))
"#;
    NotTried "processor" "Compute for longer than allowed" [LIMIT, LIMIT]
        Python r#"
while time.process_time() < 6: pass
escaped(time.process_time())
"#;
    NotTried "processor-deaf" "… deaf to the signal that says so" [LIMIT, LIMIT]
        Python r#"
import signal
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
while time.process_time() < 6: pass
escaped(time.process_time())
"#;
    NotTried "descriptors" "Open more files than allowed" [LIMIT, LIMIT]
        Python r#"
held = []
try:
    for _ in range(600): held.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
if len(held) >= 500: escaped(len(held))
"#;
    NotTried "raise-limits" "Raise the own limits" [LIMIT, LIMIT]
        Python r#"
import resource
for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
    try:
        soft, hard = resource.getrlimit(which); resource.setrlimit(which, (hard * 2, hard * 2)); escaped(which)
    except (OSError, ValueError): pass
"#;
    NotTried "core" "Leave a memory dump behind" [LIMIT, LIMIT]
        Shell "sh -c 'kill -SEGV $$'; ls | grep -q core && echo ESCAPED";
};

/// Changing what it is, or the kernel under it.
pub const KERNEL: &[Attempt] = attempts! {
    NotTried "mount" "Mount a file system" [FILTER, FILTER]
        Shell "mkdir m; mount -t tmpfs none m && echo ESCAPED; mount --bind / m && echo ESCAPED";
    NotTried "mount-new" "… by the newer calls (`fsopen`, `open_tree`, `move_mount`)" [FILTER, FILTER]
        Python r#"
refused(sc(430, 430, b"tmpfs", 0)); refused(sc(428, 428, -100, b"/", 1)); refused(sc(429, 429, -1, b"", -1, b"", 0))
"#;
    NotTried "unmount" "Unmount what covers something" [FILTER, FILTER]
        Shell "umount /proc && echo ESCAPED; umount -l /dev/shm && echo ESCAPED";
    NotTried "remount" "Make a read-only mount writable" [FILTER, FILTER]
        Shell "mount -o remount,rw / && echo ESCAPED; mount -o remount,bind,rw /usr && echo ESCAPED";
    NotTried "unshare" "Become root in a user namespace (`unshare`)" [FILTER, FILTER]
        Shell "unshare -Ur true && echo ESCAPED; unshare -m true && echo ESCAPED";
    NotTried "clone-namespace" "… by `clone`" [FILTER, FILTER]
        Python r#"
result = sc(56, 220, 0x10000000 | 17, 0, 0, 0, 0)
if result[0] == 0: os._exit(0)
refused(result)
"#;
    NotTried "clone3-namespace" "… by `clone3`, whose arguments no filter can see" [FILTER, FILTER]
        Python r#"
args = ctypes.create_string_buffer(struct.pack("11Q", 0x10000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0))
result = sc(435, 435, args, 88)
if result[0] == 0: os._exit(0)
refused(result)
"#;
    NotTried "setns" "Enter MassGen's namespaces" [FILTER, FILTER]
        Python r#"
for name in ("mnt", "net", "pid", "user"):
    try: fd = os.open(f"/proc/{PARENT}/ns/{name}", os.O_RDONLY)
    except OSError: fd = -1
    refused(sc(308, 268, fd, 0))
"#;
    NotTried "chroot" "Change the root (`chroot`, and out by `..`)" [FILTER, FILTER]
        Python r#"
os.mkdir("jail")
try: os.chroot("jail"); escaped()
except OSError: pass
"#;
    NotTried "pivot-root" "Change the root (`pivot_root`)" [FILTER, FILTER]
        Python r#"
refused(sc(155, 41, b".", b"."))
"#;
    NotTried "mknod" "Make a device" [FILTER, FILTER]
        Python r#"
import stat
for kind, device in ((stat.S_IFCHR, os.makedev(1, 1)), (stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFBLK, os.makedev(254, 0))):
    try: os.mknod("device", kind | 0o600, device); escaped(kind)
    except OSError: pass
"#;
    NotTried "keys" "Read and store keys with the kernel" [FILTER, FILTER]
        Python r#"
refused(sc(250, 219, 0, -3, 1)); refused(sc(248, 217, b"user", b"massgen", b"x", 1, -3))
"#;
    NotTried "bpf" "Load a program into the kernel" [FILTER, FILTER]
        Python r#"
refused(sc(321, 280, 0, 0, 0))
"#;
    NotTried "io-uring" "Make system calls past the filter (`io_uring`)" [FILTER, FILTER]
        Python r#"
params = ctypes.create_string_buffer(120)
refused(sc(425, 425, 1, params))
"#;
    NotTried "x32" "Make system calls past the filter (numbers of x32)" [FILTER, FILTER]
        Python r#"
if X86:
    for number in (0x40000000 + 272, 0x40000000 + 521, 0x40000000 + 165): refused(sc(number, 0, 0, 0, 0, 0, 0))
"#;
    NotTried "userfaultfd" "Stop the kernel half-way (`userfaultfd`)" [FILTER, FILTER]
        Python r#"
refused(sc(323, 282, 1))
"#;
    NotTried "perf" "Watch the kernel (`perf_event_open`)" [FILTER, FILTER]
        Python r#"
refused(sc(298, 241, 0, 0, -1, -1, 0))
"#;
    NotTried "personality" "Switch protections of memory off (`personality`)" [FILTER, FILTER]
        Python r#"
refused(sc(135, 92, 0x0040000))
"#;
    NotTried "terminal" "Type into the terminal (`TIOCSTI`)" [FILTER, FILTER]
        Python r#"
import fcntl, pty
try: _, fd = pty.openpty()
except OSError: fd = 0
for fd in (0, 1, 2, fd):
    try: fcntl.ioctl(fd, 0x5412, b"x"); escaped(fd)
    except OSError as error:
        if error.errno != errno.EPERM: escaped(fd, error)
try: escaped(os.open("/dev/tty", os.O_RDWR))
except OSError: pass
"#;
    NotTried "modules" "Load a module, or another kernel" [FILTER, FILTER]
        Python r#"
refused(sc(313, 273, -1, b"", 0)); refused(sc(246, 104, 0, 0, 0, 0)); refused(sc(320, 294, -1, -1, 0, b"", 0))
"#;
    NotTried "machine" "Stop the machine, change its name, clock or swap" [FILTER, FILTER]
        Python r#"
refused(sc(169, 142, 0, 0, 0, 0)); refused(sc(170, 161, b"x", 1)); refused(sc(227, 112, 0, 0)); refused(sc(167, 224, b"/nonexistent", 0))
"#;
    NotTried "kernel-log" "Read the kernel's messages" [FILTER, FILTER]
        Shell "dmesg | grep -q . && echo ESCAPED";
    NotTried "become-another" "Become another user" [CAPS, CAPS]
        Python r#"
for how in (os.setuid, os.setgid, os.setegid, os.seteuid):
    try: how(54321); escaped(how)
    except OSError: pass
try: os.setgroups([54321]); escaped()
except OSError: pass
"#;
    NotTried "setuid-programs" "Gain privileges by programs of the system (`su`, `sudo`)" [CAPS, CAPS]
        Python r#"
status = open("/proc/self/status").read()
if "NoNewPrivs:\t1" not in status: escaped()
for line in status.splitlines():
    if line.startswith(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")) and int(line.split()[1], 16):
        if not line.startswith("CapBnd") or os.getuid() == 0: escaped(line)
if os.system("su -s /bin/sh nobody -c true </dev/null 2>/dev/null") == 0 and os.getuid() == 0: escaped("su")
if os.system("sudo -n true 2>/dev/null") == 0: escaped("sudo")
"#;
    NotTried "loader" "Get into the stages of the sandbox by variables of the loader" ["carried past the stages under other names", "carried past the stages under other names"]
        Shell "exit 0";
};

/// All of them, with a title for each part of the page.
pub const PARTS: [(&str, &[Attempt]); 6] = [
    ("Reading what is none of its business", READING),
    ("Writing where it must not", WRITING),
    ("Reaching others by sockets", NETWORK),
    ("Reaching other processes, and outliving the call", PROCESSES),
    ("Using up what others need", RESOURCES),
    ("Changing what it is, or the kernel under it", KERNEL),
];
