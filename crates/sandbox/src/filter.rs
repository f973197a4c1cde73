//! The filter of system calls: what no build needs and what would reach beyond the sandbox is refused.
//!
//! It is a short program of the kernel's classic packet filter, which bubblewrap loads last. A refused call gets an
//! error as an old kernel would give it, so that programs go on without it. 32-bit programs have numbers of their own.

use crate::error::{Error, Result};

/// Architectures as the kernel's audit names them.
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;

/// Places in the data that the filter sees.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;
const FOURTH: u32 = 40;

/// Instructions: load a word, compare, test bits, return.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const AT_LEAST: u16 = 0x35;
const ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ERROR: u32 = 0x0005_0000;
const EPERM: u32 = 1;
const EAFNOSUPPORT: u32 = 97;
const ENOSYS: u32 = 38;

/// All flags of `clone` that make namespaces: mount, cgroup, uts, ipc, user, pid, net.
const NEW_NAMESPACE: u32 = 0x7e02_0000;
/// Flags of `mount`: to change what is mounted, to move it; to show a directory at another place, to say who sees that.
const REMOUNT_OR_MOVE: u32 = 0x2020;
const BIND_OR_SHARE: u32 = 0x001e_1000;
/// Numbers of the second interface of x86-64, which nobody uses, begin here.
const X32: u32 = 0x4000_0000;
/// `ioctl` requests that put characters into another one's terminal.
const TERMINAL: [u32; 2] = [0x5412, 0x541c];
/// Kinds of sockets: local, IPv4, IPv6, netlink. Others reach the hypervisor or rarely used parts of the kernel.
const SOCKETS: [u32; 4] = [1, 2, 10, 16];

/// Numbers of one architecture.
struct Calls {
    arch: u32,
    /// Refused as not permitted.
    refused: &'static [u32],
    /// Refused as unknown, so that programs use the older way, whose arguments can be looked at.
    unknown: &'static [u32],
    clone: u32,
    socket: u32,
    ioctl: u32,
    chroot: u32,
    mount: u32,
    umount: u32,
    /// sync, fsync, fdatasync, sync_file_range, syncfs.
    sync: [u32; 5],
}

/// mount, umount2, pivot_root, swapon, swapoff, reboot, init_module, delete_module, quotactl, lookup_dcookie,
/// kexec_load, add_key, request_key, keyctl, unshare, perf_event_open, fanotify_init, open_by_handle_at,
/// setns, finit_module, kexec_file_load, bpf, userfaultfd, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick,
/// mount_setattr, acct, settimeofday, iopl, ioperm, uselib, syslog.
const ON_X86_64: Calls = Calls {
    arch: X86_64,
    refused: &[
        165, 166, 155, 167, 168, 169, 175, 176, 179, 212, 246, 248, 249, 250, 272, 298, 300, 304,
        308, 313, 320, 321, 323, 428, 429, 430, 431, 432, 433, 442, 163, 164, 172, 173, 134, 103,
    ],
    // clone3, io_uring
    unknown: &[435, 425, 426, 427],
    clone: 56,
    socket: 41,
    ioctl: 16,
    chroot: 161,
    mount: 165,
    umount: 166,
    sync: [162, 74, 75, 277, 306],
};
/// The same for 32-bit programs.
const ON_I386: Calls = Calls {
    arch: I386,
    refused: &[
        21, 22, 52, 217, 87, 115, 88, 128, 129, 131, 253, 283, 286, 287, 288, 310, 336, 338, 342,
        346, 350, 357, 374, 428, 429, 430, 431, 432, 433, 442, 51, 79, 110, 101, 86, 103,
    ],
    // And the call that hides the kind of a socket.
    unknown: &[435, 425, 426, 427, 102],
    clone: 120,
    socket: 359,
    ioctl: 54,
    chroot: 61,
    mount: 21,
    umount: 52,
    sync: [36, 118, 148, 314, 344],
};
const ON_AARCH64: Calls = Calls {
    arch: AARCH64,
    refused: &[
        40, 39, 41, 224, 225, 142, 105, 106, 60, 18, 104, 217, 218, 219, 97, 241, 262, 265, 268,
        273, 294, 280, 282, 428, 429, 430, 431, 432, 433, 442, 89, 170, 116,
    ],
    unknown: &[435, 425, 426, 427],
    clone: 220,
    socket: 198,
    ioctl: 29,
    chroot: 51,
    mount: 40,
    umount: 39,
    sync: [81, 82, 83, 84, 267],
};

/// open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr; the same everywhere.
const NEW_MOUNTS: [u32; 7] = [428, 429, 430, 431, 432, 433, 442];

/// The calls of the machine, its own first.
fn tables() -> &'static [Calls] {
    const X86: [Calls; 2] = [ON_X86_64, ON_I386];
    const ARM: [Calls; 1] = [ON_AARCH64];
    if cfg!(target_arch = "x86_64") {
        &X86
    } else if cfg!(target_arch = "aarch64") {
        &ARM
    } else {
        &[]
    }
}

/// Whether calls are filtered on this kind of machine.
pub(crate) fn is_known() -> bool {
    !tables().is_empty()
}

/// One instruction: operation, steps if true and if false, operand.
type Step = (u16, u8, u8, u32);

/// What is filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Installing packages: the root directory can be changed, and nothing is written to the disk before its time,
    /// as a layer that may not have reached the disk is made anew.
    Setup,
    /// A build, whose tests may look at what `fsync` says.
    Build,
    /// Making an image: the root directory can be changed, and directories can be shown at other places. No file system
    /// is mounted, and nothing that is mounted is changed.
    Image,
}

/// The program as the kernel takes it.
pub(crate) fn program(work: Work) -> Result<Vec<u8>> {
    let mut steps: Vec<Step> = Vec::new();
    for calls in tables() {
        let body = body(calls, work);
        let over = u8::try_from(body.len() + 1).map_err(|_| Error::Setup {
            reason: "the filter of system calls is too long".into(),
        })?;
        steps.push((LOAD, 0, 0, ARCH));
        steps.push((EQUAL, 0, over, calls.arch));
        steps.push((LOAD, 0, 0, NUMBER));
        steps.extend(body);
    }
    steps.push((RETURN, 0, 0, ALLOW));
    Ok(steps
        .into_iter()
        .flat_map(|(code, yes, no, operand)| {
            let [a, b] = code.to_ne_bytes();
            let [c, d, e, f] = operand.to_ne_bytes();
            [a, b, yes, no, c, d, e, f]
        })
        .collect())
}

/// What is done with a call's number, which is loaded; ends in any case.
fn body(calls: &Calls, work: Work) -> Vec<Step> {
    let give = |value: u32| (RETURN, 0, 0, value);
    let mut steps: Vec<Step> = Vec::new();
    if calls.arch == X86_64 {
        steps.extend([(AT_LEAST, 0, 1, X32), give(ERROR | ENOSYS)]);
    }
    // Each look at an argument ends by itself; the number is needed for the others only.
    steps.extend([(EQUAL, 0, 4, calls.clone), (LOAD, 0, 0, FIRST), (ANY_BIT, 0, 1, NEW_NAMESPACE)]);
    steps.extend([give(ERROR | EPERM), give(ALLOW)]);
    steps.extend([(EQUAL, 0, 7, calls.socket), (LOAD, 0, 0, FIRST)]);
    for (kind, left) in SOCKETS.iter().zip((0..4).rev()) {
        steps.push((EQUAL, left + 1, 0, *kind));
    }
    steps.extend([give(ERROR | EAFNOSUPPORT), give(ALLOW)]);
    steps.extend([(EQUAL, 0, 5, calls.ioctl), (LOAD, 0, 0, SECOND)]);
    steps.extend([(EQUAL, 1, 0, TERMINAL[0]), (EQUAL, 0, 1, TERMINAL[1])]);
    steps.extend([give(ERROR | EPERM), give(ALLOW)]);
    for number in calls.unknown {
        steps.extend([(EQUAL, 0, 1, *number), give(ERROR | ENOSYS)]);
    }
    if work == Work::Image {
        steps.extend([(EQUAL, 0, 6, calls.mount), (LOAD, 0, 0, FOURTH)]);
        steps.extend([(ANY_BIT, 0, 1, REMOUNT_OR_MOVE), give(ERROR | EPERM)]);
        steps.extend([(ANY_BIT, 1, 0, BIND_OR_SHARE), give(ERROR | EPERM), give(ALLOW)]);
        // The newer way to mount, which programs try first.
        for number in NEW_MOUNTS {
            steps.extend([(EQUAL, 0, 1, number), give(ERROR | ENOSYS)]);
        }
    }
    if work == Work::Setup {
        // No error: the call says that it has done what it was asked for.
        for number in calls.sync {
            steps.extend([(EQUAL, 0, 1, number), give(ERROR)]);
        }
    }
    let refused = calls.refused.iter().chain((work == Work::Build).then_some(&calls.chroot));
    let refused = refused.filter(|number| work != Work::Image || **number != calls.umount);
    for number in refused {
        steps.extend([(EQUAL, 0, 1, *number), give(ERROR | EPERM)]);
    }
    steps.push(give(ALLOW));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel does.
    fn decide(arch: u32, number: u32, first: u32, second: u32) -> u32 {
        decide_for(Work::Build, arch, number, first, second)
    }

    fn decide_for(work: Work, arch: u32, number: u32, first: u32, second: u32) -> u32 {
        decide_with(work, arch, number, [first, second, 0])
    }

    fn decide_with(work: Work, arch: u32, number: u32, args: [u32; 3]) -> u32 {
        let bytes = program(work).unwrap();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = &bytes[at * 8..at * 8 + 8];
            let code = u16::from_ne_bytes([step[0], step[1]]);
            let operand = u32::from_ne_bytes([step[4], step[5], step[6], step[7]]);
            at += 1;
            let held = match code {
                LOAD => {
                    loaded = match operand {
                        NUMBER => number,
                        ARCH => arch,
                        FIRST => args[0],
                        SECOND => args[1],
                        FOURTH => args[2],
                        other => panic!("load of {other}"),
                    };
                    continue;
                }
                RETURN => return operand,
                EQUAL => loaded == operand,
                AT_LEAST => loaded >= operand,
                ANY_BIT => loaded & operand != 0,
                other => panic!("instruction {other}"),
            };
            at += usize::from(if held { step[2] } else { step[3] });
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_are_told_apart_by_number_and_argument() {
        for arch in [X86_64, I386] {
            let calls = if arch == X86_64 { ON_X86_64 } else { ON_I386 };
            for number in calls.refused.iter().chain([&calls.chroot]) {
                assert_eq!(decide(arch, *number, 0, 0), ERROR | EPERM, "{number}");
            }
            assert_eq!(decide(arch, 435, 0, 0), ERROR | ENOSYS);
            assert_eq!(decide(arch, calls.clone, 17, 0), ALLOW);
            assert_eq!(decide(arch, calls.clone, 0x1000_0000, 0), ERROR | EPERM);
            for (kind, answer) in [
                (1, ALLOW),
                (2, ALLOW),
                (10, ALLOW),
                (16, ALLOW),
                (40, ERROR | EAFNOSUPPORT),
                (38, ERROR | EAFNOSUPPORT),
            ] {
                assert_eq!(decide(arch, calls.socket, kind, 0), answer, "socket {kind}");
            }
            assert_eq!(decide(arch, calls.ioctl, 0, 0x5412), ERROR | EPERM);
            assert_eq!(decide(arch, calls.ioctl, 0, 0x541c), ERROR | EPERM);
            assert_eq!(decide(arch, calls.ioctl, 0, 0x5413), ALLOW);
            assert_eq!(decide(arch, 1, 0, 0), ALLOW);
            assert_eq!(decide_for(Work::Setup, arch, calls.chroot, 0, 0), ALLOW);
            for number in calls.sync {
                assert_eq!(decide(arch, number, 0, 0), ALLOW, "{number}");
                assert_eq!(decide_for(Work::Setup, arch, number, 0, 0), ERROR, "{number}");
            }
        }
        assert_eq!(decide(X86_64, X32 + 1, 0, 0), ERROR | ENOSYS);
        assert_eq!(decide_for(Work::Image, X86_64, X32 + 1, 0, 0), ERROR | ENOSYS);
        assert_eq!(decide(AARCH64, 40, 0, 0), ALLOW);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn makers_of_images_show_directories_elsewhere_and_mount_nothing() {
        const BIND: u32 = 4096;
        for calls in [ON_X86_64, ON_I386] {
            let decide =
                |number, flags| decide_with(Work::Image, calls.arch, number, [0, 0, flags]);
            for (flags, answer) in [
                (BIND, ALLOW),
                (BIND | 16384, ALLOW),
                (1 << 18 | 16384, ALLOW),
                (0, ERROR | EPERM),
                (1, ERROR | EPERM),
                (BIND | 32, ERROR | EPERM),
                (8192, ERROR | EPERM),
            ] {
                assert_eq!(decide(calls.mount, flags), answer, "mount with {flags:#x}");
            }
            assert_eq!([calls.umount, calls.chroot].map(|number| decide(number, 0)), [ALLOW; 2]);
            for number in calls.refused {
                let answer = decide(*number, 0);
                assert!(*number == calls.umount || answer != ALLOW, "{number} is allowed");
            }
            for number in NEW_MOUNTS {
                assert_eq!(decide(number, 0), ERROR | ENOSYS, "{number}");
            }
        }
    }
}
