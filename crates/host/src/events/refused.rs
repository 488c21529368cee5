//! Why the kernel counts nothing for us, in words that say what to do.

use std::fmt;

/// Why there are no programs in the kernel, or none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This build has none.
    NotBuilt,
    /// The process may not; what it wanted to do.
    NotPermitted(String),
    /// The kernel is locked down against whoever wants to watch it.
    Locked,
    /// It wanted to, and the kernel could not or would not.
    Kernel {
        /// What was asked of it.
        what: String,
        /// What it said.
        why: String,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => f.write_str(
                "this build has no programs for the kernel: build for Linux with the feature `events`, or leave `events` off",
            ),
            Self::NotPermitted(what) => write!(
                f,
                "this process may not {what}: give it the capabilities CAP_BPF and CAP_PERFMON (systemd: AmbientCapabilities, \
                 Kubernetes: securityContext.capabilities.add [BPF, PERFMON]; a seccomp profile must let bpf(2) pass), or leave \
                 `events` off"
            ),
            Self::Locked => f.write_str(
                "the kernel is locked down (confidentiality) and lets nobody watch it: boot with lockdown=integrity, or leave \
                 `events` off",
            ),
            Self::Kernel { what, why } => write!(
                f,
                "the kernel does not {what}: {why}; Linux 5.8 or newer with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS is needed, \
                 or leave `events` off"
            ),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(all(feature = "events", target_os = "linux"))]
impl Refused {
    /// What an error of the loader comes down to: the kernel's own word is the last of the chain.
    pub(super) fn of(what: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |error| error.source());
        let (mut kernel, mut last) = (None, error);
        for one in chain {
            kernel = one.downcast_ref::<std::io::Error>().or(kernel);
            last = one;
        }
        match kernel.map(std::io::Error::kind) {
            Some(std::io::ErrorKind::PermissionDenied) if is_locked() => Self::Locked,
            Some(std::io::ErrorKind::PermissionDenied) => Self::NotPermitted(what.to_owned()),
            Some(_) | None => {
                let said = kernel.map_or_else(|| last.to_string(), ToString::to_string);
                Self::Kernel { what: what.to_owned(), why: said.chars().take(MOST_SAID).collect() }
            }
        }
    }
}

/// Whether the kernel says that it is locked down against reading it.
#[cfg(all(feature = "events", target_os = "linux"))]
fn is_locked() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lockdown").is_ok_and(|modes| modes.contains("[confidentiality]"))
}

/// Characters of what the kernel said. Source: ours.
#[cfg(all(feature = "events", target_os = "linux"))]
const MOST_SAID: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_why_and_what_to_do() {
        for (refused, why, what) in [
            (Refused::NotBuilt, "has no programs", "feature `events`"),
            (Refused::NotPermitted("make a map".into()), "may not make a map", "CAP_BPF and CAP_PERFMON"),
            (Refused::Locked, "locked down", "lockdown=integrity"),
            (
                Refused::Kernel { what: "take `sched_switch`".into(), why: "Invalid argument".into() },
                "Invalid argument",
                "Linux 5.8",
            ),
        ] {
            let said = refused.to_string();
            assert!(said.contains(why) && said.contains(what) && said.contains("leave `events` off"), "{said}");
        }
    }

    #[cfg(all(feature = "events", target_os = "linux"))]
    #[test]
    fn the_last_word_of_a_chain_is_the_kernels() {
        let denied = std::io::Error::from_raw_os_error(1);
        let wrapped = std::io::Error::other(Wrapped(denied));
        assert!(matches!(Refused::of("load", &wrapped), Refused::NotPermitted(_) | Refused::Locked));
        let odd = Wrapped(std::io::Error::from_raw_os_error(22));
        let Refused::Kernel { what, why } = Refused::of("load", &odd) else { panic!("not refused so") };
        assert!(what == "load" && why.contains("Invalid argument"), "{why}");
    }

    #[cfg(all(feature = "events", target_os = "linux"))]
    #[derive(Debug)]
    struct Wrapped(std::io::Error);

    #[cfg(all(feature = "events", target_os = "linux"))]
    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    #[cfg(all(feature = "events", target_os = "linux"))]
    impl std::error::Error for Wrapped {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
}
