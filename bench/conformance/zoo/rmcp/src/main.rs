//! A server and a client of rmcp, the Rust SDK:
//!
//!     zoo-rmcp server http|stdio [ADDRESS]
//!     zoo-rmcp client http|stdio URL|COMMAND…

#![allow(deprecated)] // logging, which 2026-07-28 still has

mod client;
mod server;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args[0].as_str() {
        "server" => server::serve(&args[1], args.get(2)).await,
        _ => client::ask(&args[1], &args[2..]).await,
    }
}
