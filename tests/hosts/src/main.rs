//! `hosts [VERSION]`: boots a router and two workers with a version of Dynamo, and keeps them until
//! Enter is pressed, for inspection.

use domain::version::DynamoVersion;
use hosts::datacentre::Datacentre;
use hosts::image::Image;
use hosts::service::Service;

fn main() {
    let datacentre = Datacentre::new();
    let version = std::env::args().nth(1).map(|version| version.parse());
    let version =
        version.transpose().expect("the version is supported").unwrap_or(DynamoVersion::DEFAULT);
    let service = Service::start_version(&datacentre, Image::Trixie, version);
    service.wait_until_it_answers();
    eprintln!("           Enter ends it.");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.expect("the terminal can be read");
}
