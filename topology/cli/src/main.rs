//! `tributary`: see the library.

/// A step makes many small, short-lived pieces; mimalloc serves them in less time than the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tributary_cli::main()
}
