//! `tributary`: see the library.

fn main() -> std::process::ExitCode {
    tributary_cli::main()
}
