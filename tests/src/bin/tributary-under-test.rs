//! The `tributary` binary, as end-to-end tests run it: cargo builds a package's own binaries before its tests, and no other
//! package's. It is the same one line as the original.

use std::process::ExitCode;

fn main() -> ExitCode {
    tributary_cli::main()
}
