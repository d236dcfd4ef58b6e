//! The main job in one process: an axum app served over SPDY/3.1 on a loopback port, and fetched from there by the
//! client of this crate with 100 concurrent requests on one connection. Every body is checked.
//!
//! `cargo run --release --example demo [DIRECTORY]`

mod app;
mod load;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let mut arguments = std::env::args_os().skip(1);
    let directory = arguments
        .next()
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    if arguments.next().is_some() {
        return Err("too many arguments; usage: demo [DIRECTORY]".into());
    }
    if !directory.is_dir() {
        return Err(format!(
            "{} is not a directory; give one whose files can be read",
            directory.display()
        )
        .into());
    }
    let files = load::pick_files(&directory)?;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = spdy::serve(listener, app::router(&directory)).with_graceful_shutdown(async {
        drop(stopped.await);
    });
    let server = tokio::spawn(async move { server.await });
    println!(
        "SPDY/3.1 server on {address}, files of {}",
        directory.display()
    );

    let report = load::run(address, files).await?;
    table::print(&report);

    drop(stop);
    server.await??;
    println!("server drained and stopped");
    Ok(())
}
