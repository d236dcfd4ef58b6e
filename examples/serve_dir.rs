//! A SPDY file server: serves a directory until Ctrl-C, then drains.
//!
//! `cargo run --release --example serve_dir -- [DIRECTORY] [ADDRESS]`, by default `.` on `127.0.0.1:6121`

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use tower_http::services::ServeDir;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

async fn run() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| ".".into());
    if directory == "-h" || directory == "--help" {
        println!("usage: serve_dir [DIRECTORY] [ADDRESS]   (default: . 127.0.0.1:6121)");
        return Ok(());
    }
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:6121".into());
    if arguments.next().is_some() {
        return Err("too many arguments; usage: serve_dir [DIRECTORY] [ADDRESS]".into());
    }
    if !std::path::Path::new(&directory).is_dir() {
        return Err(format!("{directory} is not a directory").into());
    }
    let listener = tokio::net::TcpListener::bind(&address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; give another ADDRESS"))?;
    println!(
        "serving {directory} over SPDY/3.1 on {}",
        listener.local_addr()?
    );

    let app = Router::new().fallback_service(ServeDir::new(directory));
    spdy::serve(listener, app)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .drain_timeout(Duration::from_secs(30))
        .await?;
    println!("drained and stopped");
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("serve_dir: {error}");
            ExitCode::FAILURE
        }
    }
}
