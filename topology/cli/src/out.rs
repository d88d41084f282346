//! What a command prints. Whoever reads it may go away before the end, as `head` does; then there is nobody left to tell, and the
//! command goes on to its exit code.

use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::process;

/// Prints a line, as `println!` does, to whoever still reads.
macro_rules! say {
    ($($told:tt)*) => { $crate::out::print(format_args!("{}\n", format_args!($($told)*))) };
}
pub(crate) use say;

/// Prints text as it is. Where it cannot be written for any other reason than that nobody reads, the command is as good as not
/// done, and ends.
pub(crate) fn print(told: impl fmt::Display) {
    match write!(std::io::stdout().lock(), "{told}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("tributary: the output cannot be written: {error}");
            process::exit(2);
        }
        _ => {}
    }
}
