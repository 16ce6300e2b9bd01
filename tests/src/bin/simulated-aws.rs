//! `simulated-aws SETTINGS.json`: an AWS like the tests', whose machines only tell that they have booted,
//! for as long as its input stays open. Prints one line of JSON: the variables with which Terraform and the
//! provider find it. A benchmark measures with it; see `tests/bench`.

use acceptance::{Aws, Site};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: simulated-aws SETTINGS.json")?;
    let aws = Aws::start_with(serde_json::from_slice(&std::fs::read(path)?)?);
    let environment: BTreeMap<String, String> = aws.environment().into_iter().collect();
    let mut output = std::io::stdout();
    writeln!(output, "{}", serde_json::to_string(&environment)?)?;
    output.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
