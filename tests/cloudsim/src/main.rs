//! `cloudsim [PORT] [SETTINGS.json]`: a region of EC2 at `http://127.0.0.1:PORT`, until it is interrupted.

use cloudsim::Server;
use cloudsim::ec2::{Region, Settings};
use std::error::Error;
use std::io::Write;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let settings = match arguments.next() {
        Some(path) => serde_json::from_slice(&std::fs::read(path)?)?,
        None => Settings::default(),
    };
    let server = Server::start(Region::new(settings), port).await?;
    writeln!(std::io::stdout(), "{}", server.endpoint())?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}
