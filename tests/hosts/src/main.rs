//! Boots a router and two workers, and keeps them until Enter is pressed: for a look around.

use hosts::datacentre::Datacentre;
use hosts::image::Image;
use hosts::service::Service;

fn main() {
    let datacentre = Datacentre::new();
    let service = Service::start(&datacentre, Image::Trixie);
    service.wait_until_it_answers();
    eprintln!("           Enter ends it.");
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    read.expect("the terminal can be read");
}
