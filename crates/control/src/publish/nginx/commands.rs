//! nginx's own commands, run without a shell, to their end or a deadline; what they complain of is kept.

use std::io::{self, ErrorKind};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::time::{sleep, timeout};

/// Runs a command.
///
/// # Errors
/// How it failed, with its gravest words.
pub(super) async fn obeyed(command: &[String]) -> Result<(), String> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let shown = command.join(" ");
    let failed = |error: io::Error| format!("`{shown}` cannot be run: {error}");
    let (mut started, errors) = Started::new(program, arguments).map_err(failed)?;
    match timeout(LONGEST, started.ended(errors)).await {
        Ok(Ok((status, _))) if status.success() => Ok(()),
        Ok(Ok((_, words))) => Err(format!("`{shown}` said: {}", gravest(&words))),
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(format!("`{shown}` did not end within {LONGEST:?}")),
    }
}

/// A running program; killed when it is dropped.
struct Started(Child);

impl Started {
    fn new(program: &str, arguments: &[String]) -> io::Result<(Self, Option<ChildStderr>)> {
        let mut command = Command::new(program);
        let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let errors = child.stderr.take();
        Ok((Self(child), errors))
    }

    /// Waits for its end and for what it says. A program that it left behind may hold its standard error open: nobody
    /// waits for that one.
    async fn ended(&mut self, errors: Option<ChildStderr>) -> io::Result<(ExitStatus, String)> {
        let mut words = Vec::new();
        if let Some(errors) = errors {
            let errors = Receiver::from_owned_fd(errors.into())?;
            loop {
                let silent = match timeout(BETWEEN_LOOKS, errors.readable()).await {
                    Ok(ready) => {
                        ready?;
                        match errors.try_read_buf(&mut words) {
                            Ok(0) => break,
                            Ok(_) => false,
                            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
                            Err(error) => return Err(error),
                        }
                    }
                    Err(_) => true,
                };
                words.truncate(MOST_WORDS);
                if silent && let Some(status) = self.0.try_wait()? {
                    return Ok((status, String::from_utf8_lossy(&words).into_owned()));
                }
            }
        }
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok((status, String::from_utf8_lossy(&words).into_owned()));
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended, or ends now.
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }
}

/// What it complained of: the first line that is an error, else the last line that says anything.
fn gravest(words: &str) -> &str {
    let grave = |line: &&str| ["[emerg]", "[alert]", "[crit]", "[error]"].iter().any(|grave| line.contains(grave));
    let lines = || words.lines().map(str::trim).filter(|line| !line.is_empty());
    lines().find(grave).or_else(|| lines().next_back()).unwrap_or("nothing, and failed")
}

/// Of a program that hangs. Source: ours; `nginx -t` looks up names, which may take some seconds each.
const LONGEST: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
/// Bytes of its words that are kept: nginx's first errors.
const MOST_WORDS: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &[&str]) -> Result<(), String> {
        obeyed(&command.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>()).await
    }

    #[tokio::test]
    async fn a_command_that_fails_tells_its_gravest_words() {
        assert_eq!(run(&["true"]).await, Ok(()));
        let why = run(&["sh", "-c", "echo fine >&2; echo 'nginx: [emerg] no such thing' >&2; exit 1"]).await;
        assert!(why.as_ref().is_err_and(|why| why.ends_with("said: nginx: [emerg] no such thing")), "{why:?}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_said() {
        let why = run(&["/nowhere/nginx", "-t"]).await;
        assert!(why.is_err_and(|why| why.starts_with("`/nowhere/nginx -t` cannot be run")));
    }

    #[tokio::test]
    async fn nobody_waits_for_what_a_command_left_behind() {
        assert_eq!(run(&["sh", "-c", "sleep 20 & exit 0"]).await, Ok(()));
    }
}
